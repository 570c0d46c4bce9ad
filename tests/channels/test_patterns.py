import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.patterns import combine, compile_filter, text_of, with_slash


def compiled(pattern: Any) -> re.Pattern[str]:
    """Compile a filter of ``path``."""
    return compile_filter("path", pattern)


def joined(prefix: Any, inner: Any) -> re.Pattern[str]:
    """Combine two filters of ``path``."""
    return combine("path", compiled(prefix), compiled(inner))


@pytest.mark.parametrize("pattern", [r"^/chat/$", rb"^/chat/$", re.compile(r"^/chat/$"), re.compile(rb"^/chat/$")])
def test_filters_may_be_text_bytes_or_compiled(pattern: Any) -> None:
    """All four spellings match the same text."""
    assert compiled(pattern).match("/chat/")
    assert not compiled(pattern).match("/chat")


def test_flags_of_a_compiled_filter_are_kept() -> None:
    """A compiled pattern of text or bytes matches as it was compiled."""
    assert compiled(re.compile("^/CHAT", re.IGNORECASE)).match("/chat")
    assert compiled(re.compile(rb"^/\w+$", re.IGNORECASE)).match("/chat")
    assert not compiled(re.compile(rb"^/\w+$")).match("/é"), "bytes know only ASCII letters"


@pytest.mark.parametrize("pattern", [r"^/([a-z]+)/$", r"^/(?P<room>[a-z]+)/(\d)$"])
def test_unnamed_groups_are_refused(pattern: str) -> None:
    """What an unnamed group matches has no keyword to go by."""
    with pytest.raises(ValueError, match=re.escape(f"path={pattern!r} has unnamed groups")):
        compiled(pattern)


@pytest.mark.parametrize("pattern", ["^/(", "^/é".encode()])
def test_what_is_no_regular_expression_is_refused(pattern: Any) -> None:
    """The error names filter and fault."""
    with pytest.raises(ValueError, match=re.escape(f"path={pattern!r} is no regular expression: ")):
        compiled(pattern)


@pytest.mark.parametrize("pattern", [None, 3, ["^/chat"]])
def test_other_filters_are_refused(pattern: Any) -> None:
    """The error names the value and its type."""
    with pytest.raises(TypeError, match=re.escape(f"path={pattern!r}: a filter is a regular expression")):
        compiled(pattern)


@pytest.mark.parametrize(
    ("prefix", "inner", "combined"),
    [
        (r"^/chat", r"^/(?P<room>[a-z]+)/$", r"^/chat/(?P<room>[a-z]+)/$"),
        (r"^/(?P<site>\w+)", r"^/(?P<room>\w+)$", r"^/(?P<site>\w+)/(?P<room>\w+)$"),
        (r"^/chat", r"^^$", r"^/chat$"),
        (r"^/a\$", r"^/b$", r"^/a\$/b$"),
        (r"^/a[$|]", r"^/b[]|]$", r"^/a[$|]/b[]|]$"),
        (r"^/(?:a|b)", r"^/(?:c|(?:d|e))$", r"^/(?:a|b)/(?:c|(?:d|e))$"),
        (b"^/chat", rb"^/room", r"^(?a:/chat)(?a:/room)"),
        (re.compile("^/chat", re.IGNORECASE), re.compile("^/room", re.DOTALL), r"^(?i:/chat)(?s:/room)"),
    ],
)
def test_combined_text(prefix: Any, inner: Any, combined: str) -> None:
    """Patterns are appended without the inner ``^``; flags, also those of bytes, stay with their part."""
    assert joined(prefix, inner).pattern == combined


def test_flags_apply_to_their_own_part() -> None:
    """Case is ignored where the pattern said so and nowhere else."""
    pattern = joined(re.compile("^/chat", re.IGNORECASE), "^/room")
    assert pattern.match("/CHAT/room")
    assert not pattern.match("/chat/ROOM")


def test_verbose_patterns_combine() -> None:
    """A comment at the end of a verbose prefix hides nothing of what is appended."""
    pattern = joined(re.compile("^/chat  # the chat", re.VERBOSE), "^/a b$")
    assert pattern.match("/chat/a b")


