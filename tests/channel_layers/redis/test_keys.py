"""Names of keys, and the slots of a cluster that they are in."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layers.redis.keys import Keys

KEYS = Keys("channels:")


def tag(key: str) -> str:
    """Return the part of ``key`` that a cluster hashes, as its specification says."""
    start = key.index("{") + 1
    return key[start : key.index("}", start)]


def test_work_shares_a_slot() -> None:
    """One script takes from any queues into any claim list."""
    names = [KEYS.queue("a"), KEYS.queue("b?c"), KEYS.bell("a"), KEYS.wake("s"), KEYS.claims + "s"]
    assert {tag(name) for name in (*names, KEYS.slots, KEYS.processes)} == {"work"}


def test_an_inbox_shares_a_slot_with_what_belongs_to_it() -> None:
    """One script appends to a stream and marks its gaps; another inbox is elsewhere."""
    names = [make("x!") for make in (KEYS.stream, KEYS.gaps, KEYS.waiting, KEYS.room)]
    assert {tag(name) for name in (*names, KEYS.entry("x!", "1"))} == {"inbox:x!"}
    assert tag(KEYS.stream("y!")) == "inbox:y!"


def test_only_a_stream_is_a_stream() -> None:
    """A flush tells the streams, which it empties, from all else, which it deletes."""
    assert KEYS.is_stream(KEYS.stream("x!"))
    assert not any(map(KEYS.is_stream, [KEYS.gaps("x!"), KEYS.group("x"), KEYS.queue("x"), "b:{inbox:x!}"]))


@pytest.mark.parametrize("prefix", ["", "a{b", "}", None, b"a:"])
def test_a_prefix_has_no_braces(prefix: Any) -> None:
    """A brace in the prefix would decide which part of each key is hashed."""
    with pytest.raises(ValueError, match="prefix is text without braces"):
        Keys(prefix)
