"""What may be said of a figure depends on who was at work on the processors."""

from __future__ import annotations

from benchmarks import verdict
from benchmarks.histogram import Histogram
from benchmarks.machine import Layout
from benchmarks.usage import Usage

LAYOUT = Layout(servers=0, redis=1, load=(1,))


def usage(load: float, *, others: float = 0.0, stolen: float = 0.0) -> Usage:
    """Return a second in which the server was busy all the time, the load and others so much of it."""
    busy = {0: 1.0, 1: min(1.0, load + others)}
    return Usage(1.0, busy, {0: 0.0, 1: stolen}, {"server": 1.0, "load-0": load})


def test_a_load_with_time_to_spare_was_not_the_limit() -> None:
    """Half of a processor is not what held the server up."""
    assert verdict.limited(usage(0.5), LAYOUT) == ""
    assert verdict.disturbed(usage(0.5), LAYOUT) == ""


def test_a_load_that_was_always_busy_was_the_limit() -> None:
    """The reason names the share."""
    assert verdict.limited(usage(0.93), LAYOUT) == "a process of the load was busy for 93% of the time"


def test_a_full_processor_was_the_limit_whoever_filled_it() -> None:
    """Redis or somebody else may have taken what the load needed."""
    assert "processor 1 of the load was busy for 100%" in verdict.limited(usage(0.4, others=0.6), LAYOUT)


def test_messages_that_left_too_late_are_the_fault_of_the_load() -> None:
    """An open loop that does not keep its schedule measures itself."""
    assert verdict.limited(usage(0.1), LAYOUT, Histogram.of([0.0001] * 100)) == ""
    assert "left 5.0 ms too late" in verdict.limited(usage(0.1), LAYOUT, Histogram.of([0.005] * 100))


def test_others_disturb() -> None:
    """Processes without a role, and the machine below, have a hand in a figure."""
    assert verdict.disturbed(usage(0.4, others=0.2), LAYOUT) == "other processes had 20% of a processor"
    assert verdict.disturbed(usage(0.4, stolen=0.03), LAYOUT) == "the machine below took 3% of processor 1"
