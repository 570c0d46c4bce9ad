"""The order of a run: all contenders of a family at once, each workload by all of them in turn, and all of it again.

What is compared is measured within seconds, run by run (A B C, A B C): a machine that gets slower gets slower for all.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from benchmarks.contenders import Contender
from benchmarks.deployment import Deployment
from benchmarks.idle import measure_idle
from benchmarks.machine import Layout
from benchmarks.measurement import FailedError, Measurement, measure
from benchmarks.process import StartError
from benchmarks.results import Results
from benchmarks.workloads import BY_NAME, MEMORY, Workload, quickened

START: Final = 1.6
"""Seconds that a contender takes to start and to end, on average; only to say how long a run will take."""
OVERHEAD: Final = 0.7
"""The same for a measurement, besides its window and its connections."""
CONNECTS: Final = 2500
"""The same: connections per second."""
IDLE: Final = 30.0
REPEATS: Final = 2
"""How often a disturbed measurement is repeated."""


class Patience:
    """Time for repeating what was disturbed, and for all: ``minutes``, after which everything is measured only once."""

    def __init__(self, seconds: float, minutes: float) -> None:
        self._left = seconds
        self._end = time.monotonic() + 60 * minutes

    @property
    def is_late(self) -> bool:
        """Whether a run has taken longer than it should."""
        return time.monotonic() > self._end

    def allows(self, begun: float) -> bool:
        """Return whether what was begun at that time may be done once more; it is counted then."""
        self._left -= time.monotonic() - begun
        return self._left > 0 and not self.is_late


class Schedule:
    """Workloads and contenders, in order."""

    def __init__(self, workloads: Sequence[Workload], contenders: Sequence[Contender]) -> None:
        self._contenders = contenders
        self._workloads = [each for each in workloads if each.for_(contenders)]

    def announcement(self) -> str:
        """Return what will be measured, and for how long."""
        names = {each.name for workload in self._workloads for each in workload.for_(self._contenders)}
        return (
            f"{len(self._workloads)} workloads, {len(names)} contenders, "
            f"about {max(1, round(self.seconds() / 60))} minutes (a disturbed machine: more)"
        )

    def seconds(self) -> float:
        """Return roughly how long it all takes."""
        return sum(self._seconds(list(family)) for _, family in self._families())

    def run(self, results: Results, layout: Layout, patience: Patience) -> Iterator[str]:
        """Measure into ``results``, and yield the name of each workload that is done."""
        for _, family in self._families():
            yield from Family(list(family), self._contenders, results, layout, patience).run()

    def _families(self) -> Iterator[tuple[str, Iterator[Workload]]]:
        order = {each.family: number for number, each in reversed(list(enumerate(BY_NAME.values())))}
        ordered = sorted(self._workloads, key=lambda workload: order[workload.family])
        return groupby(ordered, key=lambda workload: workload.family)

    def _seconds(self, family: Sequence[Workload]) -> float:
        starting = {each.name for workload in family for each in workload.for_(self._contenders)}
        return START * len(starting) + sum(map(self._seconds_of, family))

    def _seconds_of(self, workload: Workload) -> float:
        load = workload.load
        once = OVERHEAD + load.warm_up + load.seconds + load.sockets / CONNECTS
        extra = IDLE if workload.metric == MEMORY else 0.0
        return workload.runs * once * len(workload.for_(self._contenders)) + extra


class Family:
    """The workloads that are measured with the same processes."""

    def __init__(
        self,
        workloads: Sequence[Workload],
        contenders: Sequence[Contender],
        results: Results,
        layout: Layout,
        patience: Patience,
    ) -> None:
        self._workloads = workloads
        self._results = results
        self._layout = layout
        self._patience = patience
        self._contenders = [each for each in contenders if any(each in workload.for_([each]) for workload in workloads)]
        self._deployments: dict[str, Deployment] = {}
        self._rates: dict[str, float] = {}

    def run(self) -> Iterator[str]:
        """Measure all of it."""
        with ExitStack() as running:
            running.callback(self._end_all)
            if any(each.metric != MEMORY for each in self._workloads):
                for contender in self._contenders:
                    self._start(contender)
            for workload in self._workloads:
                print(f"\n{workload.title} [{workload.name}]", flush=True)
                if workload.metric == MEMORY:
                    self._results.measurements += measure_idle(workload, self._contenders, self._layout, self._fail)
                else:
                    self._measure(workload)
                yield workload.name

    def _measure(self, workload: Workload) -> None:
        failed: set[str] = set()
        for run in range(workload.runs):
            if run and self._patience.is_late:
                return
            for contender in workload.for_(self._contenders):
                takes_part = contender.name not in failed and contender.name in self._deployments
                if takes_part and not self._succeeds(workload, contender, run):
                    failed.add(contender.name)

    def _succeeds(self, workload: Workload, contender: Contender, run: int) -> bool:
        """Measure once; if nothing comes of it keep the reason, and give the next workload a new process."""
        try:
            self._keep(self._once(workload, contender, run), workload)
        except Exception as error:  # noqa: BLE001 -- whatever one of them does, the others are measured
            why = str(error) if isinstance(error, FailedError) else repr(error)
            self._fail(workload, contender, f"{why}\n{self._deployments[contender.name].log()}".strip())
            self._restart(contender)
            return False
        return True

    def _once(self, workload: Workload, contender: Contender, run: int) -> Measurement:
        """Measure, and once more if others had a hand in it, as long as there is patience."""
        changes = self._changes(workload, contender)
        for _ in range(REPEATS):
            begun = time.monotonic()
            found = measure(self._deployments[contender.name], workload, run, self._layout, **changes)
            if not found.disturbed or not self._patience.allows(begun):
                return found
        return measure(self._deployments[contender.name], workload, run, self._layout, **changes)

    def _changes(self, workload: Workload, contender: Contender) -> dict[str, Any]:
        """Return what depends on what was measured before: the rate of an open loop."""
        if not workload.half_load:
            return {}
        others = [each.name for each in workload.for_(self._contenders) if each.name in self._deployments]
        rates = [self._rate(workload, name) for name in (others if workload.common else [contender.name])]
        return {"rate": min(rates) / 2}

    def _rate(self, workload: Workload, name: str) -> float:
        """Return what a contender reaches when everybody sends as fast as it answers."""
        if name not in self._rates:
            found = self._results.figure(workload.half_load, name)
            if found is None:
                full = replace(quickened(BY_NAME[workload.half_load]), name=workload.half_load)
                self._rates[name] = measure(self._deployments[name], full, 0, self._layout).rate
            else:
                self._rates[name] = found.value
        return self._rates[name]

    def _keep(self, found: Measurement, workload: Workload) -> None:
        self._results.measurements.append(found)
        values = [m.value for m in self._results.of(workload.name, found.contender)]
        marks = [f"LOAD AT ITS LIMIT: {found.limited}"] * bool(found.limited)
        marks += [f"disturbed: {found.disturbed}"] * bool(found.disturbed)
        text = (
            f"  {found.contender:32} {found.value:12,.2f} {workload.unit:13} median {statistics.median(values):12,.2f}"
        )
        print("  ".join([text, *marks]), flush=True)

    def _start(self, contender: Contender) -> None:
        servers = max(workload.servers for workload in self._workloads)
        deployment = Deployment(contender, self._layout, servers)
        try:
            self._deployments[contender.name] = deployment
            deployment.__enter__()
        except (StartError, OSError, subprocess.TimeoutExpired) as error:
            del self._deployments[contender.name]
            self._results.failures.append(f"{contender.name}: {_first_line(error)}")
            print(f"  {contender.name} DID NOT START: {error}", flush=True)

    def _restart(self, contender: Contender) -> None:
        self._deployments.pop(contender.name).end()
        self._start(contender)

    def _fail(self, workload: Workload, contender: Contender, why: str) -> None:
        self._results.failures.append(f"{workload.name}, {contender.name}: {_first_line(why)}")
        print(f"  {contender.name:32} FAILED: {why}", flush=True)

    def _end_all(self) -> None:
        for deployment in self._deployments.values():
            deployment.end()


def _first_line(text: object) -> str:
    """Return what is kept of a failure: the rest, the log of a process, names files of this machine."""
    return str(text).partition("\n")[0]
