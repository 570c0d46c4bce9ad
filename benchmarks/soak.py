"""``python -m benchmarks.soak [--minutes N] [--check]``: mixed load for a long time, and what memory does meanwhile.

A site of processes (Redis, an interface server, workers) has sockets that echo at a steady pace, members of a group
that hear a numbered stream, guests that come and go, half of them by a reset, and pages by HTTP. Meanwhile the resident
memory of every process is sampled. In the end the samples are in a file; ``--plot`` draws it.

``--check`` exits 1 if the memory of a process has drifted, if a message was lost, doubled or out of order, if a socket
was closed, or if a process had something to complain of. Memory has drifted if the median of the last third is above
that of the middle third by more than its allowance: the first third is the time to warm up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import environments
from benchmarks.process import Process
from benchmarks.soak_load import Load
from benchmarks.stack import Stack

SAMPLES = Path("benchmarks/soak.json")
PLOT = Path("docs/images/soak.svg")
INTERVAL = 2.0
"""Seconds between two samples."""
ALLOWED_SHARE = 0.03
ALLOWED_MIB = 2.0
"""What memory may have grown by, as a share or in MiB, whichever is more: allocators keep what they had once needed."""
MIB = 1024 * 1024


def processes(stack: Stack) -> list[Process]:
    """Return every process of the site."""
    return [stack.redis, *stack.servers, *stack.workers]


async def sample(stack: Stack, seconds: float, samples: dict[str, list[float]], times: list[float]) -> None:
    """Note the memory of every process in MiB, for so many seconds."""
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        times.append(round(now, 1))
        for process in processes(stack):
            samples.setdefault(process.name, []).append(round(process.resident() / MIB, 2))
        await asyncio.sleep(min(INTERVAL, seconds / 30))


async def soak(minutes: float, workers: int, threads: int) -> dict[str, object]:
    """Run the load and return what is known of it in the end."""
    with Stack(workers=workers, threads=threads) as stack:
        load = Load(stack.ports[0])
        samples: dict[str, list[float]] = {}
        times: list[float] = []
        await load.start()
        running = [asyncio.create_task(each) for each in load.jobs()]
        try:
            await sample(stack, minutes * 60, samples, times)
            for task in running:
                if task.done():
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        faults = await load.end()
        faults += [line for process in processes(stack)[1:] for line in process.lines("WARNING", "ERROR", "Traceback")]
    return {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "minutes": minutes,
        "load": load.summary(),
        "faults": faults,
        "times": times,
        "memory": samples,
    }


def drift(values: Sequence[float]) -> tuple[float, float, bool]:
    """Return the memory in the middle third and the last, and whether it has grown by more than it may."""
    third = len(values) // 3
    middle, last = statistics.median(values[third : 2 * third]), statistics.median(values[2 * third :])
    return middle, last, last - middle > max(ALLOWED_MIB, middle * ALLOWED_SHARE)


def verdict(memory: Mapping[str, Sequence[float]], faults: Sequence[str]) -> bool:
    """Print what became of each process, and what went wrong; return whether all is well."""
    is_well = not faults
    for name, values in memory.items():
        middle, last, has_drifted = drift(values)
        is_well = is_well and not has_drifted
        print(f"{name}: {middle:.1f} MiB, later {last:.1f} MiB: {'DRIFTS' if has_drifted else 'flat'}")
    for fault in faults[:20]:
        print(f"FAULT {fault}")
    print("holds" if is_well else "MISSED")
    return is_well


def plot(samples: Path) -> int:
    """Draw ``samples`` by the Python that has matplotlib, which is made if it is not there."""
    missing = environments.prepare(["plots"])
    if missing:
        print(f"nothing is drawn: {missing['plots']}", file=sys.stderr)
        return 1
    script = environments.ROOT / "benchmarks/soak_plot.py"
    command = [str(environments.python("plots")), str(script), str(samples), str(PLOT)]
    return subprocess.run(command, check=False).returncode


def main() -> int:
    """Run the load, write the samples, print the verdict, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--samples", type=Path, default=SAMPLES, help=f"where the samples go ({SAMPLES})")
    parser.add_argument("--plot", action="store_true", help=f"draw the samples into {PLOT}, and run no load")
    parser.add_argument("--check", action="store_true", help="exit 1 if anything was lost or memory has drifted")
    options = parser.parse_args()
    if options.plot:
        return plot(options.samples)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    found = asyncio.run(soak(options.minutes, options.workers, options.threads))
    options.samples.write_text(json.dumps(found) + "\n")
    print(f"{options.minutes:g} minutes: {found['load']}")
    memory, faults = found["memory"], found["faults"]
    assert isinstance(memory, dict)
    assert isinstance(faults, list)
    return 0 if verdict(memory, faults) or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
