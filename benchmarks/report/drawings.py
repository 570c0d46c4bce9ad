"""What is drawn: bars where one figure is compared, lines where something grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from benchmarks import contenders
from benchmarks.report.tables import distribution
from benchmarks.results import Results
from benchmarks.targets import idle

Plot = dict[str, Any]

BARS: Final = (
    ("performance-echo.svg", "echo-100", "Echo: 100 sockets, one server process, one processor", "messages per second"),
    ("performance-broadcast.svg", "broadcast-1000", "Broadcast: a group of 1,000 members", "deliveries per second"),
    ("performance-http.svg", "hello", "HTTP: hello, 50 connections", "requests per second"),
)
SHARES: Final = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9)
SIZES: Final = (100, 1000, 10_000)


def plots(results: Results) -> list[Plot]:
    """Return all plots as :mod:`benchmarks.plots` takes them; one of what was not measured is empty."""
    held = ("performance-idle.svg", idle(results), "Idle sockets: memory of the server", "KiB for each socket")
    return [*(_bars(results, *each) for each in (*BARS, held)), _latencies(results), _growth(results)]


def _bars(results: Results, file: str, workload: str, title: str, unit: str) -> Plot:
    shown = [(name, found) for name in results.contenders(workload) if (found := results.figure(workload, name))]
    bars = [
        {
            "label": _label(name),
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "ours": name.startswith("ours"),
            "limited": found.limited,
        }
        for name, found in shown
    ]
    return {"file": file, "title": title, "unit": unit, "bars": bars}


def _latencies(results: Results) -> Plot:
    """Return latencies by percentile; across is how rare they are, so that the tail has room."""
    lines = []
    for name in results.contenders("latency-half"):
        values = distribution(results, "latency-half", name)
        if len(values):
            y = [values.percentile(share) * 1000 for share in SHARES]
            lines.append(_line(name, [100 / (100 - share) for share in SHARES], y))
    ticks = [{"at": 100 / (100 - share), "label": f"{share:g}"} for share in (50.0, 90.0, 99.0, 99.9)]
    return {
        "file": "performance-latency.svg",
        "title": "Latency of an echo at half of each one's own rate",
        "across": "percentile",
        "unit": "milliseconds",
        "ticks": ticks,
        "lines": lines,
    }


def _growth(results: Results) -> Plot:
    lines = []
    for name in dict.fromkeys(each for size in SIZES for each in results.contenders(f"broadcast-{size}")):
        points = [(size, found) for size in SIZES if (found := results.figure(f"broadcast-{size}", name))]
        if len(points) == len(SIZES):
            lines.append(_line(name, [size for size, _ in points], [found.value for _, found in points]))
    return {
        "file": "performance-growth.svg",
        "title": "Broadcast to groups that grow",
        "across": "members",
        "unit": "deliveries per second",
        "ticks": [{"at": size, "label": f"{size:,}"} for size in SIZES],
        "lines": lines,
    }


def _line(name: str, x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    return {"label": _label(name), "x": list(x), "y": list(y), "ours": name.startswith("ours")}


def _label(name: str) -> str:
    known = contenders.BY_NAME.get(name)
    return known.title if known else name
