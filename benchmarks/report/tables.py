"""Figures as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from benchmarks import contenders, workloads
from benchmarks.histogram import Histogram
from benchmarks.results import Figure, Results, Value, quotable
from benchmarks.targets import Judged
from benchmarks.workloads import RATE

PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 100.0)


def title(contender: str) -> str:
    """Return what a contender is called in the documentation."""
    known = contenders.BY_NAME.get(contender)
    text = known.title if known else contender
    return f"**{text}**" if contender.startswith("ours") else text


def rows(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column is text and whose others are numbers."""
    found = [header, ["---", *["---:"] * (len(header) - 1)], *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in found)


def number(value: float) -> str:
    """Return a number with about three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(figure: Figure | None, *, at_least: bool = True) -> str:
    """Return median and spread. A sign says that the load was the limit, a star that others had a hand in it."""
    if figure is None:
        return "-"
    sign = ("≥ " if at_least else "≤ ") if figure.limited else ""
    star = "\\*" if figure.disturbed else ""
    spread = f" ({number(figure.low)} to {number(figure.high)})" if figure.runs > 1 else ""
    return f"{sign}{number(figure.value)}{star}{spread}"


def comparison(results: Results, names: Sequence[str], headers: Sequence[str], value: Value | None = None) -> str:
    """Return a table with a line for each contender and a column for each workload."""
    known = [name for name in names if results.contenders(name)]
    taking_part = dict.fromkeys(contender for name in known for contender in results.contenders(name))
    lines = [
        [title(each), *(cell(results.figure(name, each, value), at_least=_at_least(name)) for name in names)]
        for each in taking_part
    ]
    return rows(["", *headers], lines) if lines else "Nothing of this was measured."


def _at_least(name: str) -> bool:
    known = workloads.BY_NAME.get(name)
    return known is None or known.metric == RATE


def latencies(results: Results, name: str) -> str:
    """Return the percentiles of all runs together, in milliseconds, with the rate at which messages left."""
    lines = []
    for each in results.contenders(name):
        found = results.figure(name, each, lambda m: m.rate)
        values = distribution(results, name, each)
        if found and len(values):
            shown = [number(values.percentile(share) * 1000) for share in PERCENTILES]
            lines.append([title(each), number(found.value), *shown])
    header = ["", "messages/s", *("longest" if share == 100 else f"p{share:g}" for share in PERCENTILES)]
    return rows(header, lines) if lines else "Nothing of this was measured."


def distribution(results: Results, name: str, contender: str) -> Histogram:
    """Return the latencies of all runs that can be quoted."""
    found = Histogram()
    for measurement in quotable(results.of(name, contender)):
        found.add(Histogram.from_json(measurement.histogram))
    return found


def costs(results: Results, columns: Sequence[tuple[str, str, str]]) -> str:
    """Return CPU microseconds: ``columns`` are workload, role and header."""
    taking_part = dict.fromkeys(each for name, _, _ in columns for each in results.contenders(name))
    lines = [
        [title(each), *(cell(results.figure(name, each, of_role(role))) for name, role, _ in columns)]
        for each in taking_part
    ]
    return rows(["", *(header for _, _, header in columns)], lines)


def of_role(role: str) -> Callable[..., float | None]:
    """Return what takes the CPU of a role."""
    return lambda measurement: measurement.cpu.get(role)


def targets(judged: Sequence[Judged]) -> str:
    """Return every target with what was measured."""
    return rows(["target", "bound", "measured", "", "against"], (_target(each) for each in judged))


def _target(each: Judged) -> list[str]:
    bound = f"{'≥' if each.at_least else '≤'} {each.bound:g} {each.unit}".strip()
    if each.figure is None:
        return [each.text, bound, "-", each.verdict, ""]
    spread = f" ({number(each.figure.low)} to {number(each.figure.high)})" if each.figure.runs > 1 else ""
    measured = f"{number(each.figure.value)} {each.unit}".strip() + "\\*" * each.figure.disturbed + spread
    against = title(each.against) if each.against else ""
    return [each.text, bound, measured, _emphasised(each), against]


def _emphasised(each: Judged) -> str:
    mark = ", by CPU" * each.by_cpu
    if each.verdict == "missed" and each.figure:
        share = each.figure.value / each.bound
        return f"**missed**{mark}: {share:.2f} of it" if each.at_least else f"**missed**{mark}: {share:.2f} times it"
    return each.verdict + mark
