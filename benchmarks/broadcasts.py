"""``python -m benchmarks.broadcasts [--check]``: what Redis is sent for a broadcast, whoever caused it.

A Django process sends messages to one group, one after another, while its members are spread over the servers. What a
request costs that makes a consumer send is not in it; ``make bench`` counts that along in ``commands-broadcast-1000``.
``--check`` exits 1 when there are more than two commands for each message, and one for each server process.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Final

from benchmarks.contenders import BY_NAME
from benchmarks.deployment import Deployment
from benchmarks.environments import ROOT
from benchmarks.load.sockets import open_all
from benchmarks.machine import Layout, available
from benchmarks.redis_client import Monitor
from benchmarks.workloads import BY_NAME as WORKLOADS

SERVERS: Final = (1, 2, 4)
MEMBERS: Final = 400
ROOM: Final = "one"
TEXT: Final = "x" * 32
FRAME: Final = 2 + len(TEXT)
PATIENCE: Final = 30.0
SENDER: Final = f"""
import sys, django
django.setup()
from channels import Group
for line in sys.stdin:
    for _ in range(int(line)):
        Group("room-{ROOM}").send({{"text": "{TEXT}"}})
    print("sent", flush=True)
"""


def main() -> int:
    """Count for each number of servers, print the verdicts, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 when a bound is missed")
    parser.add_argument("--messages", type=int, default=500, help="messages sent to the group")
    options = parser.parse_args()
    held = [judged(servers, commands_for(servers, options.messages)) for servers in SERVERS]
    return 1 if options.check and not all(held) else 0


def judged(servers: int, commands: dict[str, float]) -> bool:
    """Print what was counted and whether the bound holds, and return that."""
    total, bound = sum(commands.values()), 2 + servers
    listed = ", ".join(f"{name} {number:.2f}" for name, number in sorted(commands.items()))
    verdict = "holds" if total <= bound else "MISSED"
    print(f"{servers} server processes: {total:.2f} commands for each broadcast ({listed}); bound {bound}: {verdict}")
    return total <= bound


def commands_for(servers: int, messages: int) -> dict[str, float]:
    """Return how often each command is sent for a broadcast; every member has to get every message."""
    with Deployment(BY_NAME["ours-redis"], Layout.on(available()), servers) as deployment:
        spec = replace(WORKLOADS["broadcast-1000"].load, ports=deployment.ports, path=f"/rooms/{ROOM}/", groups=1)
        members = open_all(replace(spec, sockets=MEMBERS))
        with sender(f"redis://127.0.0.1:{deployment.redis_port}/0") as (said, heard):
            send(said, heard, 1)
            await_all(members, 1)
            monitor = Monitor(deployment.redis_port)
            send(said, heard, messages)
            await_all(members, messages)
            counts = monitor.sent()
        for member in members:
            member.close()
    return {name: number / messages for name, number in counts.items()}


@contextmanager
def sender(layer: str) -> Iterator[tuple[IO[str], IO[str]]]:
    """Start the process that sends; it is told how many messages, and says when they are sent."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "benchmarks.site.settings", "BENCHMARK_LAYER": layer}
    command = [sys.executable, "-c", SENDER]
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        process.stdin.close()


def send(said: IO[str], heard: IO[str], messages: int) -> None:
    """Have so many messages sent; raise :exc:`RuntimeError` if the process that sends has ended."""
    print(messages, file=said, flush=True)
    if not heard.readline():
        raise RuntimeError("the process that sends has ended")


def await_all(members: Sequence[socket.socket], messages: int) -> None:
    """Wait until each member has so many messages; raise :exc:`TimeoutError` if one has not."""
    for member in members:
        member.settimeout(PATIENCE)
        left = messages * FRAME
        while left:
            received = member.recv(min(left, 1 << 16))
            if not received:
                raise ConnectionResetError("a server closed a member's connection")
            left -= len(received)


if __name__ == "__main__":
    sys.exit(main())
