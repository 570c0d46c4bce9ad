"""How fast a socket may speak, and how long it may be silent."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daphne.pace import BURST, IdleLimits, Rate


def test_a_burst_is_what_a_second_allows() -> None:
    """So many at once cost no wait, one more costs its share, and time makes good for it."""
    rate = Rate(10)
    assert rate.take(100.0, 10) == pytest.approx(0.0)
    assert rate.take(100.0, 1) == pytest.approx(0.1)
    assert rate.take(100.1, 0) == pytest.approx(0.0)
    assert rate.take(500.0, 10) == pytest.approx(0.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50)), min_size=1), st.integers(1, 100))
def test_who_waits_as_told_never_exceeds_the_rate(steps: list[tuple[float, int]], limit: int) -> None:
    """Over any time from the start: one burst, and the rate for as long as it took."""
    rate, now, total = Rate(limit), 1000.0, 0
    for pause, number in steps:
        now += pause
        wait = rate.take(now, number)
        total += number
        now += wait
        assert total <= limit * (now - 1000.0 + BURST) + 1e-6


def test_the_first_pattern_in_the_path_counts() -> None:
    """Where none is found it is the default."""
    limits = IdleLimits(60.0, [("^/chat/", 600), ("/live/$", 0), ("", 5.0)])
    assert [limits.of(path) for path in ("/chat/live/", "/a/live/", "/")] == [600, 0, 5.0]
    assert IdleLimits(60.0).of("/chat/") == 60.0


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (("(", 1), "idle_timeouts: '(' is no regular expression: "),
        ((1, 1), "idle_timeouts: 1 is no regular expression: "),
        (("a", -1), "idle_timeouts: the limit of 'a' is a number of seconds, not -1"),
        (("a", "1"), "idle_timeouts: the limit of 'a' is a number of seconds, not '1'"),
        (("a", True), "idle_timeouts: the limit of 'a' is a number of seconds, not True"),
    ],
)
def test_rules_that_are_refused(rule: tuple[str, float], expected: str) -> None:
    """The error names the pattern and the value."""
    with pytest.raises(ValueError, match="^" + re.escape(expected)):
        IdleLimits(0.0, [rule])
