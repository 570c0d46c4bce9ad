"""``make profiles``: take samples of server and worker under load, and keep where they were.

For each workload and process a text with the functions that were running most often, alone and with what they called,
and the stacks as flame graphs want them. Samples are taken by py-spy, which may look into other processes as root, or
where ptrace is allowed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import contenders, environments, machine, workloads
from benchmarks.deployment import Deployment
from benchmarks.environments import ROOT
from benchmarks.measurement import FailedError, measure

FOLDER: Final = ROOT / "benchmarks/results/profiles"
WORKLOADS: Final = ("echo-100", "broadcast-1000", "hello")
CONTENDER: Final = "ours-redis"
SECONDS: Final = 4.0
RATE: Final = 400
SHOWN: Final = 25


def main() -> int:
    """Profile each workload; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    missing = environments.prepare(["profiler", "redis"])
    if missing:
        print("; ".join(f"{name}: {why}" for name, why in missing.items()), file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in WORKLOADS:
        profile(name, options.seconds)
    return 0


def profile(name: str, seconds: float) -> None:
    """Let the load run for longer than samples are taken, of all processes at once."""
    workload, layout = workloads.BY_NAME[name], machine.Layout.on(machine.available())
    workload = replace(workload, load=replace(workload.load, seconds=seconds + 1, warm_up=0.5))
    with Deployment(contenders.BY_NAME[CONTENDER], layout) as deployment:
        load = threading.Thread(target=_measured, args=(deployment, workload, layout))
        load.start()
        roles = [(role, pids[0]) for role, pids in deployment.roles().items() if role != "redis"]
        recorders = [(role, record(pid, seconds, FOLDER / f"{name}-{role}.folded")) for role, pid in roles]
        for role, recorder in recorders:
            _, said = recorder.communicate(timeout=seconds + 60)
            write(name, role, FOLDER / f"{name}-{role}.folded", said)
        load.join()


def _measured(deployment: Deployment, workload: workloads.Workload, layout: machine.Layout) -> None:
    try:
        print(f"{workload.name}: {measure(deployment, workload, 0, layout).value:,.0f} {workload.unit} while watched")
    except FailedError as error:
        print(f"{workload.name}: {error}", file=sys.stderr)


def record(pid: int, seconds: float, path: Path) -> subprocess.Popen[str]:
    """Begin to take samples of a process."""
    command = [str(environments.HOME / "profiler/bin/py-spy"), "record", "--pid", str(pid), "--format", "raw"]
    command += ["--rate", str(RATE), "--duration", str(max(1, round(seconds))), "--output", str(path)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def write(name: str, role: str, folded: Path, said: str) -> None:
    """Write what the stacks say beside them."""
    if not folded.exists():
        print(f"{name}, {role}: py-spy took no samples: {said.strip()}", file=sys.stderr)
        return
    lines = [line.replace(f"{ROOT}/", "") for line in folded.read_text().splitlines()]
    folded.write_text("\n".join(lines) + "\n")
    folded.with_suffix(".txt").write_text(f"{workloads.BY_NAME[name].title}: {role}\n\n{report(lines)}\n")


def report(lines: Iterable[str]) -> str:
    """Return the functions of most samples; a line is a stack with semicolons between frames, and a count."""
    alone: Counter[str] = Counter()
    together: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = [frame.rpartition(":")[0] or frame for frame in stack.split(";")]
        alone[frames[-1]] += int(count)
        together.update(dict.fromkeys(frames, int(count)))
    total = alone.total()
    parts = [_listed("running", alone, total), _listed("running, or waiting for what they called", together, total)]
    return f"{total:,} samples\n\n" + "\n\n".join(parts)


def _listed(what: str, counts: Counter[str], total: int) -> str:
    lines = [f"  {count / total:6.1%}  {function}" for function, count in counts.most_common(SHOWN)]
    return f"Functions that were {what}:\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
