"""What is aimed at, and whether it was reached: ``python -m benchmarks.targets [FILE]`` judges results again.

Every target is a ratio within one run, or a cost. A rival's figure is that of its best combination. Where the load was
the limit of either, rates say little; then the ratio is that of what a processor could do, by the CPU time that server
and worker take for each message.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.environments import ROOT
from benchmarks.measurement import Measurement
from benchmarks.results import Figure, Results, Value

OURS: Final = "ours-redis"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
FLAT: Final = 1.25
"""By how much the cost of a delivery may differ between 100 and 10,000 members."""
BROADCASTS: Final = ("broadcast-100", "broadcast-1000", "broadcast-10000")
SERVERS: Final = {f"commands-broadcast-1000{name}": n for n, name in ((1, ""), (2, "-2servers"), (4, "-4servers"))}
RESULTS: Final = ROOT / "benchmarks" / "results" / "results.json"


@dataclass(frozen=True)
class Judged:
    """A target, what was measured, and whether it was held; ``against`` is the rival, ``aim`` what is hoped for."""

    text: str
    bound: float
    at_least: bool
    unit: str
    figure: Figure | None
    against: str = ""
    aim: float | None = None
    by_cpu: bool = False
    """Whether the ratio is one of CPU times, because the load was the limit of a rate."""

    @property
    def held(self) -> bool:
        """Whether it was measured and reached."""
        return self.verdict == "held"

    @property
    def verdict(self) -> str:
        """``held``, ``missed``, or why nothing can be said."""
        if self.figure is None:
            return "not measured"
        reached = self.figure.value >= self.bound if self.at_least else self.figure.value <= self.bound
        return "held" if reached else "missed"


@dataclass(frozen=True)
class Target:
    """A ratio of ours to a rival's: the best of ``rivals``, by the beginnings of their names."""

    text: str
    workload: str
    rivals: tuple[str, ...]
    bound: float
    at_least: bool = True
    aim: float | None = None
    ours: str = OURS
    of: str = ""
    """A percentile of the latency instead of the workload's figure."""

    def judge(self, results: Results) -> Judged:
        """Return what ``results`` say of it."""
        workload = idle(results) if self.workload == "idle" else self.workload
        value = (lambda measurement: measurement.latency.get(self.of)) if self.of else None
        rival = best(results, workload, self.rivals, at_least=self.at_least, value=value)
        by_cpu = self.at_least and is_limited(results, workload, self.ours, rival)
        figure = results.ratio(workload, self.ours, rival, capacity if by_cpu else value) if rival else None
        return Judged(self.text, self.bound, self.at_least, TIMES, figure, rival, self.aim, by_cpu)


def best(results: Results, workload: str, rivals: Sequence[str], *, at_least: bool, value: Value | None = None) -> str:
    """Return the name of the best of ``rivals``, or nothing if none was measured."""
    figures = {
        name: found.value
        for name in results.contenders(workload)
        if name.startswith(tuple(rivals)) and (found := results.figure(workload, name, value))
    }
    return (max if at_least else min)(figures, key=lambda name: figures[name], default="")


def is_limited(results: Results, workload: str, *names: str) -> bool:
    """Return whether the load was the limit of one of these contenders."""
    figures = [results.figure(workload, name) for name in names if name]
    return any(figure.limited for figure in figures if figure)


def capacity(measurement: Measurement) -> float | None:
    """Return the messages per second that a processor of server and worker could do, by the time each takes."""
    used = measurement.cpu.get("server", 0.0) + measurement.cpu.get("worker", 0.0)
    return 1e6 / used if used else None


