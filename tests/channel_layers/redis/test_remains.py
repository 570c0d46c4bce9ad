"""What was read of an inbox and is still there."""

from __future__ import annotations

import pytest

from channel_layers.redis.remains import MAX_ENTRIES, MAX_SECONDS, MAX_SIZE, Remains

Entry = tuple[bytes, list[bytes]]


def entry(number: int, size: int = 1) -> Entry:
    """Return an entry as the server does."""
    return b"%d-0" % number, [b"d", bytes(size)]


@pytest.mark.parametrize(
    ("read", "capacity", "are_much"),
    [
        ([], 1, False),
        ([entry(1)], 50_000, False),
        ([entry(n) for n in range(MAX_ENTRIES - 1)], 50_000, False),
        ([entry(n) for n in range(MAX_ENTRIES)], 50_000, True),
        ([entry(1, MAX_SIZE - 1)], 50_000, False),
        ([entry(1, MAX_SIZE)], 50_000, True),
        ([entry(1)], 199, True),
        ([entry(1)], 200, False),
        ([entry(1), entry(2)], 200, True),
    ],
)
def test_entries_or_bytes_are_enough(read: list[Entry], capacity: int, are_much: bool) -> None:
    """Whichever comes first; a small inbox has no room for what was read."""
    remains = Remains()
    remains.add(read, is_end=True)
    assert remains.are_much(capacity) is are_much
    assert bool(remains) is bool(read)
    remains.delete()
    assert not remains
    assert not remains.are_much(capacity)


def test_after_a_while_one_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted from when something was deleted last."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    remains = Remains()
    now += MAX_SECONDS
    assert not remains.are_much(50_000)
    for _ in range(2):
        remains.add([entry(1)], is_end=True)
        assert remains.are_much(50_000)
        remains.delete()
        remains.add([entry(2)], is_end=True)
        assert not remains.are_much(50_000)
        now += MAX_SECONDS


def test_what_was_read_is_known_when_it_comes_again() -> None:
    """Also what a command that was perhaps not carried out should have deleted; until all was read once more."""
    remains = Remains()
    remains.add([entry(1)], is_end=True)
    remains.delete()
    remains.add([entry(2)], is_end=True)
    assert remains.without_known([entry(2)]) == [entry(2)]
    remains.expect_again()
    assert remains.without_known([entry(1), entry(2), entry(3)]) == [entry(3)]
    remains.add([entry(3)], is_end=False)
    assert remains.without_known([entry(2), entry(4)]) == [entry(4)]
    remains.add([entry(4)], is_end=True)
    assert remains.without_known([entry(2)]) == [entry(2)]
