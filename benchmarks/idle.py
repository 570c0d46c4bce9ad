"""Sockets that are open and silent: the memory that each takes, and the CPU that all of them take together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from benchmarks.contenders import Contender
from benchmarks.deployment import Deployment
from benchmarks.machine import Layout
from benchmarks.measurement import KIB, FailedError, Loads, Measurement, costs, heard, used_in, watch
from benchmarks.process import StartError
from benchmarks.workloads import Workload

WINDOW: Final = 25.0
"""Seconds in which every server has sent its pings: the longest interval by default is 20."""
SETTLE: Final = 1.0

Failed = Callable[[Workload, Contender, str], None]


def measure_idle(
    workload: Workload, contenders: Sequence[Contender], layout: Layout, failed: Failed
) -> list[Measurement]:
    """Let each hold its sockets in a process that has held none before; then watch all of them at the same time."""
    held: list[tuple[Deployment, Loads, float]] = []
    with ExitStack() as running:
        for contender in workload.for_(contenders):
            try:
                held.append(_hold(workload, contender, layout, running))
            except (FailedError, StartError, OSError) as error:
                failed(workload, contender, str(error))
        for deployment, loads, _ in held:
            loads.tell(watch(deployment, loads, layout).dumps())
        time.sleep(WINDOW if workload.load.seconds >= 1 else workload.load.seconds)
        return [found for each in held if (found := _seen(workload, *each, failed))]


def _hold(
    workload: Workload, contender: Contender, layout: Layout, running: ExitStack
) -> tuple[Deployment, Loads, float]:
    """Start a contender, look at its memory, open the sockets, and look again."""
    deployment = running.enter_context(Deployment(contender, layout))
    load = replace(workload.load, ports=deployment.ports, dialect=contender.dialect)
    with Loads(replace(load, sockets=50), layout) as first:  # what the first connections allocate is for all of them
        first.await_ready()
    time.sleep(SETTLE)
    before = deployment.resident()
    loads = running.enter_context(Loads(load, layout))
    loads.await_ready()
    time.sleep(SETTLE)
    kib = (deployment.resident() - before) / KIB / workload.load.sockets
    print(f"  {contender.name:32} {kib:12.2f} KiB", flush=True)
    return deployment, loads, kib


def _seen(workload: Workload, deployment: Deployment, loads: Loads, kib: float, failed: Failed) -> Measurement | None:
    loads.tell("enough")
    try:
        said = heard(loads.first, "result")
    except FailedError as error:
        failed(workload, deployment.contender, str(error))
        return None
    used = used_in(said["usage"])
    return Measurement(
        workload=workload.name,
        contender=deployment.contender.name,
        run=0,
        value=kib,
        count=workload.load.sockets,
        seconds=used.seconds,
        **costs(used, workload.load.sockets, {}),
    )
