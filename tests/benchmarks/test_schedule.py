"""What is compared is measured in turn, and whoever fails does not end it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pytest

from benchmarks import schedule
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.machine import Layout
from benchmarks.measurement import FailedError, Measurement
from benchmarks.results import Results
from benchmarks.schedule import Patience, Schedule
from benchmarks.workloads import BY_NAME, Workload, chosen

LAYOUT = Layout(servers=0, redis=1, load=(1,))
PAIR = [each for each in CONTENDERS if each.name in ("ours-memory", "raw")]


class Deployment:
    """A contender whose processes are only said to run."""

    def __init__(self, contender: Contender, layout: Layout, servers: int = 1) -> None:
        self.contender = contender

    def __enter__(self) -> Self:
        return self

    def end(self) -> None:
        """Have nothing to end."""

    def log(self) -> str:
        """Return what a process would have written."""
        return "its log"


class Measured:
    """Stands for measuring: keeps who was measured, and fails for some."""

    def __init__(self, fail: str = "", error: Exception | None = None, disturbed: str = "") -> None:
        self.order: list[tuple[str, str, int]] = []
        self._fail = fail
        self._error = error or FailedError("it broke")
        self._disturbed = disturbed

    def __call__(self, deployment: Deployment, workload: Workload, run: int, layout: Layout, **_: Any) -> Measurement:
        name = deployment.contender.name
        self.order.append((workload.name, name, run))
        if name == self._fail:
            raise self._error
        return Measurement(
            workload=workload.name, contender=name, run=run, value=100.0, rate=100.0, disturbed=self._disturbed
        )


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Measured:
    """Let nothing be started or measured."""
    stand_in = Measured(**getattr(request, "param", {}))
    monkeypatch.setattr(schedule, "Deployment", Deployment)
    monkeypatch.setattr(schedule, "measure", stand_in)
    return stand_in


def run(names: Sequence[str], patience: Patience | None = None) -> Results:
    """Measure some workloads by two contenders."""
    results = Results()
    workloads = [BY_NAME[name] for name in names]
    assert list(Schedule(workloads, PAIR).run(results, LAYOUT, patience or Patience(0.0, 60.0))) == list(names)
    return results


def test_contenders_take_turns(measured: Measured) -> None:
    """A B, A B, A B: what is compared is measured one after the other, run by run."""
    run(["echo-1000"])
    pair = [each.name for each in PAIR]
    assert measured.order == [("echo-1000", name, number) for number in range(3) for name in pair]


@pytest.mark.parametrize(
    "measured", [{"fail": "raw"}, {"fail": "raw", "error": ZeroDivisionError("not foreseen")}], indirect=True
)
def test_one_that_fails_is_recorded_and_the_others_go_on(measured: Measured) -> None:
    """It is tried once for each workload, with its reason and the end of its log, whatever it raised."""
    results = run(["echo-1000", "storm"])
    assert [(name, number) for _, name, number in measured.order if name == "raw"] == [("raw", 0), ("raw", 0)]
    assert len(results.of("echo-1000", "ours-memory")) == 3
    assert len(results.failures) == 2
    assert results.failures[0].startswith("echo-1000, raw: ")
    assert "its log" not in results.failures[0]  # that is printed: it names files of this machine


@pytest.mark.parametrize("measured", [{"disturbed": "others"}], indirect=True)
def test_disturbed_measurements_are_repeated_while_there_is_patience(measured: Measured) -> None:
    """Twice each with patience, not at all without; only the last counts."""
    assert len(run(["storm"]).measurements) == len(measured.order)
    measured.order.clear()
    assert len(run(["storm"], Patience(60.0, 60.0)).measurements) * 3 == len(measured.order)


def test_a_run_that_is_late_measures_once(measured: Measured) -> None:
    """After the minutes that it may take, every workload has one run."""
    results = run(["echo-1000"], Patience(60.0, 0.0))
    assert [each.run for each in results.measurements] == [0, 0]


def test_half_load_is_half_of_what_was_measured(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The open loop sends at half of the rate that the closed one reached."""
    rates = []

    def watch(*arguments: Any, **changes: Any) -> Measurement:
        rates.append(changes.get("rate"))
        return measured(*arguments)

    monkeypatch.setattr(schedule, "measure", watch)
    run(["echo-100", "latency-half"])
    assert set(rates) == {None, 50.0}


def test_a_schedule_says_how_long_it_takes() -> None:
    """All of it fits into half an hour and a bit, by the estimate; a part takes less."""
    whole = Schedule(chosen([], quick=False), CONTENDERS)
    assert "workloads" in whole.announcement()
    assert Schedule([BY_NAME["storm"]], CONTENDERS).seconds() < whole.seconds() < 35 * 60


def test_words_choose_workloads() -> None:
    """By the beginning of a name or of a family; what nothing begins with is an error that names what there is."""
    assert {each.name for each in chosen(["echo-1000"], quick=False)} == {"echo-1000"}
    with pytest.raises(ValueError, match="no workload is called 'nothing'; there are echo-1"):
        chosen(["nothing"], quick=False)


def test_every_contender_serves_something_that_is_measured() -> None:
    """Names are unique, and none takes part in nothing."""
    assert len({each.name for each in CONTENDERS}) == len(CONTENDERS)
    assert all(any(each in workload.for_(CONTENDERS) for workload in BY_NAME.values()) for each in CONTENDERS)
