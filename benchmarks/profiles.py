"""``make profiles``: take samples of server and worker under load, and keep where they were.

For each workload and process a text with the functions that were running most often, alone and with what they called;
the stacks, as flame graphs want them, are left in ``.bench/profiles``. Samples are taken by py-spy, which may look into
other processes as root, or where ptrace is allowed.
"""

from __future__ import annotations

import argparse
import re
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
STACKS: Final = environments.HOME / "profiles"
WORKLOADS: Final = ("echo-100", "broadcast-1000", "hello")
CONTENDER: Final = "ours-redis"
SECONDS: Final = 4.0
RATE: Final = 400
"""Samples in a second."""
SHOWN: Final = 25
LINE: Final = re.compile(r":\d+\)$")


def main() -> int:
    """Profile each workload; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    missing = environments.prepare(["profiler", "redis"])
    if missing:
        print("; ".join(f"{name}: {why}" for name, why in missing.items()), file=sys.stderr)
        return 1
    for folder in (FOLDER, STACKS):
        folder.mkdir(parents=True, exist_ok=True)
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
        recorders = [(role, record(pid, seconds, STACKS / f"{name}-{role}.folded")) for role, pid in roles]
        for role, recorder in recorders:
            _, said = recorder.communicate(timeout=seconds + 60)
            write(name, role, STACKS / f"{name}-{role}.folded", said)
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
    text = report(folded.read_text().replace(f"{ROOT}/", "").splitlines())
    (FOLDER / f"{name}-{role}.txt").write_text(f"{workloads.BY_NAME[name].title}: {role}\n\n{text}\n")


def report(lines: Iterable[str]) -> str:
    """Return the functions of most samples; a line is a stack with semicolons between frames, and a count."""
    alone: Counter[str] = Counter()
    together: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = [LINE.sub(")", frame) for frame in stack.split(";")]
        alone[frames[-1]] += int(count)
        together.update(dict.fromkeys(frames, int(count)))
    total = alone.total()
    parts = [_listed("running", alone, total), _listed("running, or waiting for what they called", together, total)]
    return f"{total:,} samples\n\n" + "\n\n".join(parts)


def heads(count: int) -> dict[str, list[str]]:
    """Return the first lines of each text that is kept, by its title: the functions that were running most often."""
    found = {}
    for path in sorted(FOLDER.glob("*.txt")):
        lines = path.read_text().splitlines()
        begin = next(number for number, line in enumerate(lines) if line.startswith("Functions")) + 1
        found[lines[0]] = [line.strip() for line in lines[begin : begin + count]]
    return found


def _listed(what: str, counts: Counter[str], total: int) -> str:
    lines = [f"  {count / total:6.1%}  {function}" for function, count in counts.most_common(SHOWN)]
    return f"Functions that were {what}:\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
