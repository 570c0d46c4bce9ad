"""What a run has measured, as JSON; and the figures that can be quoted from it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.measurement import Measurement

FORMAT = 1
Value = Callable[[Measurement], float | None]
"""What is taken of a measurement."""


def figure_of(measurement: Measurement) -> float | None:
    """Take the figure in the workload's unit."""
    return measurement.value


@dataclass
class Results:
    """A run: the machine, what took part, and every measurement."""

    begun: str = ""
    quick: bool = False
    complete: bool = False
    """Whether all workloads were measured, by all contenders that could be had."""
    minutes: float = 0.0
    commit: str = ""
    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    """Command lines of the contenders."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Environments that could not be had, and why."""
    failures: list[str] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_written({"format": FORMAT, **asdict(self)}) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote. Raises :exc:`ValueError` for another format."""
        values: dict[str, Any] = json.loads(path.read_text())
        if values.pop("format", None) != FORMAT:
            raise ValueError(f"{path} is not in format {FORMAT} of results: measure anew")
        measurements = [Measurement.from_json(each) for each in values.pop("measurements")]
        return cls(**values, measurements=measurements)

    def of(self, workload: str, contender: str) -> list[Measurement]:
        """Return the measurements of a contender, by run."""
        found = [m for m in self.measurements if m.workload == workload and m.contender == contender]
        return sorted(found, key=lambda measurement: measurement.run)

    def contenders(self, workload: str) -> list[str]:
        """Return who was measured, in the order of the measurements."""
        return list(dict.fromkeys(m.contender for m in self.measurements if m.workload == workload))

    def figure(self, workload: str, contender: str, value: Value | None = None) -> Figure | None:
        """Return what can be quoted: the unit's figure, or what ``value`` takes of a measurement."""
        measurements = quotable(self.of(workload, contender))
        values = [found for m in measurements if (found := (value or figure_of)(m)) is not None]
        if not values:
            return None
        return Figure(
            statistics.median(values),
            min(values),
            max(values),
            len(values),
            any(m.limited for m in measurements),
            any(m.disturbed for m in measurements),
        )

    def ratio(self, workload: str, ours: str, theirs: str, value: Value | None = None) -> Figure | None:
        """Return the ratio of two contenders, run by run: what both felt of the machine cancels out."""
        theirs_by_run = {m.run: m for m in self.of(workload, theirs)}
        pairs = [(m, theirs_by_run[m.run]) for m in self.of(workload, ours) if m.run in theirs_by_run]
        pairs = [pair for pair in pairs if not (pair[0].disturbed or pair[1].disturbed)] or pairs
        return _figure_of_pairs(pairs, value or figure_of)


@dataclass(frozen=True)
class Figure:
    """The median of several runs with the smallest and the largest.

    ``limited``: the load was the limit, and the value is only what was reached. ``disturbed``: others had a hand in it.
    """

    value: float
    low: float
    high: float
    runs: int
    limited: bool = False
    disturbed: bool = False


def quotable(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return those that say most: the undisturbed if there are any, and of these the ones the load did not limit.

    Where the load was the limit in more than half of the runs it was so in truth, and the others were chance.
    """
    quiet = [m for m in measurements if not m.disturbed] or list(measurements)
    free = [m for m in quiet if not m.limited]
    return free if 2 * len(free) >= len(quiet) else [m for m in quiet if m.limited]


def _figure_of_pairs(pairs: Sequence[tuple[Measurement, Measurement]], value: Value) -> Figure | None:
    found = [(value(ours), value(theirs)) for ours, theirs in pairs]
    ratios = [ours / theirs for ours, theirs in found if ours is not None and theirs]
    if not ratios:
        return None
    return Figure(
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        len(ratios),
        any(m.limited for pair in pairs for m in pair),
        any(m.disturbed for pair in pairs for m in pair),
    )


def _written(values: dict[str, Any]) -> str:
    """Return JSON with numbers of at most six digits, and with each measurement on a line of its own."""
    values = json.loads(json.dumps(values), parse_float=lambda number: float(f"{float(number):.6g}"))
    measurements = [json.dumps(each) for each in values.pop("measurements")]
    head = json.dumps(values, indent=1).removesuffix("\n}")
    return head + ',\n "measurements": [\n  ' + ",\n  ".join(measurements) + "\n ]\n}"
