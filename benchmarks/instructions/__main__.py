"""``make instructions``: count the instructions that hot paths take, and compare them with the baseline.

Exits 1 if one takes 5 % more than it did. A build of Python that has no baseline gets one, and so does one whose
packages are others: that is said, and no fault. ``--rewrite`` makes what is counted now the baseline, to be committed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.instructions.baseline import TOLERANCE, Baseline, Change, Counts, build, versions

ROOT: Final = Path(__file__).parent.parent.parent
TOTAL: Final = re.compile(r"I\s+refs:\s+([\d,]+)")
OPTIONS: Final = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


def main() -> int:
    """Count, compare or keep, print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rewrite", action="store_true", help="make what is counted now the baseline of this build")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not installed (on Debian and Ubuntu: apt-get install valgrind)", file=sys.stderr)
        return 2
    baseline, name, found = Baseline.load(), build(), Counts(count(), versions())
    reason = why_new(baseline, name, found, rewrite=options.rewrite)
    if name in baseline.builds:
        show(name, list(baseline.changes(name, found.counts)))
    if reason:
        baseline.builds[name] = found
        baseline.save()
        print(f"{reason}: written to the baseline. Commit it to have later counts compared with it.")
        return 0
    return verdict(list(baseline.changes(name, found.counts)))


def why_new(baseline: Baseline, name: str, found: Counts, *, rewrite: bool) -> str:
    """Return why the baseline is written anew, or nothing if it is compared with."""
    if name not in baseline.builds:
        return f"There was no baseline for {name}"
    before = baseline.builds[name].versions
    if rewrite:
        return "What was counted now"
    others = [
        f"{each} {before.get(each, '-')}" for each, version in found.versions.items() if before.get(each) != version
    ]
    return f"The baseline was made with {', '.join(others)}" if others else ""


def show(name: str, changes: Sequence[Change]) -> None:
    """Print a line for each piece."""
    print(f"Instructions for each call ({name})")
    for each in changes:
        before, now = (f"{n:,}" if n is not None else "-" for n in (each.before, each.now))
        print(f"  {each.name:42} {before:>10} {now:>10} {each.share:+7.1%}  {each.verdict}".rstrip())


def verdict(changes: Sequence[Change]) -> int:
    """Say what has changed; return the exit status."""
    more = [each.name for each in changes if each.verdict == "MORE"]
    if more:
        print(f"More than {TOLERANCE:.0%} above the baseline: {', '.join(more)}.")
        print("If that has its reason: make instructions ARGS=--rewrite, and commit the baseline.")
    elif any(each.verdict for each in changes):
        print("To keep what was gained or is new: make instructions ARGS=--rewrite, and commit the baseline.")
    return 1 if more else 0


def count() -> dict[str, int]:
    """Return the instructions that each call of each piece takes."""
    with tempfile.TemporaryDirectory(prefix="relay-instructions-") as folder:
        command = [
            "valgrind",
            *OPTIONS,
            f"--log-file={folder}/%p",
            sys.executable,
            "-m",
            "benchmarks.instructions.inside",
        ]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        return differences([(name, int(times), total(Path(folder, pid).read_text())) for name, times, pid in rows])


def total(log: str) -> int:
    """Return the number that valgrind has written."""
    found = TOTAL.search(log)
    if found is None:
        raise SystemExit(f"valgrind has counted nothing:\n{log}")
    return int(found[1].replace(",", ""))


def differences(rows: Sequence[tuple[str, int, int]]) -> dict[str, int]:
    """Return instructions for each call, from the counts of forks that called nothing and of those that called."""
    spent: defaultdict[str, int] = defaultdict(int)
    calls: dict[str, int] = {}
    for name, times, instructions in rows:
        spent[name] += instructions if times else -instructions
        calls[name] = max(times, calls.get(name, 0))
    nothing = spent.pop("nothing")
    return {name: round((each - nothing) / calls[name]) for name, each in spent.items()}


if __name__ == "__main__":
    sys.exit(main())