@pytest.mark.parametrize(
    ("prefix", "inner", "fault"),
    [
        (r"/chat", r"^/room", "both must begin with '^'; write '^/chat'"),
        (r"^/chat", r"/room", "both must begin with '^'; write '^/room'"),
        (r"^/chat$", r"^/room", "nothing can follow a '$'; write the prefix without it"),
        (r"^/a|^/b", r"^/room", r"in '^/a|^/b' put the alternatives into a group, ^(?:...|...)"),
        (r"^/chat", r"^/a$|^/b$", r"in '^/a$|^/b$' put the alternatives into a group, ^(?:...|...)"),
        (r"^/(?P<x>a)", r"^/(?P<x>b)", "both name a group 'x'; give one of them another name"),
    ],
)
def test_what_cannot_combine(prefix: str, inner: str, fault: str) -> None:
    """The error shows both patterns and what to write instead."""
    text = f"cannot combine path={prefix!r} with path={inner!r}: {fault}"
    with pytest.raises(ValueError, match=re.escape(text)):
        joined(prefix, inner)


ATOMS = ["/", "a", r"\d", r"\w+", r"[^/$|()]", r"(?:ab|b)", r"\|", r"\)", ".", r"(?P<name%d>a+)?", "x{1,2}", r"\\"]
TEXTS = st.text(alphabet="/abx1|)\\$B", max_size=6)


@st.composite
def patterns(draw: st.DrawFn, number: int) -> re.Pattern[str]:
    """Patterns that combine, with groups named for ``number``."""
    atoms = draw(st.lists(st.sampled_from(ATOMS), max_size=4, unique=True))
    flags = draw(st.sampled_from([0, re.IGNORECASE, re.DOTALL | re.ASCII]))
    return re.compile("^" + "".join(atoms).replace("%d", str(number)), flags)


@given(patterns(1), patterns(2), TEXTS, TEXTS)
def test_combination_matches_one_after_the_other(
    prefix: re.Pattern[str], inner: re.Pattern[str], first: str, second: str
) -> None:
    """Where the prefix matches a text wholly and the inner pattern another, the combination matches both in a row."""
    if prefix.fullmatch(first) and inner.match(second):
        assert combine("path", prefix, inner).match(first + second)


@given(patterns(1), patterns(2), TEXTS)
def test_combination_matches_nothing_else(prefix: re.Pattern[str], inner: re.Pattern[str], text: str) -> None:
    """What the combination matches can be cut where the prefix ends and the inner pattern begins."""
    if combine("path", prefix, inner).match(text):
        cuts = range(len(text) + 1)
        assert any(prefix.fullmatch(text[:cut]) and inner.match(text[cut:]) for cut in cuts)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")  # of Python, on what a pattern may mean one day
@given(st.text(alphabet="^$|()[]\\ab?:P<n>", max_size=12), st.text(alphabet="^$|()[]\\ab?:P<n>", max_size=12))
def test_any_two_texts_combine_or_are_refused(first: str, second: str) -> None:
    """Whatever the patterns look like, the only error is a ValueError."""
    try:
        prefix, inner = compiled("^" + first), compiled("^" + second)
        combination = combine("path", prefix, inner)
    except ValueError:
        return
    assert combination.pattern.startswith("^")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("/chat/", "/chat/"),
        (b"/chat/", "/chat/"),
        ("é".encode(), None),
        ("é", "é"),
        (4, "4"),
        (None, None),
        (4.0, None),
        ([], None),
        ({}, None),
    ],
)
def test_text_of(value: object, text: str | None) -> None:
    """Text is matched as it is, ASCII bytes and integers as text, anything else never."""
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("pattern", "better"),
    [
        ("chat/$", "^/chat/$"),
        ("^chat/$", "^/chat/$"),
        (r"^(?P<room>\w+)/$", r"^/(?P<room>\w+)/$"),
        (r"^(?:(?P<room>\d+))/$", r"^/(?:(?P<room>\d+))/$"),
        ("^/chat/$", None),
        ("^", None),
        ("^.*chat", None),
        ("^[/a]chat", None),
        ("^x?/chat", None),
        ("^(?:en)?/chat", None),
        ("^(?:x*)/chat", None),
        ("^chat|^/room", None),
        (re.compile("^x ?/chat", re.VERBOSE), None),
    ],
)
def test_a_pattern_that_lacks_the_slash_of_every_path(pattern: Any, better: str | None) -> None:
    """Patterns of Django's URLs begin behind it; one that could match a path is left alone."""
    assert with_slash(compiled(pattern)) == better


PIECES = st.sampled_from(
    ["^", "/", "a", "-", r"\w", r"\d", "(?:", "(?P<n>", ")", "?", "*", "+", "{0,1}", "[/a]", ".", "|", "$"]
)


@given(st.lists(PIECES, max_size=6), st.text("/a-1", max_size=4))
def test_no_pattern_that_matches_a_path_lacks_its_slash(pieces: list[str], rest: str) -> None:
    """What is said to match no path does not."""
    try:
        pattern = compiled("".join(pieces))
    except ValueError:
        return
    assert with_slash(pattern) is None or not pattern.match("/" + rest)
