"""What processors and processes have done between two moments, read from ``/proc``."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PROC = Path("/proc")


@dataclass(frozen=True)
class Snapshot:
    """One moment: seconds that each processor has been idle or was taken away, and that each role has computed."""

    at: float
    idle: Mapping[int, float]
    stolen: Mapping[int, float]
    cpu: Mapping[str, float]


@dataclass(frozen=True)
class Usage:
    """What happened in a window: its length, shares of it by processor, CPU seconds by role."""

    seconds: float
    busy: Mapping[int, float] = field(default_factory=dict)
    stolen: Mapping[int, float] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)

    @property
    def foreign(self) -> float:
        """Seconds that the processors were busy for nobody whose role is known."""
        return max(0.0, sum(self.busy.values()) * self.seconds - sum(self.cpu.values()))


def snapshot(cores: Collection[int], roles: Mapping[str, Sequence[int]]) -> Snapshot:
    """Look at the processors ``cores`` and at the processes of each role; one that has gone counts nothing."""
    idle, stolen = processors(cores)
    cpu = {role: sum(cpu_seconds(pid) for pid in pids) for role, pids in roles.items()}
    return Snapshot(time.perf_counter(), idle, stolen, cpu)


def between(before: Snapshot, after: Snapshot) -> Usage:
    """Return what happened from one moment to the other."""
    seconds = after.at - before.at
    return Usage(
        seconds,
        {core: _share(1 - (after.idle[core] - idle) / seconds) for core, idle in before.idle.items()},
        {core: _share((after.stolen[core] - stolen) / seconds) for core, stolen in before.stolen.items()},
        {role: after.cpu[role] - used for role, used in before.cpu.items()},
    )


def _share(value: float) -> float:
    # Idle time is counted in ticks and read at slightly different moments: neither makes a processor negative.
    return min(1.0, max(0.0, value))


def processors(cores: Collection[int]) -> tuple[dict[int, float], dict[int, float]]:
    """Return the idle and the stolen seconds of each of ``cores`` since the machine was started."""
    idle, stolen = {}, {}
    for line in (PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            # Waiting for a disk is idle time: nobody computes.
            idle[int(name[3:])] = (int(fields[3]) + int(fields[4])) / TICKS
            stolen[int(name[3:])] = int(fields[7]) / TICKS
    return idle, stolen


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used, those of threads that have ended included, 0 if it has gone.

    The process's own clock, as of ``clock_getcpuclockid(3)``: it counts nanoseconds where ``/proc`` has ticks.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    """Return the ids of the children of a process, and of theirs."""
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent in _parents():
        children[parent].append(child)
    found = list(children[pid])
    for each in found:  # grows while it is walked through
        found += children[each]
    return found


def naming(text: str) -> list[int]:
    """Return the ids of the processes that have ``text`` in their command line."""
    return [pid for pid in _pids() if text in _read(PROC / str(pid) / "cmdline")]


def kernel_threads(cores: Collection[int]) -> list[int]:
    """Return the threads of the kernel that deliver packets on ``cores`` when there are many."""
    names = {f"ksoftirqd/{core}" for core in cores}
    return [pid for pid in _pids() if _read(PROC / str(pid) / "comm").strip() in names]


def _parents() -> list[tuple[int, int]]:
    stats = [(pid, _read(PROC / str(pid) / "stat")) for pid in _pids()]
    return [(pid, int(stat.rpartition(")")[2].split()[1])) for pid, stat in stats if stat]


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended meanwhile
        return ""
