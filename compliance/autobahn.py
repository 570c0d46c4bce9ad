"""``python -m compliance.autobahn [CASES …]``: the Autobahn test suite against daphne, Redis and a worker.

The suite is a program for Python 2.7. It gets an environment of its own, below ``.autobahn``; where no Python 2.7 is
found, its container image is used. Everything runs on the loopback interface and ends with this command. A run of
all cases writes its table into the documentation. The exit status is 1 unless every case passed strictly.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
PLACE: Final = ROOT / ".autobahn"
PAGE: Final = ROOT / "docs/reference/autobahn.md"
VERSION: Final = "0.8.2"
IMAGE: Final = "crossbario/autobahn-testsuite"
AGENT: Final = "daphne"
PORT: Final = 9001
STARTING: Final = 60.0
"""Seconds that a process gets until it serves."""

GROUPS: Final = {
    "1.*": "Framing",
    "2.*": "Pings and pongs",
    "3.*": "Reserved bits",
    "4.*": "Opcodes",
    "5.*": "Fragmentation",
    "6.*": "UTF-8 handling",
    "7.*": "Close handling",
    "9.*": "Limits and performance",
    "10.*": "Writing in pieces",
    "12.*": "Compression of various payloads",
    "13.*": "Compression with various parameters",
}
"""Cases by what the suite calls them; it has no groups 8 and 11."""
PARTS: Final = ["9.*", *(f"12.{n}.*" for n in range(1, 6)), *(f"13.{n}.*" for n in range(1, 8))]
"""What takes long, in pieces that can run beside one another."""
PASSED: Final = ("OK", "INFORMATIONAL")
Results = dict[str, dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases, print the table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASES", help="such as 6.* or 9.1.1; all of them if none is named")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="how many parts of the suite run at once (1)")
    options = parser.parse_args(arguments)
    suite = find_suite()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        running.enter_context(serving(Path(folder)))
        results = run_parts(suite, options.cases or everything(), options.jobs, Path(folder))
    minutes = (time.monotonic() - began) / 60
    print(table(results))
    faults = [f"{case}: {text}" for case, text in sorted(faulty(results).items())]
    print("\n".join(faults) or f"{len(results)} cases in {minutes:.0f} minutes, all of them passed")
    if not options.cases:
        PAGE.write_text(page(results))
        print(f"written: {PAGE.relative_to(ROOT)}")
    return 1 if faults or not results else 0


def everything() -> list[str]:
    """Return all cases, in parts."""
    return [group for group in GROUPS if not any(part.startswith(group[:-1]) for part in PARTS)] + PARTS


# -- the suite ---------------------------------------------------------------------------------------------------------


def find_suite() -> list[str]:
    """Return the command that runs ``wstest``; install it first, or exit with a sentence where that cannot be."""
    python = find_python2()
    if python is not None:
        install(python)
        # As a directory of packages, not by PYTHONPATH: one of them is spread over several (zope).
        code = f"import site; site.addsitedir({str(PLACE)!r}); from autobahntestsuite.wstest import run; run()"
        return [python, "-W", "ignore", "-c", code]
    for runtime in ("docker", "podman"):
        if shutil.which(runtime):
            mount = f"{tempfile.gettempdir()}:{tempfile.gettempdir()}"
            return [runtime, "run", "--rm", "--network=host", "-v", mount, IMAGE, "wstest"]
    sys.exit(
        "The Autobahn test suite needs Python 2.7, or Docker or Podman for its container image; none of them is here. "
        "pyenv builds a Python 2.7: pyenv install 2.7.18. Another place of it can be named in PYTHON27."
    )


def find_python2() -> str | None:
    """Return a Python 2.7 with pip: the one in ``PYTHON27``, one on PATH, or one of pyenv's."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [os.environ.get("PYTHON27"), shutil.which("python2.7"), *versions.glob("2.7*/bin/python2.7")]
    return next((str(python) for python in found if python and has_pip(str(python))), None)


def has_pip(python: str) -> bool:
    """Return whether this Python is there and has pip: a shim of pyenv may lead nowhere."""
    try:
        return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install(python: str) -> None:
    """Install the suite below :data:`PLACE`, once."""
    stamp = PLACE / "installed"
    if stamp.exists() and stamp.read_text() == VERSION:
        return
    print(f"Installing autobahntestsuite {VERSION} into {PLACE.name} ...", flush=True)
    command = [python, "-m", "pip", "install", "-qqq", "--disable-pip-version-check", "--target", str(PLACE)]
    subprocess.run([*command, f"autobahntestsuite=={VERSION}"], check=True)
    stamp.write_text(VERSION)


def run_parts(suite: list[str], cases: list[str], jobs: int, folder: Path) -> Results:
    """Run each pattern of ``cases`` as a part, ``jobs`` at once; return all results by case."""
    results: Results = {}
    with ThreadPoolExecutor(jobs) as threads:
        for part, found in zip(cases, threads.map(lambda part: run_part(suite, part, folder), cases), strict=True):
            print(f"  {part}: {len(found)} cases", flush=True)
            results |= found
    return results


