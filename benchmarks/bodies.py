"""``python -m benchmarks.bodies [--check]``: a gigabyte up, a gigabyte down, and what everybody else notices of it.

A server, a worker for requests, one for sockets and Redis, each a process of its own. While a file is uploaded through
a form, and while as many bytes are downloaded, measured are:

* the growth of each process, and of Redis, over what they had after a small one of each;
* the latency of an echo beside it, against the same echo while nothing else happens, just before and just after.

Each is done several times, in turn with the echo alone. Counted are the largest growth and the median of the ratios.

Servers and workers have one processor, Redis and the load the other. Each load is a process of its own, which is ready
before anything is measured: otherwise the figure would be that of the trial.

Then an upload is given up in its middle, and no file may be left. ``--check`` exits 1 when a threshold is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self

from benchmarks import usage
from benchmarks.bodies_load import connected, head_of_upload, pieces
from benchmarks.process import on_cores
from benchmarks.stack import CORES, Stack

MIB = 1024 * 1024
SIZE = 1024 * MIB
GROWTH = 16 * MIB
"""Bytes that each process may grow by."""
SLOWER = 2.0
"""How many times as long as alone an echo may take."""
SECONDS = 5.0
"""How long the echo alone is measured, before what it is compared with and again behind it."""
ROUNDS = 5
"""How often each is done."""
PATIENCE = 30.0


class Site(Stack):
    """Server, workers and Redis; uploads are kept in a directory of their own while they are handled."""

    def __init__(self) -> None:
        super().__init__(workers=2, server_options=["--max-body-size", str(4 * SIZE)])
        self.uploads = self.folder / "uploads"
        self.uploads.mkdir()
        self.kept = self.folder / "kept"
        options = [("requests", "http.*"), ("sockets", "websocket.*")]
        self.workers = [
            self._python(name, "-m", "django", "runworker", "--threads", "2", "--only-channels", channels)
            for name, channels in options
        ]

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to belong to the site."""
        return {
            **super().environment,
            "DJANGO_SETTINGS_MODULE": "benchmarks.site.bodies",
            "BENCHMARK_UPLOADS": str(self.folder / "uploads"),
            "BENCHMARK_UPLOAD": str(self.folder / "kept"),
        }


# -- the load ----------------------------------------------------------------------------------------------------------


def started(what: str, port: int, size: int = 0) -> subprocess.Popen[str]:
    """Start a process of the load, where it takes no time from servers and workers, and wait until it is ready."""
    command = [sys.executable, "-m", "benchmarks.bodies_load", what, str(port), str(size)]
    with on_cores(CORES[-1:]):
        load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert load.stdout is not None
    assert load.stdout.readline() == "ready\n", f"the {what} did not start"
    return load


def result_of(load: subprocess.Popen[str]) -> str:
    """Let a process of the load begin, or end, and return what it prints last."""
    said, _ = load.communicate("\n")
    assert load.returncode == 0, f"a load failed: {load.args!r}"
    return said.strip()


def has_arrived(site: Site, what: str, size: int, found: str) -> bool:
    """Return whether not a byte was lost or changed, by what the load printed and, of an upload, by the file kept."""
    if what == "download":
        return found == str(size)  # compared while it was read
    with site.kept.open("rb") as file:
        is_whole = found == str(size) and all(file.read(len(piece)) == piece for piece in pieces(size))
    site.kept.unlink()
    return is_whole


# -- what is measured --------------------------------------------------------------------------------------------------


class Watch:
    """The most that each process has had in memory, from the beginning of the block to its end."""

    def __init__(self, site: Stack) -> None:
        self._pids = {process.name: process.pids() for process in (*site.servers, *site.workers, site.redis)}
        self._before = self._resident()
        self._most = dict(self._before)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def growth(self) -> dict[str, int]:
        """Return by how many bytes each has grown at its largest."""
        return {name: self._most[name] - before for name, before in self._before.items()}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ends.wait(0.05):
            self._most = {name: max(self._most[name], now) for name, now in self._resident().items()}

    def _resident(self) -> dict[str, int]:
        return {name: sum(map(usage.resident, pids)) for name, pids in self._pids.items()}


@contextmanager
def echoing(port: int, latencies: list[float]) -> Iterator[None]:
    """Have one echo after another sent until the block ends, and note how long each took."""
    load = started("echo", port)
    try:
        yield
    finally:
        latencies += json.loads(result_of(load))


