"""Bring new code to the example chat that ``make chat`` runs: ``python3 scripts/deploy.py``, or ``make deploy``.

The workers restart one by one, and no socket is closed. Each deploy has a number, which is part of the version that
the page shows, so that it is another one even where no code has changed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import environment

CHAT = environment.ROOT / "examples" / "chat"
PATIENCE = 60
"""Seconds that the workers may take."""
NOT_RUNNING = "The chat does not run, or runs in one process. Start it first, in another terminal:\n    make chat"


def main() -> None:
    """Tell the supervisor that there is new code, and wait until other workers run it."""
    supervisor, old = supervisor_of(CHAT / "chat.pid"), workers()
    if supervisor is None or not old:
        sys.exit(NOT_RUNNING)
    number = next_release(CHAT / "chat" / "release.txt")
    os.kill(supervisor, signal.SIGHUP)
    print(f"Deploy {number}: {len(old)} workers are replaced, one by one ...", flush=True)
    deadline = time.monotonic() + PATIENCE
    while len(workers() - old) < len(old) or workers() & old:
        if time.monotonic() > deadline:
            sys.exit("The new workers have not begun. The terminal of make chat says why; the old ones go on.")
        time.sleep(0.1)
    print("Done. The page shows another code version, and no reconnect.")


def supervisor_of(file: Path) -> int | None:
    """Return the process that a file names, if it is there."""
    try:
        number = int(file.read_text())
        os.kill(number, 0)
    except (OSError, ValueError):
        return None
    return number


def workers() -> set[int]:
    """Return the processes of the workers that are alive."""
    command = [str(environment.PYTHON), "manage.py", "channels", "status", "--json"]
    ended = subprocess.run(command, cwd=str(CHAT), stdout=subprocess.PIPE, check=False)
    if ended.returncode:
        sys.exit(NOT_RUNNING)
    return {process["pid"] for process in json.loads(ended.stdout) if process["role"] == "worker"}


def next_release(file: Path) -> int:
    """Write the number of this deploy into a file, and return it."""
    number = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(str(number))
    return number


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
