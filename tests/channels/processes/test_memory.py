"""Memory of processes: looked at, and bounded."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from channels.processes import memory
from channels.processes.memory import MIB, MemoryWatch, fault_of_bound, reserved, resident


def test_resident_grows_with_what_is_kept() -> None:
    """By about as much as was touched."""
    before = resident()
    kept = bytearray(b"x") * (64 * MIB)
    assert 48 * MIB < resident() - before < 96 * MIB
    del kept


def test_another_process_is_looked_at() -> None:
    """By its number; one that has gone is an error."""
    assert abs(resident(os.getpid()) - resident()) < 64 * MIB
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(OSError, match="No such"):
        resident(gone.pid)


def test_where_the_system_does_not_tell_it_is_the_peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the unit that the system counts in."""
    monkeypatch.setattr(memory, "PROCESSES", tmp_path / "absent")
    linux = resident()
    assert linux > 5 * MIB
    monkeypatch.setattr(sys, "platform", "darwin")
    assert resident() * 1024 >= linux


BOUNDED = """
import sys
from channels.processes.memory import MIB, bound, reserved

before = reserved()
bound(before / MIB + 64)
kept = bytearray(32 * MIB)
print((reserved() - before) // MIB)
try:
    bytearray(64 * MIB)
except MemoryError:
    print("no more")
"""


def test_a_process_gets_no_more_than_its_bound() -> None:
    """What it asks for beyond that is a MemoryError, which it survives."""
    done = subprocess.run([sys.executable, "-c", BOUNDED], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["32", "no more"]


def test_a_bound_below_what_is_needed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the number; so is any where it would mean nothing."""
    assert fault_of_bound(reserved() / MIB + 100) == ""
    assert "1 is less than the " in fault_of_bound(1)
    monkeypatch.setattr(memory, "PROCESSES", tmp_path / "absent")
    assert "such as Linux" in fault_of_bound(1000)


class Process:
    """Stands for a process with memory."""

    def __init__(self, pid: int, mib: float) -> None:
        self.pid, self.mib = pid, mib
        self.signals: list[signal.Signals] = []

    def send(self, number: signal.Signals) -> None:
        self.signals.append(number)

    def __str__(self) -> str:
        return f"worker (process {self.pid})"


class Processes:
    """Stands for the fleet."""

    def __init__(self, *children: Process) -> None:
        self.children = children
        self.asked: list[tuple[int, str]] = []
        self.looks = 0

    def replace(self, child: Process, reason: str) -> None:
        self.asked.append((child.pid, reason))

    def resident(self, pid: int) -> float:
        self.looks += 1
        child = next(child for child in self.children if child.pid == pid)
        if child.mib < 0:
            raise ProcessLookupError
        return child.mib * MIB


def look(monkeypatch: pytest.MonkeyPatch, fleet: Any, looks: int) -> None:
    """Let the processes be looked at a number of times."""

    async def main() -> None:
        watching = asyncio.create_task(MemoryWatch(fleet, 100).run())
        while fleet.looks < looks * len(fleet.children):  # noqa: ASYNC110 - each turn of the loop is a look
            await asyncio.sleep(0)
        watching.cancel()

    monkeypatch.setattr(memory, "resident", fleet.resident)
    monkeypatch.setattr(memory, "PAUSE", 0.0)
    asyncio.run(main())


def test_a_process_that_is_full_is_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while its consumer runs. Up to a tenth more is its own affair, and one that has ended is nobody's."""
    fleet = Processes(Process(1, 109), Process(2, 111), Process(3, -1))
    look(monkeypatch, fleet, 3)
    assert fleet.asked == [(2, "it has 111 MiB in memory (--max-rss, and a tenth more)")]
    assert not any(child.signals for child in fleet.children)


def test_a_process_far_above_is_killed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """At once, and once."""
    fleet = Processes(Process(1, 201), Process(2, 200))
    with caplog.at_level(logging.ERROR):
        look(monkeypatch, fleet, 3)
    assert [child.signals for child in fleet.children] == [[signal.SIGKILL], []]
    [line] = caplog.messages
    assert line == "worker (process 1) is killed: it has 201 MiB in memory, more than 2 times --max-rss 100"


def test_where_processes_are_hidden_nobody_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is no error."""
    monkeypatch.setattr(memory, "PROCESSES", tmp_path / "absent")
    fleet: Any = Processes(Process(1, 1000))
    asyncio.run(MemoryWatch(fleet, 100).run())
    assert fleet.looks == 0
