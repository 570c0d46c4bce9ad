"""Histograms of latencies keep what is asked of them, to the width of a bucket."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.histogram import PRECISION, Histogram

LATENCIES = st.lists(st.floats(1e-7, 100.0), min_size=1, max_size=200)


@given(LATENCIES, st.floats(0.1, 100.0))
def test_a_percentile_is_that_of_the_sorted_values(values: list[float], share: float) -> None:
    """The value is that which so many percent do not exceed, to within a bucket."""
    exact = sorted(values)[max(1, math.ceil(len(values) * share / 100)) - 1]
    assert Histogram.of(values).percentile(share) == pytest.approx(exact, rel=1 / PRECISION)


@given(LATENCIES, LATENCIES)
def test_histograms_add_up(first: list[float], second: list[float]) -> None:
    """What two processes have seen is what one would have seen that saw both."""
    found = Histogram.of(first)
    found.add(Histogram.of(second))
    assert found.to_json() == Histogram.of(first + second).to_json()


@given(LATENCIES)
def test_a_histogram_survives_json(values: list[float]) -> None:
    """Counts are kept when the numbers of buckets have become text."""
    found = Histogram.of(values)
    assert Histogram.from_json(json.loads(json.dumps(found.to_json()))).summary() == found.summary()


def test_nothing_has_no_percentile() -> None:
    """A percentile of nothing is an error, and a summary of nothing is empty."""
    with pytest.raises(ValueError, match="percentile of nothing"):
        Histogram().percentile(50)
    assert Histogram().summary() == {}


def test_the_longest_is_among_the_percentiles() -> None:
    """One stall in a thousand is seen where it belongs: in the tail, and not in the median."""
    summary = Histogram.of([0.001] * 999 + [1.0]).summary()
    assert summary["p50"] == pytest.approx(1.0, rel=0.01)
    assert summary["p100"] == pytest.approx(1000.0, rel=0.01)