def p99(latencies: Sequence[float]) -> float:
    """Return what 99 of 100 stay below, in seconds."""
    return sorted(latencies)[len(latencies) * 99 // 100]


class Round(NamedTuple):
    """What moving a body once did: bytes by process, and seconds that an echo took alone and beside it."""

    growth: dict[str, int]
    alone: list[float]
    beside: list[float]
    took: float

    @property
    def ratio(self) -> float:
        """How many times as long as alone the echo took, at the 99th percentile."""
        return p99(self.beside) / p99(self.alone)


def run(site: Site, size: int, seconds: float, rounds: int) -> Iterator[bool]:
    """Yield for each figure whether it holds, once it is printed."""
    [port] = site.ports
    for what in ("upload", "download", "upload", "download"):
        assert has_arrived(site, what, 64 * MIB, result_of(started(what, port, 64 * MIB)))
    for what in ("upload", "download"):
        yield from judged(list(moved(site, what, size, seconds, rounds)))
    yield no_file_is_left(site)


def moved(site: Site, what: str, size: int, seconds: float, rounds: int) -> Iterator[Round]:
    """Move the bytes several times; yield and print what each did."""
    before = alone(site, seconds)
    for _ in range(rounds):
        latencies: list[float] = []
        load = started(what, site.ports[0], size)
        with Watch(site) as watch, echoing(site.ports[0], latencies):
            began = time.perf_counter()
            found = result_of(load)
            took = time.perf_counter() - began
        assert has_arrived(site, what, size, found), f"the {what} is not what was sent: {found}"
        after = alone(site, seconds)
        done = Round(watch.growth(), before + after, latencies, took)
        before = after
        print(f"{what} of {size // MIB} MiB in {took:.1f} s, {size / took / MIB:.0f} MiB/s", flush=True)
        print(f"  echo alone: {percentiles(done.alone)}; beside it: {percentiles(done.beside)}; {done.ratio:.2f} x")
        yield done


def judged(rounds: Sequence[Round]) -> Iterator[bool]:
    """Yield what that did to memory, and to the echo."""
    for name in rounds[0].growth:
        yield report(f"  growth of {name}", max(each.growth[name] for each in rounds) / MIB, GROWTH / MIB, "MiB")
    ratios = [each.ratio for each in rounds]
    yield report(f"  p99 of the echo beside it ({min(ratios):.2f}-{max(ratios):.2f})", median(ratios), SLOWER, "x")


def alone(site: Site, seconds: float) -> list[float]:
    """Return what an echo takes while nothing else happens but what is looked at anyway."""
    latencies: list[float] = []
    with Watch(site), echoing(site.ports[0], latencies):
        time.sleep(seconds)
    return latencies


def percentiles(latencies: Sequence[float]) -> str:
    """Return the middle and the end of a distribution for a person."""
    return f"p50 {median(latencies) * 1000:.2f} ms, p99 {p99(latencies) * 1000:.2f} ms of {len(latencies)}"


def no_file_is_left(site: Site) -> bool:
    """Give an upload up in its middle; return whether its file was there, and is gone in the end."""
    with connected(site.ports[0]) as client:
        client.sendall(head_of_upload(SIZE))
        for piece in pieces(64 * MIB):
            client.sendall(piece)
        was_there = waited(lambda: files(site.uploads))
    is_gone = waited(lambda: not files(site.uploads))
    print(f"an upload that was given up leaves no file: {'holds' if was_there and is_gone else 'MISSED'}")
    return was_there and is_gone


def files(directory: Path) -> Iterable[str]:
    """Return the names in a directory."""
    return os.listdir(directory)  # noqa: PTH208 - a list, which tells by itself whether it is empty


def waited(condition: object) -> bool:
    """Wait until ``condition`` holds, and return whether it ever did."""
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def report(name: str, value: float, bound: float, unit: str) -> bool:
    """Print a figure and whether it is within its bound."""
    print(f"{name}: {value:.2f} {unit}, at most {bound:.2f}: {'holds' if value <= bound else 'MISSED'}", flush=True)
    return value <= bound


def main() -> int:
    """Measure, print each figure with its bound, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 when a threshold is missed")
    parser.add_argument("--size", type=int, default=SIZE // MIB, help="MiB each way (1024)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is done ({ROUNDS})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the echo alone is measured")
    options = parser.parse_args()
    with Site() as site:
        held = list(run(site, options.size * MIB, options.seconds, options.rounds))
    return 1 if options.check and not all(held) else 0


if __name__ == "__main__":
    sys.exit(main())
