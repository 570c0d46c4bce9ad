"""What may be said of a figure: whether the load was the limit, and whether the machine was somebody else's as well."""

from __future__ import annotations

from typing import Final

from benchmarks.histogram import Histogram
from benchmarks.machine import Layout
from benchmarks.usage import Usage

MOST_OF_A_CORE: Final = 0.90
"""A process of the load that computes more than this share of the time may have been what took it."""
FULL: Final = 0.95
"""A processor of the load that is busier than this had no time left, whoever took it."""
FOREIGN: Final = 0.05
"""Share of a processor that others may have; more makes a figure theirs as well."""
STOLEN: Final = 0.02
"""Share of the time that the machine below may take away."""
LATE: Final = 0.001
"""Seconds by which one message in a hundred of an open loop may leave too late."""


def limited(used: Usage, layout: Layout, lags: Histogram | None = None) -> str:
    """Return why the load may have been the limit, or nothing if it was not."""
    for role, seconds in used.cpu.items():
        if role.startswith("load-") and seconds / used.seconds > MOST_OF_A_CORE:
            return f"a process of the load was busy for {seconds / used.seconds:.0%} of the time"
    for core in layout.load:
        if used.busy.get(core, 0.0) > FULL:
            return f"processor {core} of the load was busy for {used.busy[core]:.0%} of the time"
    if lags and lags.percentile(99) > LATE:
        return f"one message in a hundred left {lags.percentile(99) * 1000:.1f} ms too late"
    return ""


def disturbed(used: Usage, layout: Layout) -> str:
    """Return who else was at work on the processors of the measurement, or nothing if nobody was."""
    for core in layout.cores:
        if used.stolen.get(core, 0.0) > STOLEN:
            return f"the machine below took {used.stolen[core]:.0%} of processor {core}"
    if used.foreign / used.seconds > FOREIGN:
        return f"other processes had {used.foreign / used.seconds:.0%} of a processor"
    return ""
