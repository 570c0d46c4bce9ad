"""The machine: which processors servers and load get, and what a reader has to know of it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

MOST_LOADS: Final = 4
"""Processes that make the load, where there are processors for them."""


@dataclass(frozen=True)
class Layout:
    """Who runs where. Servers and workers share one processor; Redis and the load have others."""

    servers: int
    redis: int
    load: tuple[int, ...]

    @classmethod
    def on(cls, cores: list[int]) -> Self:
        """Divide ``cores``: with two, Redis shares that of the load; with more, it has one of its own.

        Raises :exc:`SystemExit` for a single one: then load and server would take each other's time.
        """
        if len(cores) < 2:
            raise SystemExit("benchmarks need two processors, one for the servers and one for the load")
        load = tuple(cores[2 : 2 + MOST_LOADS]) or (cores[1],)
        return cls(cores[0], cores[1], load)

    @property
    def cores(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(dict.fromkeys((self.servers, self.redis, *self.load)))


def available() -> list[int]:
    """Return the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    raise SystemExit("benchmarks need Linux: they give each process its processor and read what it used from /proc")


def facts() -> dict[str, str]:
    """Return what is to be known of the machine, without its name."""
    return {
        "processor": _line("/proc/cpuinfo", "model name"),
        "processors": str(os.cpu_count()),
        "virtual": "yes" if " hypervisor" in _line("/proc/cpuinfo", "flags") else "no",
        "memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0] or 0) / 1024 / 1024:.0f} GiB",
        "system": f"{_line('/etc/os-release', 'PRETTY_NAME', '=')}, Linux {platform.release().split('-')[0]}",
    }


def _line(path: str, name: str, separator: str = ":") -> str:
    """Return the value of the first line that begins with ``name``, or ``0`` where there is none."""
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(separator)
        if key.strip() == name:
            return value.strip().strip('"')
    return "0"