def run_part(suite: list[str], part: str, folder: Path) -> Results:
    """Run the cases of one pattern; return what the suite says of each."""
    reports = folder / f"reports-{part.replace('*', 'x')}"
    specification = folder / f"{reports.name}.json"
    server = {"agent": AGENT, "url": f"ws://127.0.0.1:{PORT}/", "options": {"version": 18}}
    listed = {"outdir": str(reports), "servers": [server], "cases": [part], "exclude-cases": []}
    specification.write_text(json.dumps({**listed, "exclude-agent-cases": {}}))
    command = [*suite, "-m", "fuzzingclient", "-s", str(specification)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    results: Results = json.loads((reports / "index.json").read_text()).get(AGENT, {})
    return results


# -- what it talks to --------------------------------------------------------------------------------------------------


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    """Run Redis, a worker and daphne, until the block ends."""
    redis = folder / "redis.sock"
    environment = {
        **os.environ,
        "COMPLIANCE_REDIS": f"unix://{redis}",
        "DJANGO_SETTINGS_MODULE": "compliance.site.settings",
        "PYTHONPATH": str(ROOT),
    }
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        sys.exit("redis-server is not installed, and what is tested runs over it")
    options = ["--port", "0", "--unixsocket", str(redis), "--save", "", "--dir", str(folder)]
    python = [sys.executable, "-m"]
    with (
        process([binary, *options], "eady to accept connections", environment),
        process([*python, "django", "runworker"], "Channels: ", environment),
        process([*python, "daphne", "-p", str(PORT), "channels.asgi:channel_layer"], "listens on", environment),
    ):
        yield


@contextmanager
def process(command: list[str], ready: str, environment: dict[str, str]) -> Iterator[None]:
    """Run a process from the line that contains ``ready`` until the block ends."""
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT) as running,
    ):
        try:
            _await_line(running, output.fileno(), ready)
            yield
        finally:
            running.terminate()


def _await_line(running: subprocess.Popen[bytes], output: int, ready: str) -> None:
    deadline = time.monotonic() + STARTING
    while ready not in (text := os.pread(output, 1 << 20, 0).decode(errors="replace")):
        if running.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{running.args!r} did not start:\n{text}")
        time.sleep(0.05)


# -- what comes of it --------------------------------------------------------------------------------------------------


def faulty(results: Results) -> dict[str, str]:
    """Return what was not passed strictly, by case, with the verdicts on messages and on the close."""
    return {
        case: f"{result['behavior']}, close {result['behaviorClose']}"
        for case, result in results.items()
        if result["behavior"] not in PASSED or result["behaviorClose"] not in PASSED
    }


def table(results: Results) -> str:
    """Return the summary as a Markdown table, a row for each group of cases."""
    lines = [
        "| cases | | passed | informational | non-strict | failed | unimplemented |",
        "|---|---|---|---|---|---|---|",
    ]
    for group, text in GROUPS.items():
        found = [result for case, result in results.items() if case.startswith(group[:-1])]
        if found:
            lines.append(f"| {group[:-2]} | {text} | {_cells(found)} |")
    return "\n".join([*lines, f"| | all | {_cells(list(results.values()))} |", ""])


def _cells(found: list[dict[str, Any]]) -> str:
    counts = Counter(map(_verdict, found))
    known = (*PASSED, "NON-STRICT", "UNIMPLEMENTED")
    failed = sum(number for verdict, number in counts.items() if verdict not in known)
    columns = (counts["OK"], counts["INFORMATIONAL"], counts["NON-STRICT"], failed, counts["UNIMPLEMENTED"])
    return " | ".join(map(str, columns))


def _verdict(result: dict[str, Any]) -> str:
    """Return the verdict on a case: that on its close where the messages have passed and the close has not."""
    messages, close = str(result["behavior"]), str(result["behaviorClose"])
    return close if messages in PASSED and close not in PASSED else messages


def page(results: Results) -> str:
    """Return the page of the documentation."""
    verdicts = {case: (result["behavior"], result["behaviorClose"]) for case, result in results.items()}
    informational = sorted(case for case, both in verdicts.items() if "INFORMATIONAL" in both)
    return f"""# Autobahn

The [Autobahn test suite](https://github.com/crossbario/autobahn-testsuite) {VERSION} is what WebSocket servers are
measured by. `make autobahn` runs all of it against `daphne`, with Redis and a worker behind it whose consumer sends
back what it gets, and writes this page. The settings are the defaults, with limits raised to the suite's largest
message.

{table(results)}
*Informational* is the suite's own word for cases in which a server may do one thing or another:
{", ".join(informational) or "none"}.

A part of the suite: `make autobahn ARGS="6.* 7.*"`. Several parts at once: `make autobahn ARGS="-j 2"`.
"""


if __name__ == "__main__":
    sys.exit(main())
