"""Run the tests, from nothing: ``python3 scripts/test.py``, or ``make test``. Arguments go to pytest."""

from __future__ import annotations

import sys

import environment

WORKERS = ("-n", "auto", "--dist", "loadfile")  # a process for each core; most tests wait for other processes


def main() -> None:
    """Install what the tests need, then go on as pytest."""
    environment.prepare("test")
    environment.become("-m", "pytest", *WORKERS, *sys.argv[1:])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
