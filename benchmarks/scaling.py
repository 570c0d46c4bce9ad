"""How many processes a site needs: ``python -m benchmarks.scaling --sockets N`` answers from measured costs.

The model is a sum: what a process does for one message takes so many microseconds of CPU, measured, and a processor has
a million of them in a second, of which ``use`` are to be used. Nothing is shared by servers or workers but the layer,
so their costs add up; the layer's own cost is counted in the same way, for each shard.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

from benchmarks.results import Results
from benchmarks.targets import OURS, RESULTS, idle

SECOND: Final = 1e6
USE: Final = 0.6
"""Share of a processor that is planned with: the rest is for what comes at once, and for restarts."""
MEMBERS: Final = 1000
"""Members of the groups that broadcasts were measured with."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Microseconds of CPU, and KiB, each as measured."""

    server_echo: float
    """Of the server, for a message that comes and is answered."""
    worker_echo: float
    redis_echo: float
    server_delivery: float
    """Of the server, for each copy of a broadcast."""
    worker_broadcast: float
    """Of the worker, for a broadcast."""
    redis_broadcast: float
    socket_kib: float
    """Memory of the server for an idle socket."""
    socket_idle: float
    """Of the server, for each second that a socket is open and silent."""

    @classmethod
    def of(cls, results: Results) -> Self | None:
        """Return what was measured, or nothing if some of it was not."""
        found = {
            "server_echo": _cpu(results, "echo-100", "server"),
            "worker_echo": _cpu(results, "echo-100", "worker"),
            "redis_echo": _cpu(results, "echo-100", "redis"),
            "server_delivery": _cpu(results, "broadcast-1000", "server"),
            "worker_broadcast": _cpu(results, "broadcast-1000", "worker", MEMBERS),
            "redis_broadcast": _cpu(results, "broadcast-1000", "redis", MEMBERS),
            "socket_kib": _value(results),
            "socket_idle": _idle_cpu(results),
        }
        return (
            cls(**{name: value for name, value in found.items() if value is not None})
            if all(value is not None for value in found.values())
            else None
        )


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a site has to carry."""

    sockets: int
    messages: float
    """Messages per second that clients send, each of them answered."""
    broadcasts: float = 0.0
    """Messages per second to groups."""
    members: int = MEMBERS
    """Members that a group has, all told."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Processes, each with a processor of its own, and the memory of all servers' sockets."""

    servers: int
    workers: int
    shards: int
    memory_gib: float


def needs(site: Site, costs: Costs, use: float = USE) -> Needs:
    """Return how many processes of each kind ``site`` needs, at least one."""
    budget = SECOND * use
    server = (
        site.messages * costs.server_echo
        + site.broadcasts * site.members * costs.server_delivery
        + site.sockets * costs.socket_idle
    )
    worker = site.messages * costs.worker_echo + site.broadcasts * costs.worker_broadcast
    servers = max(1, math.ceil(server / budget))
    # A broadcast is written once for each server that has members, which is all of them for a large group.
    redis = site.messages * costs.redis_echo + site.broadcasts * costs.redis_broadcast * servers
    return Needs(
        servers=servers,
        workers=max(1, math.ceil(worker / budget)),
        shards=max(1, math.ceil(redis / budget)),
        memory_gib=site.sockets * costs.socket_kib / 1024 / 1024,
    )


def _cpu(results: Results, workload: str, role: str, times: float = 1.0) -> float | None:
    figure = results.figure(workload, OURS, lambda m: m.cpu.get(role))
    return figure.value * times if figure else None


def _value(results: Results) -> float | None:
    figure = results.figure(idle(results), OURS)
    return figure.value if figure else None


def _idle_cpu(results: Results) -> float | None:
    """Return the microseconds for each socket and second: ``cpu`` holds those of the whole window for each socket."""
    figure = results.figure(idle(results), OURS, lambda m: m.cpu.get("server", 0.0) / m.seconds if m.seconds else None)
    return figure.value if figure else None


def main() -> int:
    """Print what a site needs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, required=True)
    parser.add_argument("--messages", type=float, default=0.0, help="per second, from all clients")
    parser.add_argument("--broadcasts", type=float, default=0.0, help="per second, to groups")
    parser.add_argument("--members", type=int, default=MEMBERS, help="of a group")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    costs = Costs.of(Results.load(options.results))
    if costs is None:
        print(f"{options.results} lacks some of what the model needs: echo-100, broadcast-1000, idle", file=sys.stderr)
        return 1
    site = Site(
        sockets=options.sockets, messages=options.messages, broadcasts=options.broadcasts, members=options.members
    )
    found = needs(site, costs)
    for each in fields(found):
        print(f"{each.name:12} {getattr(found, each.name):,.1f}".removesuffix(".0"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
