from __future__ import annotations

from channel_layers.unread import Unread


def test_messages_come_back_in_order() -> None:
    """First in, first out, each once."""
    unread = Unread()
    unread.add("a", [("a", {"n": 1}), ("a", {"n": 2})])
    unread.add("a", [("a", {"n": 3})])
    assert [unread.pop(["a"]) for _ in range(4)] == [("a", {"n": 1}), ("a", {"n": 2}), ("a", {"n": 3}), None]


def test_sources_are_apart() -> None:
    """Only what was read from the named sources is returned."""
    unread = Unread()
    unread.add("a", [("a", {})])
    assert unread.pop(["b"]) is None
    assert unread.pop([]) is None
    assert unread.pop(["b", "a"]) == ("a", {})


def test_nothing_is_kept_of_sources_that_are_empty() -> None:
    """Channels come and go; what was read from them takes no memory afterwards."""
    unread = Unread()
    unread.add("a", [])
    unread.add("b", [("b", {})])
    unread.pop(["b"])
    assert not unread._messages


def test_clear_forgets_all() -> None:
    """After a flush nothing read before is returned."""
    unread = Unread()
    unread.add("a", [("a", {})])
    unread.clear()
    assert unread.pop(["a"]) is None
