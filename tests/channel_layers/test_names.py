from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_layers import names
from channel_layers.exceptions import InvalidName

CHARACTERS = "abcXYZ019-_."
PARTS = st.text(CHARACTERS, min_size=1, max_size=49)


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


@given(PARTS, PARTS, st.sampled_from(["", "!", "?"]))
def test_names_of_the_grammar_can_be_sent_to(first: str, second: str, marker: str) -> None:
    """One part, or two with a marker between them."""
    name = first + marker + second if marker else first
    assert names.check_channel(name) == name


@given(st.one_of(st.text(max_size=120), st.text(CHARACTERS + "!?", max_size=120)))
def test_any_text_is_a_good_name_or_an_error(text: str) -> None:
    """A check returns the name as it is, by the grammar and no more, or raises InvalidName with the name."""
    if len(text) < 100 and re.fullmatch(r"[a-zA-Z0-9_.\-]+([?!][a-zA-Z0-9_.\-]+)?", text):
        assert names.check_channel(text) == text
    else:
        with pytest.raises(InvalidName, match=re.escape(repr(text))):
            names.check_channel(text)


@pytest.mark.parametrize(
    ("check", "name", "sentence"),
    [
        (names.check_channel, None, "a channel name is text, not NoneType: None"),
        (names.check_channel, b"a", "a channel name is text, not bytes: b'a'"),
        (names.check_channel, "x" * 100, "a channel name has at most 99 characters, this one 100: 'xxx"),
        (names.check_channel, "a b", "a channel name is made of ASCII letters, digits, '-', '_' and '.'"),
        (names.check_channel, "a!", "not 'a!'"),
        (names.check_readable, "a!b", "receive from an inbox by its part up to '!', not 'a!b'"),
        (names.check_readable, "a?", r"not 'a\?'"),
        (names.check_pattern, "a", "a pattern is made of .*it must end in '!' or '.', not 'a'"),
        (names.check_pattern, "x" * 46 + "!", "a pattern has at most 46 characters, this one 47"),
        (names.check_group, 1, "a group name is text, not int: 1"),
        (names.check_group, "", "a group name has 1 to 255 bytes in UTF-8, this one 0: ''"),
        (names.check_group, "é" * 128, "this one 256"),
        (names.check_group, "a\udfff", "a group name is valid Unicode .surrogates not allowed.: 'a.udfff'"),
    ],
)
def test_errors_name_fault_limit_and_value(check: Any, name: object, sentence: str) -> None:
    """The text of an InvalidName says all that is needed to mend it."""
    with pytest.raises(InvalidName, match=sentence):
        check(name)


@pytest.mark.parametrize("check", [names.check_channel, names.check_group])
@pytest.mark.parametrize("name", ["x" * 1_000_000, b"x" * 1_000_000])
def test_a_long_name_is_shown_in_part(check: Any, name: object) -> None:
    """A text that was taken for a name does not fill the log."""
    with pytest.raises(InvalidName) as caught:
        check(name)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["a", "a?b", "a!"])
def test_names_to_receive_from(name: str) -> None:
    """Queues, and inboxes up to and including their marker."""
    assert names.check_readable(name) == name


@pytest.mark.parametrize("pattern", ["a!", "a?", "x" * 45 + "!"])
def test_patterns(pattern: str) -> None:
    """A pattern is a first part and a marker."""
    assert names.check_pattern(pattern) == pattern


@given(st.text(min_size=1, max_size=63))
def test_groups_have_any_name(name: str) -> None:
    """63 characters are at most 252 bytes, so every such text can name a group."""
    assert names.check_group(name) == name


@pytest.mark.parametrize(
    "check",
    [
        names.check_channel,
        names.check_readable,
        names.check_group,
        lambda n: names.check_pattern(n + "!")[:-1],
    ],
)
def test_subclasses_of_text_come_back_as_text(check: Any) -> None:
    """What travels on is a plain ``str`` with the same characters."""
    checked = check(Loud("name"))
    assert (type(checked), checked) == (str, "name")


def test_a_channel_leads_to_an_inbox_or_is_a_queue() -> None:
    """Everything up to ``!`` names an inbox; other names have none."""
    assert names.inbox_of("websocket.send.p1!k1") == "websocket.send.p1!"
    assert names.inbox_of("http.request") is None
    assert names.inbox_of("http.request.body?k1") is None


def test_the_kind_of_an_inbox_is_in_its_name() -> None:
    """``inbox_kind`` undoes ``inbox_name``, for the channels of the inbox too."""
    process = names.new_process_name()
    inbox = names.inbox_name("websocket.send", process)
    assert inbox == f"websocket.send.{process}!"
    assert names.inbox_kind(inbox) == names.inbox_kind(inbox + "k1") == "websocket.send"


@pytest.mark.parametrize("kind", ["", "a b", "x" * 46, "a!"])
def test_a_kind_that_makes_no_good_names_is_refused(kind: str) -> None:
    """A kind follows the grammar and leaves room for process and key."""
    with pytest.raises(InvalidName, match="pattern"):
        names.inbox_name(kind, names.new_process_name())


def test_the_longest_kind_leaves_room_for_the_longest_key() -> None:
    """The limits fit each other: a serial number of 64 bits still makes a good name."""
    inbox = names.inbox_name("x" * 45, names.new_process_name())
    assert names.check_channel(inbox + f"{2**64 - 1:x}" + "f" * 16)


def test_keys_never_repeat_and_cannot_be_guessed() -> None:
    """A key is a serial number and 64 random bits."""
    keys = names.Keys()
    made = [next(keys) for _ in range(300)]
    assert [key[:-16] for key in made] == [f"{n:x}" for n in range(1, 301)]
    assert len({key[-16:] for key in made}) == 300


def test_process_names_are_unique() -> None:
    """Eighty random bits as 20 characters that may stand in a channel name."""
    made = {names.new_process_name() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[0-9a-f]{20}", name) for name in made)


def test_several_names_are_not_one() -> None:
    """A text where several names are expected would be taken apart into letters."""
    assert names.several(["a", "b"]) == ["a", "b"]
    with pytest.raises(InvalidName, match=r"expected several channel names, not one; give it as \['chat'\]"):
        names.several("chat")
