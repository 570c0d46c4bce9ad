"""The regular expressions of routes: what a filter may be, how two combine, what they are matched against."""

from __future__ import annotations

import re

Filter = str | bytes | re.Pattern[str] | re.Pattern[bytes]

_ESCAPES_AND_SETS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_INNERMOST_GROUP = re.compile(r"\([^()]*\)")
_OPTIONAL_GROUP = re.compile(r"\)[?*{]")
_LETTER_FIRST = re.compile(r"\^*(?:\((?:\?P<\w+>|\?:)?)*(?:[a-zA-Z0-9_-]|\\[wd])(?![?*{])")
_SCOPED_FLAGS = {re.ASCII: "a", re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.VERBOSE: "x"}


def compile_filter(key: str, pattern: Filter) -> re.Pattern[str]:
    """Return ``pattern`` compiled, bytes as ASCII text.

    Raises :exc:`ValueError` if it is no regular expression or has unnamed groups, because groups become keyword
    arguments, and :exc:`TypeError` for anything else.
    """
    compiled = _compiled(key, pattern)
    if compiled.groups != len(compiled.groupindex):
        raise ValueError(
            f"{key}={compiled.pattern!r} has unnamed groups; what they match becomes keyword arguments: "
            "name them, (?P<name>...), or do not capture, (?:...)"
        )
    return compiled


def combine(key: str, prefix: re.Pattern[str], inner: re.Pattern[str]) -> re.Pattern[str]:
    """Return the pattern that matches ``prefix`` followed by ``inner``, each with its own flags.

    Raises :exc:`ValueError` where appending would mean something else: no ``^`` at the beginning of either, ``$`` in
    the prefix, alternatives outside a group, or a group name used in both.
    """
    fault = _fault(prefix, inner)
    if fault:
        raise ValueError(f"cannot combine {key}={prefix.pattern!r} with {key}={inner.pattern!r}: {fault}")
    return _compiled(key, "^" + _unanchored(prefix) + _unanchored(inner))


def with_slash(pattern: re.Pattern[str]) -> str | None:
    """Return ``pattern`` with the slash that it lacks to match any path, as patterns of Django's own URLs do.

    ``None`` where it has one, or where that is not plain to see.
    """
    text = pattern.pattern
    if "|" in text or pattern.flags & re.VERBOSE or _OPTIONAL_GROUP.search(text) or not _LETTER_FIRST.match(text):
        return None
    return "^/" + text.lstrip("^")


def text_of(value: object) -> str | None:
    """Return the text that patterns see of a value in a message: bytes as ASCII, integers in decimal, or ``None``."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes) and value.isascii():
        return value.decode("ascii")
    return None


def _compiled(key: str, pattern: Filter) -> re.Pattern[str]:
    if not isinstance(pattern, (str, bytes, re.Pattern)):
        kind = type(pattern).__name__
        raise TypeError(f"{key}={pattern!r}: a filter is a regular expression, text or compiled, not {kind}")
    text = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
    flags = pattern.flags if isinstance(pattern, re.Pattern) else 0
    try:
        return re.compile(text, flags) if isinstance(text, str) else re.compile(text.decode("ascii"), flags | re.ASCII)
    except (re.error, UnicodeDecodeError) as error:
        raise ValueError(f"{key}={text!r} is no regular expression: {error}") from error


def _fault(prefix: re.Pattern[str], inner: re.Pattern[str]) -> str:
    for pattern in (prefix, inner):
        if not pattern.pattern.startswith("^"):
            return f"both must begin with '^'; write {'^' + pattern.pattern!r}"
        if "|" in _outside_groups(pattern.pattern):
            return f"in {pattern.pattern!r} put the alternatives into a group, ^(?:...|...)"
    if "$" in _ESCAPES_AND_SETS.sub("", prefix.pattern):
        return "nothing can follow a '$'; write the prefix without it"
    shared = sorted(prefix.groupindex.keys() & inner.groupindex.keys())
    return f"both name a group {shared[0]!r}; give one of them another name" if shared else ""


def _outside_groups(text: str) -> str:
    text, groups = _ESCAPES_AND_SETS.sub("", text), 1
    while groups:
        text, groups = _INNERMOST_GROUP.subn("", text)
    return text


def _unanchored(pattern: re.Pattern[str]) -> str:
    text = pattern.pattern.lstrip("^")
    letters = "".join(letter for flag, letter in _SCOPED_FLAGS.items() if pattern.flags & flag)
    end = "\n" if pattern.flags & re.VERBOSE else ""  # a comment may stand in the last line
    return f"(?{letters}:{text}{end})" if letters else text
