"""Limits beyond which a worker process asks for another in its place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels.processes import limits
from channels.processes.limits import MIB, Limits, resident
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


def test_resident_grows_with_what_is_kept() -> None:
    """By about as much as was touched."""
    before = resident()
    kept = bytearray(b"x") * (64 * MIB)
    assert 48 * MIB < resident() - before < 96 * MIB
    del kept


def test_where_the_system_does_not_tell_it_is_the_peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the unit that the system counts in."""
    monkeypatch.setattr(limits, "STATM", tmp_path / "absent")
    linux = resident()
    assert linux > 5 * MIB
    monkeypatch.setattr(sys, "platform", "darwin")
    assert resident() * 1024 >= linux
