"""``python -m benchmarks.chaos [NAME ...]``: run the trials, all of them or those that are named."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import resource
import sys
import time
import traceback
from collections.abc import Awaitable, Callable

from benchmarks.chaos import background, consumers, crowds, deploys, ledger, outages

TRIALS: dict[str, Callable[[], Awaitable[None]]] = {
    trial.__name__: trial
    for trial in (
        outages.outage,
        outages.flush,
        outages.cuts,
        outages.idle,
        crowds.burst,
        crowds.churn,
        crowds.backlog,
        crowds.storm,
        crowds.killed_worker,
        consumers.gil,
        consumers.ask,
        consumers.senders,
        background.reserved,
        background.blocked,
        deploys.rolling,
        ledger.ledger,
    )
}


def main() -> int:
    """Run the trials one after another; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *TRIALS], help="trials to run (all)")
    parser.add_argument("--check", action="store_true", help="accepted as elsewhere: the status tells in any case")
    names = parser.parse_args().names or list(TRIALS)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return sum(not held(name, TRIALS[name]) for name in names)


def held(name: str, trial: Callable[[], Awaitable[None]]) -> bool:
    """Run a trial and say how it went."""
    print(f"{name}: {inspect.getdoc(trial)}", flush=True)
    begun = time.monotonic()
    try:
        asyncio.run(_bounded(trial))
    except Exception:  # noqa: BLE001 - the next trial is run whatever became of this one
        traceback.print_exc(file=sys.stdout)
        print("  FAILED", flush=True)
        return False
    print(f"  held, {time.monotonic() - begun:.0f} s", flush=True)
    return True


async def _bounded(trial: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(300):
        await trial()


if __name__ == "__main__":
    sys.exit(main())
