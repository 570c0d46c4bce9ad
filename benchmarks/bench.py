"""``python -m benchmarks.bench [--check]``: one process with server, memory layer and worker, put under load.

The server has a core of its own, the client another. Every figure is the median of ``--runs`` runs, each with a fresh
server. Echoes count only if the consumer's own counter agrees. ``--check`` exits 1 when a threshold is missed.

Thresholds are for the machine they were set on. The speed of this one is measured in the same run, by an echo in C
without an application, pair by pair; where it is slower, rates have to reach the same share of it. Both are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, CLIENT_CORE = 0, 1
IDLE_SOCKETS = 5000
REFERENCE_RAW = 108_000
"""Echoes per second of ``benchmarks.raw`` on the machine of the thresholds; see README.md for how it was derived."""


@dataclass(frozen=True)
class Workload:
    """What is measured and what it has to reach."""

    name: str
    unit: str
    threshold: float
    at_least: bool


ECHO = Workload("echo, 100 sockets", "echoes/s", 30_000, at_least=True)
BROADCAST = Workload("broadcast to 1,000", "deliveries/s", 50_000, at_least=True)
IDLE = Workload(f"idle socket ({IDLE_SOCKETS:,})", "KiB", 8, at_least=False)


@contextmanager
def server(module: str = "benchmarks.serve") -> Iterator[tuple[int, int]]:
    """Start a server on its core; yield its port and process id."""
    port = _free_port()
    command = [*_pinned(SERVER_CORE), sys.executable, "-m", module, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline().strip() != "ready":
                raise SystemExit("the server did not start")
            yield port, process.pid
        finally:
            process.terminate()


def client(workload: str, url: str, sockets: int, seconds: float) -> dict[str, float]:
    """Run the load generator on its core; return its figures."""
    arguments = [workload, url, "--sockets", str(sockets), "--seconds", str(seconds)]
    command = [*_pinned(CLIENT_CORE), sys.executable, "-m", "benchmarks.client", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60)
    figures: dict[str, float] = json.loads(done.stdout)
    if figures["closed"]:
        raise SystemExit(f"{figures['closed']:.0f} sockets were closed during {workload}")
    return figures


def measure_raw(seconds: float) -> float:
    """Echoes per second of this machine without any application."""
    with server("benchmarks.raw") as (port, _):
        figures = client("echo", f"ws://127.0.0.1:{port}/", 100, seconds)
    print(f"  raw {figures['per_second']:,.0f}/s  client CPU {figures['client_cpu']:.0%}")
    return figures["per_second"]


def measure_echo(seconds: float, path: str = "/echo/") -> float:
    """Echoes per second over 100 sockets at ``path``, checked against the consumer's counter."""
    with server() as (port, _):
        figures = client("echo", f"ws://127.0.0.1:{port}{path}", 100, seconds)
        counted = _counts(port)[0]
    print(
        f"  {figures['per_second']:,.0f}/s  p50 {figures['p50_ms']:.2f} ms  p99 {figures['p99_ms']:.2f} ms  "
        f"client CPU {figures['client_cpu']:.0%}"
    )
    if counted != figures["total"]:
        raise SystemExit(f"the consumer counted {counted}, the client {figures['total']}")
    return figures["per_second"]


def measure_broadcast(seconds: float) -> float:
    """Deliveries per second to 1,000 members, none lost."""
    with server() as (port, _):
        figures = client("broadcast", f"ws://127.0.0.1:{port}/rooms/one/", 1000, seconds)
        counted = _counts(port)[1]
    print(f"  {figures['per_second']:,.0f}/s  lost {figures['lost']:.0f}  client CPU {figures['client_cpu']:.0%}")
    if figures["lost"] or counted != figures["total"]:
        raise SystemExit(f"{figures['lost']:.0f} deliveries lost; consumer {counted}, client {figures['total']}")
    return figures["per_second"]


def measure_idle() -> float:
    """KiB of resident memory that one idle socket adds to the whole process."""
    with server() as (port, pid):
        before = resident(pid)
        command = [sys.executable, "-m", "benchmarks.client", "idle", f"ws://127.0.0.1:{port}/echo/"]
        command += ["--sockets", str(IDLE_SOCKETS)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(1)
            size = (resident(pid) - before) / IDLE_SOCKETS
            process.communicate("\n", timeout=30)
    print(f"  {size:.2f} KiB")
    return size


def _counts(port: int) -> list[int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/counts/", timeout=10) as response:
        return [int(count) for count in response.read().split()]


def resident(pid: int) -> float:
    """Return the resident memory of a process in KiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def _pinned(core: int) -> list[str]:
    return ["taskset", "-c", str(core)] if sys.platform == "linux" and (os.cpu_count() or 1) > 1 else []


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def main() -> int:
    """Measure everything, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 when a threshold is missed")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores")
    measures: list[tuple[Workload, Callable[[], float]]] = [
        (ECHO, lambda: measure_echo(options.seconds)),
        (BROADCAST, lambda: measure_broadcast(options.seconds)),
        (IDLE, measure_idle),
    ]
    held = [_judge(workload, measure, options) for workload, measure in measures]
    return 1 if options.check and not all(held) else 0


def _judge(workload: Workload, measure: Callable[[], float], options: argparse.Namespace) -> bool:
    """Measure ``options.runs`` times, a rate paired with the raw echo each time; print the medians and the verdict."""
    print(workload.name)
    values, raws = [], []
    for _ in range(options.runs):
        values.append(measure())
        raws.append(measure_raw(options.seconds) if workload.at_least else REFERENCE_RAW)
    # The best raw run: one that was disturbed must not make the threshold easier.
    value, speed = statistics.median(values), min(1.0, max(raws) / REFERENCE_RAW)
    bound = workload.threshold * speed
    holds = value >= bound if workload.at_least else value <= workload.threshold
    print(f"  median {value:,.1f} {workload.unit} ({min(values):,.1f} to {max(values):,.1f})")
    print(f"  threshold {workload.threshold:,.0f}, machine at {speed:.2f} of its speed: {bound:,.0f}", end="")
    print(": holds" if holds else ": MISSED")
    return holds


if __name__ == "__main__":
    sys.exit(main())
