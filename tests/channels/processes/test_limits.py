"""Limits beyond which a worker process asks for another in its place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from channels.processes import limits
from channels.processes.limits import Limits
from channels.processes.memory import MIB
from channels.signals import consumer_finished


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    consumer_finished.disconnect(dispatch_uid="channels.limits")


def calls(number: int) -> None:
    """Let consumers be called."""
    for _ in range(number):
        consumer_finished.send(None)


def test_messages_are_counted() -> None:
    """It asks once, and at most a tenth behind the limit."""
    asked: list[str] = []
    Limits(100, None, asked.append).watch()
    calls(99)
    assert asked == []
    calls(11)
    [reason] = asked
    assert 100 <= int(reason.split()[3]) <= 110
    calls(500)
    assert asked == [reason]


def test_processes_that_begin_together_do_not_end_together() -> None:
    """Each has a limit of its own."""
    assert len({Limits(1000, None, print)._max_messages for _ in range(50)}) > 5
    assert len({Limits(None, 1000.0, print)._max_rss for _ in range(50)}) == 50


def test_memory_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then, not at every call."""
    asked: list[str] = []
    used = [50 * MIB]
    looks: list[int] = []

    def look() -> int:
        looks.append(1)
        return used[0]

    monkeypatch.setattr(limits, "resident", look)
    monkeypatch.setattr(limits, "JITTER", 0.0)
    Limits(None, 100, asked.append).watch()
    calls(1000)
    assert len(looks) == 1
    monkeypatch.setattr(limits, "PAUSE", 0.0)
    calls(1)
    assert asked == []
    used[0] = 101 * MIB
    calls(2)
    assert asked == ["it has 101 MiB in memory (--max-rss, and up to a tenth more)"]


def test_without_a_limit_nothing_is_counted() -> None:
    """And no consumer pays for it."""
    before = len(consumer_finished.receivers)
    Limits(None, None, print).watch()
    assert len(consumer_finished.receivers) == before


def test_what_is_kept_of_the_bound_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that keeps nearly all that it may have could do nothing more; it looks at once after an error."""
    asked: list[str] = []
    kept = [90 * MIB]
    monkeypatch.setattr(limits, "PAUSE", 0.0)
    monkeypatch.setattr(limits, "reserved", lambda: kept[0])
    Limits(None, None, asked.append, 100).watch()
    calls(1)
    assert asked == []
    kept[0] = 91 * MIB
    monkeypatch.setattr(limits, "PAUSE", 3600.0)
    calls(1)
    assert asked == []
    try:
        raise MemoryError
    except MemoryError:
        calls(2)
    assert asked == ["it keeps 91 of the 100 MiB that it may have (--max-memory)"]
