"""Memory of processes: how much they have, and that they get no more.

The bound is on what a process may write and shares with nobody (RLIMIT_DATA), which is about what it has in memory and
8 MiB for the stack of each thread. The address space (RLIMIT_AS) says little: every thread reserves 64 MiB of it that
are never used, and libraries are in it. The resident memory cannot be bounded from within (RLIMIT_RSS means nothing on
Linux), so that is looked at from outside.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Final
from weakref import WeakSet

from channels.processes.child import Child
from channels.processes.fleet import Fleet

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # absence is the fact to record

logger = logging.getLogger("django.channels.processes")

MIB: Final = 1024 * 1024
PROCESSES: Final = Path("/proc")
PAUSE: Final = 0.25
"""Seconds between two looks at the processes, some 20 µs for each."""
JITTER: Final = 0.1
"""Share of a limit that a process adds to it at most; see :mod:`channels.processes.limits`."""
FAR: Final = 2.0
"""How many times its limit a process may have in memory before it is killed."""


def resident(process: int | None = None) -> int:
    """Return how many bytes of a process, by default this one, are in memory.

    Where the system does not tell, it is the most that this process ever had. Raises :exc:`OSError` for another process
    that has gone.
    """
    try:
        pages = int(_told_of(process, "statm").split()[1])
    except FileNotFoundError:
        if process is not None:
            raise
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()


def reserved() -> int:
    """Return how many of the bytes this process has that :func:`bound` counts."""
    lines = _told_of(None, "status").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))


def bound(mib: float) -> None:
    """Let this process, and those that it starts, have so many MiB of their own: more is a :exc:`MemoryError`."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(mib * MIB), hard))


def fault_of_bound(mib: float) -> str:
    """Return why this process cannot work with so many MiB, or ``""``."""
    try:
        needed = reserved() / MIB
    except OSError:
        return "needs a system that bounds the memory of a process and tells what it has, such as Linux"
    if mib > needed:
        return ""
    return f"{mib:g} is less than the {needed:.0f} MiB that a process needs before it has called a consumer"


class MemoryWatch:
    """Looks at what the processes of ``fleet`` have in memory, also while they run consumers that do not return.

    One that has more than ``max_rss`` MiB, and the tenth that each may add, is replaced. One that has twice as much,
    perhaps while it finishes what it had taken, is killed.
    """

    def __init__(self, fleet: Fleet, max_rss: float) -> None:
        self._fleet = fleet
        self._max_rss = max_rss
        self._full: WeakSet[Child] = WeakSet()
        self._killed: WeakSet[Child] = WeakSet()

    async def run(self) -> None:
        """Look until it is cancelled, where the system tells anything of other processes."""
        while PROCESSES.exists():
            for child in self._fleet.children:
                try:
                    self._judge(child, resident(child.pid) / MIB)
                except OSError:
                    continue  # it has ended
            await asyncio.sleep(PAUSE)

    def _judge(self, child: Child, used: float) -> None:
        if used > self._max_rss * FAR and child not in self._killed:
            self._killed.add(child)
            text = "%s is killed: it has %.0f MiB in memory, more than %g times --max-rss %g"
            logger.error(text, child, used, FAR, self._max_rss)
            child.send(signal.SIGKILL)
        elif used > self._max_rss * (1 + JITTER) and child not in self._full:
            self._full.add(child)
            self._fleet.replace(child, f"it has {used:.0f} MiB in memory (--max-rss, and a tenth more)")


def _told_of(process: int | None, file: str) -> str:
    return (PROCESSES / str("self" if process is None else process) / file).read_text()
