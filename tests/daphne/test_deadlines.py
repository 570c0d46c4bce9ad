"""Time limits on a clock that the test moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daphne.deadlines import RESOLUTION, Deadlines


class Handle:
    """A timer; ``active`` until it has run or was cancelled."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.active = True

    def cancel(self) -> None:
        self.active = False


class Clock:
    """As much of a loop as deadlines need; ``armed`` are the times of its timers."""

    def __init__(self) -> None:
        self.now = 100.0
        self._handles: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        self._handles.append(Handle(when, callback))
        return self._handles[-1]

    @property
    def armed(self) -> list[float]:
        return [handle.when for handle in self._handles if handle.active]

    def advance(self, seconds: float) -> None:
        """Let time pass and run what is due, each at its time."""
        end = self.now + seconds
        while due := [handle for handle in self._handles if handle.active and handle.when <= end]:
            first = min(due, key=lambda handle: handle.when)
            first.cancel()
            self.now = max(self.now, first.when)
            first.callback()
        self.now = end


class Limited:
    """Records when it was called; returns the next of ``answers``."""

    def __init__(self, *answers: float) -> None:
        self.due = 0
        self.calls: list[float] = []
        self.answers = list(answers)
        self.then: Callable[[], None] = lambda: None

    def on_deadline(self, now: float) -> float | None:
        self.calls.append(now)
        self.then()
        return now + self.answers.pop(0) if self.answers else None


def fail() -> None:
    """Do what a connection with a defect does."""
    raise RuntimeError("broken")


def new_deadlines() -> tuple[Clock, Deadlines]:
    """Return a clock and deadlines on it."""
    clock = Clock()
    return clock, Deadlines(cast("asyncio.AbstractEventLoop", clock))


def test_a_deadline_comes_in_time_and_once() -> None:
    """It is called when its time has come, at most a tick later, and then no timer is left."""
    clock, deadlines = new_deadlines()
    limited = Limited()
    deadlines.within(1.1, limited)
    clock.advance(1.09)
    assert limited.calls == []
    clock.advance(60)
    (called,) = limited.calls
    assert 101.1 <= called <= 101.1 + RESOLUTION
    assert (clock.armed, limited.due) == ([], 0)


def test_the_earlier_deadline_wins() -> None:
    """A second deadline counts only if it comes before the first."""
    clock, deadlines = new_deadlines()
    limited = Limited()
    deadlines.within(10, limited)
    deadlines.within(20, limited)
    deadlines.within(5, limited)
    clock.advance(60)
    assert limited.calls == [105.0]


def test_one_timer_serves_all() -> None:
    """The loop knows the earliest deadline only."""
    clock, deadlines = new_deadlines()
    limited = [Limited() for _ in range(3)]
    for seconds, each in zip((10, 5, 20), limited, strict=True):
        deadlines.within(seconds, each)
    assert clock.armed == [105.0]
    clock.advance(5)
    assert clock.armed == [110.0]
    clock.advance(15)
    assert [each.calls for each in limited] == [[110.0], [105.0], [120.0]]
    assert clock.armed == []


def test_a_cancelled_deadline_never_comes() -> None:
    """Cancelling forgets it, also twice, and a new one can be set."""
    clock, deadlines = new_deadlines()
    limited = Limited()
    deadlines.within(5, limited)
    deadlines.cancel(limited)
    deadlines.cancel(limited)
    deadlines.within(7, limited)
    clock.advance(60)
    assert limited.calls == [107.0]
    assert clock.armed == []


def test_a_deadline_says_when_to_look_again() -> None:
    """What is returned is the next deadline; None ends it."""
    clock, deadlines = new_deadlines()
    limited = Limited(2, 3)
    deadlines.within(1, limited)
    clock.advance(60)
    assert limited.calls == [101.0, 103.0, 106.0]
    assert clock.armed == []


def test_one_may_cancel_another_of_the_same_tick() -> None:
    """Whichever of two comes first, the one it has cancelled is not called."""
    clock, deadlines = new_deadlines()
    one, other = Limited(), Limited()
    one.then = lambda: deadlines.cancel(other)
    other.then = lambda: deadlines.cancel(one)
    deadlines.within(1, one)
    deadlines.within(1, other)
    clock.advance(60)
    assert len(one.calls) + len(other.calls) == 1


def test_an_error_ends_no_other_limit(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of one connection is logged; those of the same tick and of later ones are still looked after."""
    clock, deadlines = new_deadlines()
    limited = [Limited() for _ in range(3)]
    limited[0].then = limited[1].then = fail
    for seconds, each in zip((1, 1, 2), limited, strict=True):
        deadlines.within(seconds, each)
    clock.advance(60)
    assert [len(each.calls) for each in limited] == [1, 1, 1]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_closing_forgets_everything() -> None:
    """No timer is left; what was entered may still be cancelled."""
    clock, deadlines = new_deadlines()
    limited = Limited()
    deadlines.close()
    deadlines.within(1, limited)
    deadlines.close()
    deadlines.cancel(limited)
    clock.advance(60)
    assert (clock.armed, limited.calls) == ([], [])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["within", "cancel", "advance"]),
            st.integers(0, 3),
            st.floats(0.01, 30, allow_nan=False),
        ),
        max_size=40,
    )
)
def test_deadlines_agree_with_a_model(steps: list[tuple[str, int, float]]) -> None:
    """Each is called once, not before its earliest deadline and at most one tick after it."""
    clock, deadlines = new_deadlines()
    limited = [Limited() for _ in range(4)]
    expected: dict[int, float] = {}
    for name, index, seconds in steps:
        if name == "within":
            deadlines.within(seconds, limited[index])
            expected[index] = min(expected.get(index, clock.now + seconds), clock.now + seconds)
        elif name == "cancel":
            deadlines.cancel(limited[index])
            expected.pop(index, None)
        else:
            clock.advance(seconds)
            check(clock, limited, expected)
    clock.advance(60)
    check(clock, limited, expected)
    assert (expected, clock.armed) == ({}, [])


def check(clock: Clock, limited: list[Limited], expected: dict[int, float]) -> None:
    """Compare who was called with who should have been; forget both."""
    for index, each in enumerate(limited):
        deadline = expected.get(index)
        if each.calls:
            (called,) = each.calls
            assert deadline is not None
            assert deadline - 1e-6 <= called <= deadline + RESOLUTION + 1e-6
            del expected[index]
            each.calls.clear()
        else:
            assert deadline is None or deadline + RESOLUTION >= clock.now
