"""``python -m benchmarks.sessions [--check]``: what a channel session costs that is read in every message.

An echo by a consumer that reads its ``channel_session`` is paired with one that has none, one after the other, each on
a fresh server; the order alternates. The cost is the median over the pairs of what is missing. ``--check`` exits 1 when
it is more than the threshold.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import replace

from benchmarks.contenders import BY_NAME
from benchmarks.deployment import Deployment
from benchmarks.machine import Layout, available
from benchmarks.measurement import measure
from benchmarks.workloads import BY_NAME as WORKLOADS

THRESHOLD = 0.15
"""Part of the echoes per second that reading a session of 200 bytes may cost."""
PATHS = ("/echo/", "/session/")


def measure_pair(number: int, seconds: float) -> float:
    """Return which part of the throughput is missing with a session."""
    paths = PATHS if number % 2 == 0 else PATHS[::-1]
    rates = {path: rate_of(path, seconds) for path in paths}
    cost = 1 - rates["/session/"] / rates["/echo/"]
    print(f"  pair {number + 1}: {rates['/echo/']:,.0f}/s without, {rates['/session/']:,.0f}/s with: {cost:.1%}")
    return cost


def rate_of(path: str, seconds: float) -> float:
    """Return the echoes per second over 100 sockets at ``path``, of a server that was started for them."""
    workload, layout = WORKLOADS["echo-100"], Layout.on(available())
    workload = replace(workload, load=replace(workload.load, path=path, seconds=seconds))
    with Deployment(BY_NAME["ours-memory"], layout) as deployment:
        return measure(deployment, workload, 0, layout).rate


def main() -> int:
    """Measure pairs, print the median and the verdict, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 when the threshold is missed")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    costs = [measure_pair(number, options.seconds) for number in range(options.pairs)]
    cost = statistics.median(costs)
    holds = cost <= THRESHOLD
    print(f"channel_session, read in every message: {cost:.1%} ({min(costs):.1%} to {max(costs):.1%})")
    print(f"  threshold {THRESHOLD:.0%}: {'holds' if holds else 'MISSED'}")
    return 1 if options.check and not holds else 0


if __name__ == "__main__":
    sys.exit(main())