RATIOS: Final = (
    Target("echo, 100 sockets, against Channels 4 on uvicorn", "echo-100", ("channels4-uvicorn",), 3.5, aim=4.0),
    Target("echo, 100 sockets, against Channels 4 on daphne 4", "echo-100", ("channels4-daphne",), 5.5, aim=6.5),
    Target("echo p50, 1 socket, against Channels 4 on uvicorn", "echo-1", ("channels4-uvicorn",), 2.0, False, of="p50"),
    Target("broadcast to 1,000, against Channels 4", "broadcast-1000", ("channels4",), 15.0),
    Target("broadcast to 10,000, against Channels 4", "broadcast-10000", ("channels4",), 15.0),
    Target("broadcast to 1,000, against nchan", "broadcast-1000", ("nchan",), 0.9),
    Target("broadcast to 10,000, against nchan", "broadcast-10000", ("nchan",), 0.9),
    Target("broadcast to 1,000, against Node ws", "broadcast-1000", ("node-ws",), 0.9),
    Target("broadcast to 10,000, against Node ws", "broadcast-10000", ("node-ws",), 0.9),
    Target("idle socket, memory, against Channels 4 on uvicorn", "idle", ("channels4-uvicorn",), 0.25, False),
    Target("HTTP hello, against Django on uvicorn", "hello", ("django-uvicorn",), 6.0),
    Target("HTTP hello, against Django on daphne 4", "hello", ("django-daphne",), 6.0),
    Target("HTTP hello, against Django on gunicorn (gthread)", "hello", ("django-gunicorn",), 2.0),
)  # fmt: skip


def judge(results: Results) -> list[Judged]:
    """Judge every target."""
    return [*(target.judge(results) for target in RATIOS), *costs(results)]


def costs(results: Results) -> Iterable[Judged]:
    """Judge what a message costs: CPU, memory, commands."""
    deliveries = {name: results.figure(name, OURS, _cpu_of("server")) for name in BROADCASTS}
    for name, figure in deliveries.items():
        members = f"{int(name.rpartition('-')[2]):,}"
        yield Judged(f"CPU of the server for each delivery to {members} members", 12.0, False, "µs", figure)
    yield Judged("the same, largest by smallest", FLAT, False, TIMES, _spread(list(deliveries.values())))
    yield Judged("idle socket, memory of the server", 6.0, False, "KiB", results.figure(idle(results), OURS))
    yield Judged("commands on Redis for each echo", 1.0, False, "", results.figure("commands-echo-100", OURS))
    for name, servers in SERVERS.items():
        processes = f"{servers} server process{'es' * (servers > 1)}"
        text = f"commands on Redis for each broadcast and what caused it, {processes}"
        yield Judged(text, 2.0 + servers, False, "", results.figure(name, OURS))


def idle(results: Results) -> str:
    """Return the name of the workload with the most idle sockets that was measured."""
    measured = (name for name in ("idle-10000", "idle-1000") if OURS in results.contenders(name))
    return next(measured, "idle-10000")


def _cpu_of(role: str) -> Value:
    return lambda measurement: measurement.cpu.get(role)


def _spread(figures: Sequence[Figure | None]) -> Figure | None:
    found = [figure for figure in figures if figure]
    if len(found) < len(figures):
        return None
    values = [figure.value for figure in found]
    value = max(values) / min(values)
    return Figure(value, value, value, len(found), disturbed=any(figure.disturbed for figure in found))


def table(judged: Sequence[Judged]) -> str:
    """Return a line for each target: what it is, what was measured, the verdict."""
    lines = []
    for each in judged:
        bound = f"{'≥' if each.at_least else '≤'} {each.bound:g} {each.unit}".strip()
        measured = f"{each.figure.value:.2f} {each.unit}".strip() if each.figure else "-"
        text = each.text + (f" ({each.against})" if each.against else "")
        mark = " (by CPU)" * each.by_cpu + " (disturbed)" * bool(each.figure and each.figure.disturbed)
        lines.append(f"{text:100} {bound:>9} {measured:>10}  {each.verdict}{mark}")
    return "\n".join(lines)


def main() -> int:
    """Judge results; return 1 unless every target was held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, default=RESULTS)
    judged = judge(Results.load(parser.parse_args().results))
    print(table(judged))
    return 0 if all(each.held for each in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
