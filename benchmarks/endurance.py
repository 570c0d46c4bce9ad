"""``python -m benchmarks.endurance [--check]``: what idle sockets cost, and what is left of those that have gone.

Measured in the server's own process, which holds the in-memory layer and a worker as well:

* resident memory for each idle socket, without and with compression negotiated;
* CPU time of the process while all of them are idle, with pings going out;
* resident memory after cycles of connect, echo and disconnect, against that before them.

``--check`` exits 1 when a threshold is missed. Needs about two open files for each socket on this machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contenders import BY_NAME
from benchmarks.deployment import Deployment
from benchmarks.machine import Layout, available
from benchmarks.usage import cpu_seconds, resident

SOCKETS = 15_000
CYCLES = 10_000
IDLE_KIB = 6.0
COMPRESSED_KIB = 10.0
IDLE_CPU = 0.05
"""Share of a core that all idle sockets may take together, pings and pongs every 20 to 40 seconds included."""
GROWTH = 0.05
OFFER = "permessage-deflate; client_max_window_bits"
PER_CLIENT = 10_000
"""Sockets of one load generator: a process may not open many more files everywhere."""


@contextmanager
def server() -> Iterator[tuple[int, int]]:
    """Start server, memory layer and worker in one process; yield its port and its id."""
    with Deployment(BY_NAME["ours-memory"], Layout.on(available())) as deployment:
        yield deployment.ports[0], deployment.roles()["server"][0]


@contextmanager
def holding(port: int, sockets: int, offer: str = "") -> Iterator[None]:
    """Hold so many open sockets in processes of their own until the block ends."""
    command = [sys.executable, "-m", "benchmarks.client", "idle", f"ws://127.0.0.1:{port}/echo/", "--offer", offer]
    clients = []
    try:
        for first in range(0, sockets, PER_CLIENT):
            number = ["--sockets", str(min(PER_CLIENT, sockets - first))]
            pipe = subprocess.PIPE
            clients.append(subprocess.Popen([*command, *number], stdin=pipe, stdout=pipe, text=True))
            assert clients[-1].stdout is not None
            assert clients[-1].stdout.readline() == "holding\n"
        yield
    finally:
        for client in clients:
            client.communicate("\n", timeout=120)


def measure_idle(sockets: int, seconds: float, offer: str = "") -> tuple[float, float]:
    """Return KiB of resident memory for each socket, and the share of a core while all are idle."""
    with server() as (port, pid):
        before = resident(pid)
        with holding(port, sockets, offer):
            time.sleep(2)
            size = (resident(pid) - before) / 1024 / sockets
            used = cpu_seconds(pid)
            time.sleep(seconds)
            share = (cpu_seconds(pid) - used) / seconds
    return size, share


def measure_cycles(cycles: int) -> float:
    """Return by which share resident memory has grown after so many connects, echoes and disconnects."""
    with server() as (port, pid):
        run_cycles(port, cycles // 4)
        before = resident(pid)
        run_cycles(port, cycles)
        return resident(pid) / before - 1


def run_cycles(port: int, cycles: int) -> None:
    """Connect, echo and disconnect so many times."""
    command = [sys.executable, "-m", "benchmarks.client", "cycles", f"ws://127.0.0.1:{port}/echo/"]
    subprocess.run([*command, "--sockets", str(cycles)], check=True, stdout=subprocess.DEVNULL)
    time.sleep(1)


def main() -> int:
    """Measure, print each figure with its bound, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 when a threshold is missed")
    parser.add_argument("--sockets", type=int, default=SOCKETS)
    parser.add_argument("--cycles", type=int, default=CYCLES)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the CPU of idle sockets is measured")
    options = parser.parse_args()
    plain, share = measure_idle(options.sockets, options.seconds)
    compressed, _ = measure_idle(options.sockets, 0.1, OFFER)
    growth = measure_cycles(options.cycles)
    held = [
        report(f"idle socket of {options.sockets:,}", plain, IDLE_KIB, "{:.2f} KiB"),
        report("the same with compression", compressed, COMPRESSED_KIB, "{:.2f} KiB"),
        report("CPU of all of them", share, IDLE_CPU, "{:.1%}"),
        report(f"growth after {options.cycles:,} cycles", growth, GROWTH, "{:.1%}"),
    ]
    return 1 if options.check and not all(held) else 0


def report(name: str, value: float, bound: float, form: str) -> bool:
    """Print a figure and whether it is within its bound."""
    print(f"{name}: {form.format(value)}, at most {form.format(bound)}: {'holds' if value <= bound else 'MISSED'}")
    return value <= bound


if __name__ == "__main__":
    sys.exit(main())
