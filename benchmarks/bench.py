"""``make bench``: measure this project and its rivals, in turn, on this machine.

Without words everything is measured; words choose workloads by the beginning of their name or family, such as "echo" or
"broadcast-1000". A full run takes about half an hour, a quick one 4 minutes, once the rivals are installed. See
benchmarks/README.md for the method.
"""

from __future__ import annotations

import argparse
import datetime
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import contenders, environments, machine, targets, workloads
from benchmarks.contenders import Contender
from benchmarks.environments import HOME, ROOT
from benchmarks.results import Results
from benchmarks.schedule import Patience, Schedule
from benchmarks.workloads import Workload

PATIENCE: Final = 120.0
"""Seconds that a full run may spend on repeating measurements that were disturbed."""
MINUTES: Final = 24.0
"""Minutes after which each workload that is left is measured once."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="workload", help="what to measure (everything)")
    parser.add_argument("--only", default="", metavar="NAMES", help="contenders, such as ours,uvicorn,node-ws")
    parser.add_argument("--quick", action="store_true", help="some workloads, short and at most twice")
    parser.add_argument("--runs", type=int, metavar="N", help="runs of each workload")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of a window")
    parser.add_argument("--patience", type=float, metavar="S", help="how long disturbed figures are repeated in all")
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="M", help="after these, measure only once")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the results go")
    parser.add_argument("--check", action="store_true", help="exit 1 unless every target was measured and held")
    parser.add_argument("--list", action="store_true", help="say what would be measured, and for how long")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, save, print the targets; return the exit status."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    # Ended from outside it has to end what it has started; a shell makes background jobs deaf to SIGINT.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit("interrupted; what was measured is written"))
    try:
        chosen = [_changed(each, options) for each in workloads.chosen(options.words, quick=options.quick)]
        taking_part = select(options.only, quick=options.quick)
    except ValueError as error:
        parser.error(str(error))
    missing = environments.prepare(needed_by(taking_part)) if not options.list else {}
    for name, why in missing.items():
        print(f"Left out is what needs {name}: {why}")
    taking_part = [each for each in taking_part if not set(each.needs) & set(missing)]
    schedule = Schedule(chosen, taking_part)
    print(schedule.announcement())
    if options.list:
        return 0
    complete = not (options.words or options.only or options.quick or options.seconds or options.runs)
    results = _begun(taking_part, missing, quick=options.quick)
    path = options.output or (
        targets.RESULTS if complete else HOME / "results" / f"{results.begun.replace(':', '')}.json"
    )
    _measure(schedule, results, path, _patience(options))
    results.complete = complete
    results.save(path)
    print(f"\nResults: {path}\n")
    judged = targets.judge(results)
    print(targets.table(judged))
    return 1 if options.check and not all(each.held for each in judged) else 0


def _measure(schedule: Schedule, results: Results, path: Path, patience: Patience) -> None:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    begun = time.monotonic()
    for _ in schedule.run(results, machine.Layout.on(machine.available()), patience):
        results.minutes = (time.monotonic() - begun) / 60
        results.save(path)


def _patience(options: argparse.Namespace) -> Patience:
    given: float | None = options.patience
    return Patience(given if given is not None else 0.0 if options.quick else PATIENCE, options.minutes)


def _changed(workload: Workload, options: argparse.Namespace) -> Workload:
    load = replace(workload.load, seconds=options.seconds) if options.seconds else workload.load
    return replace(workload, runs=options.runs or workload.runs, load=load)


def select(only: str, *, quick: bool) -> list[Contender]:
    """Return the contenders that are named, or all. Raises :exc:`ValueError` for a name that nobody has."""
    offered = [each for each in contenders.CONTENDERS if each.quick or not quick]
    words = [word for word in only.split(",") if word]
    for word in words:
        if not any(each.is_called(word) for each in contenders.CONTENDERS):
            names = ", ".join(each.name for each in contenders.CONTENDERS)
            raise ValueError(f"nobody is called {word!r}; there are {names}")
    if not words:
        return offered
    return [each for each in contenders.CONTENDERS if any(each.is_called(word) for word in words)]


def needed_by(taking_part: Sequence[Contender]) -> list[str]:
    """Return the environments that these contenders need."""
    return list(dict.fromkeys(name for each in taking_part for name in each.needs))


def _begun(taking_part: Sequence[Contender], missing: dict[str, str], *, quick: bool) -> Results:
    absent = {name: "" for name in environments.LOOKS if name != "own" and name not in needed_by(taking_part)}
    return Results(
        begun=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        quick=quick,
        commit=_commit(),
        machine=machine.facts(),
        versions=environments.versions({**absent, **missing}),
        settings={each.name: each.settings.replace(str(ROOT), ".") for each in taking_part},
        left_out=missing,
    )


def _commit() -> str:
    """Return the commit of this checkout, with a plus if there is more than was committed; nothing without git."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
