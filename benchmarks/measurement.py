"""One measurement: a contender, a workload, a window; and what may be said of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from benchmarks import usage, verdict
from benchmarks.deployment import ROOT, Deployment
from benchmarks.histogram import Histogram
from benchmarks.load.spec import Spec, Watch
from benchmarks.machine import Layout
from benchmarks.process import on_cores
from benchmarks.usage import Usage
from benchmarks.workloads import COMMANDS, LATENCY, Workload

MICRO: Final = 1e6
KIB: Final = 1024
HANGS: Final = 240.0
"""Seconds after which a load that has not ended is ended, so that no contender can hold up a run."""
SINGLE: Final = {"news", "hold", "storm"}
"""Modes of the load for which one process is enough."""


class FailedError(Exception):
    """There is no figure; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What came of one window. ``value`` is in the workload's unit; costs are for each message."""

    workload: str
    contender: str
    run: int
    value: float
    count: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    """Messages per second, also where the value is something else."""
    latency: Mapping[str, float] = field(default_factory=dict)
    """Percentiles in milliseconds."""
    histogram: Mapping[str, int] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)
    """Microseconds by role."""
    commands: Mapping[str, float] = field(default_factory=dict)
    """Commands on Redis, those that scripts give included."""
    busy: Mapping[str, float] = field(default_factory=dict)
    """Shares of a processor by role, and of processors by number."""
    limited: str = ""
    """Why the figure is no more than a floor, for which the load is to blame."""
    disturbed: str = ""
    """Who else had a hand in the figure."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what ``asdict`` gave."""
        return cls(**values)


def measure(deployment: Deployment, workload: Workload, run: int, layout: Layout, **changes: Any) -> Measurement:
    """Measure once. ``changes`` are made to the workload's load. Raises :exc:`FailedError` if nothing came of it."""
    load = replace(
        workload.load,
        ports=deployment.ports,
        dialect=deployment.contender.dialect,
        path=workload.load.path.replace("*", f"r{run}x{time.monotonic_ns() % 1_000_000}x*"),
        redis=deployment.redis_port,
        **changes,
    )
    with Loads(load, layout) as loads:
        loads.await_ready()
        results = loads.run(watch(deployment, loads, layout))
    return _judged(workload, deployment.contender.name, run, load, results, layout)


def watch(deployment: Deployment, loads: Loads, layout: Layout) -> Watch:
    """Return what is to be watched: everybody's processes, and those threads of the kernel that work for them."""
    roles = {**deployment.roles(), "harness": [os.getpid()], "kernel": usage.kernel_threads(layout.cores)}
    roles |= {f"load-{number}": [pid] for number, pid in enumerate(loads.pids)}
    return Watch(cores=layout.cores, roles=roles)


class Loads:
    """The processes that make the load, each on a processor of its own if there are enough."""

    def __init__(self, load: Spec, layout: Layout) -> None:
        cores = layout.load[:1] if load.mode in SINGLE or load.sockets < len(layout.load) else layout.load
        self._load = load
        self._watchdog = threading.Timer(HANGS * (3 if load.mode == "hold" else 1), self._kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._processes = [
            start(replace(load, number=number, sockets=load.sockets // len(cores)), core)
            for number, core in enumerate(cores)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self._kill()
        for process in self._processes:
            process.communicate()

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()

    @property
    def pids(self) -> list[int]:
        """The ids of the processes."""
        return [process.pid for process in self._processes]

    @property
    def first(self) -> subprocess.Popen[str]:
        """The one that watches."""
        return self._processes[0]

    def await_ready(self) -> None:
        """Wait until all connections are open."""
        for process in self._processes:
            heard(process, "ready")

    def tell(self, line: str) -> None:
        """Write a line to each."""
        for process in self._processes:
            _tell(process, line)

    def run(self, watch: Watch) -> list[dict[str, Any]]:
        """Let them begin, and return what each has to say in the end."""
        self.tell(watch.dumps())
        first = heard(self._processes[0], "result")
        if self._load.mode == "broadcast":
            for process in self._processes[1:]:
                _tell(process, str(first["rounds"]))
        return [first, *(heard(process, "result") for process in self._processes[1:])]


def start(load: Spec, core: int) -> subprocess.Popen[str]:
    """Start one process of the load."""
    command = [sys.executable, "-m", "benchmarks.load", load.dumps()]
    with on_cores([core]):
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def heard(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """Wait for a line of a process of the load; raise :exc:`FailedError` for any other than ``event``."""
    assert process.stdout is not None
    line = process.stdout.readline()
    said: dict[str, Any] = json.loads(line) if line else {"event": "error", "text": "the load ended"}
    if said["event"] != event:
        raise FailedError(said.get("text", said["event"]))
    return said


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # what it has said before says why


def _judged(
    workload: Workload, contender: str, run: int, load: Spec, results: Sequence[dict[str, Any]], layout: Layout
) -> Measurement:
    first = results[0]
    used = used_in(first["usage"])
    scale = load.sockets / (load.sockets // len(results)) if load.mode == "broadcast" else 1
    count = round(first["count"] * scale) + (0 if load.mode == "broadcast" else sum(r["count"] for r in results[1:]))
    latencies, lags = Histogram(), Histogram()
    for result in results:
        latencies.add(Histogram.from_json(result.get("latencies", {})))
        lags.add(Histogram.from_json(result.get("lags", {})))
    rate = count / first["seconds"]
    latency = latencies.summary()
    return Measurement(
        workload=workload.name,
        contender=contender,
        run=run,
        value=_value(workload, rate, latency, sum(first["redis"].values()) / max(count, 1)),
        count=count,
        seconds=first["seconds"],
        rate=rate,
        latency=latency,
        histogram=latencies.to_json() if workload.metric == LATENCY else {},
        limited=verdict.limited(used, layout, lags) if workload.metric != COMMANDS else "",
        disturbed=verdict.disturbed(used, layout),
        **costs(used, max(count, 1), first["redis"]),
    )


def _value(workload: Workload, rate: float, latency: Mapping[str, float], commands: float) -> float:
    """Return the figure of the workload. Raises :exc:`FailedError` if nothing came back."""
    if not rate:
        raise FailedError("nothing came back within the window")
    if workload.metric == COMMANDS:
        return commands * workload.copies
    return latency["p50"] if workload.metric == LATENCY else rate


def used_in(values: Mapping[str, Any]) -> Usage:
    """Return what a process of the load has written; JSON makes text of the numbers of processors."""
    by_core = {name: {int(core): share for core, share in values[name].items()} for name in ("busy", "stolen")}
    return Usage(values["seconds"], by_core["busy"], by_core["stolen"], values["cpu"])


def costs(used: Usage, count: int, calls: Mapping[str, int]) -> dict[str, Any]:
    """Return what each message has cost, and how busy everybody was."""
    return {
        "cpu": {role: seconds / count * MICRO for role, seconds in used.cpu.items() if role != "kernel"},
        "commands": {name: number / count for name, number in calls.items()},
        "busy": {
            **{role: seconds / used.seconds for role, seconds in used.cpu.items()},
            **{f"processor {core}": share for core, share in used.busy.items()},
        },
    }
