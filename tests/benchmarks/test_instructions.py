"""Counts are compared with those of the same build, within a tolerance."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.instructions.__main__ import differences, total, verdict, why_new
from benchmarks.instructions.baseline import Baseline, Change, Counts

BEFORE = Baseline({"this": Counts({"a": 1000, "b": 1000, "gone": 5}, {"msgspec": "1"})})


def test_forks_are_subtracted_from_one_another() -> None:
    """What forking takes, and what the parent had counted before, is in neither figure."""
    rows = [("nothing", 0, 100), ("nothing", 10, 130), ("a", 0, 1000), ("a", 10, 1230)]
    assert differences(rows) == {"a": 20}


def test_a_log_of_valgrind_has_a_total() -> None:
    """The number is read with its commas; a log without one is an error that shows it."""
    assert total("==1== \n==1== I   refs:      1,234,567\n") == 1234567
    with pytest.raises(SystemExit, match="nothing:\nkilled"):
        total("killed")


@pytest.mark.parametrize(("now", "said"), [(1049, ""), (1051, "MORE"), (951, ""), (949, "fewer")])
def test_counts_may_differ_by_the_tolerance(now: int, said: str) -> None:
    """Five in a hundred, in both directions; what was gained is no fault."""
    change = Change("a", 1000, now)
    assert change.verdict == said
    assert verdict([change]) == (1 if said == "MORE" else 0)


def test_pieces_that_come_and_go_are_no_fault() -> None:
    """They are named."""
    changes = list(BEFORE.changes("this", {"a": 1000, "b": 1000, "new": 7}))
    assert [(each.name, each.verdict) for each in changes] == [("a", ""), ("b", ""), ("new", "new"), ("gone", "gone")]
    assert verdict(changes) == 0


def test_a_baseline_is_of_a_build_and_its_packages() -> None:
    """Another build, or another version of what is counted along, has none."""
    same = Counts({}, {"msgspec": "1"})
    assert why_new(BEFORE, "this", same, rewrite=False) == ""
    assert why_new(BEFORE, "that", same, rewrite=False) == "There was no baseline for that"
    assert why_new(BEFORE, "this", same, rewrite=True) == "What was counted now"
    other = Counts({}, {"msgspec": "2"})
    assert why_new(BEFORE, "this", other, rewrite=False) == "The baseline was made with msgspec 1"


def test_a_baseline_survives_being_written(tmp_path: Path) -> None:
    """And where there is no file, there is no baseline."""
    BEFORE.save(tmp_path / "baseline.json")
    assert Baseline.load(tmp_path / "baseline.json").builds == BEFORE.builds
    assert Baseline.load(tmp_path / "nothing.json").builds == {}
