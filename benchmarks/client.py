"""The load: ``python -m benchmarks.client WORKLOAD URL --sockets N --seconds S`` prints one JSON line.

Closed loop: each socket of ``echo`` sends its next message when the last has come back; ``broadcast`` sends its next
when every member has the one before ``--ahead``. The client reports its own CPU share: near 1.0 it was the limit, and
the figure says nothing about the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import time
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

CONNECT_AT_ONCE = 100
WARM_UP = 1.0


class Socket(WSListener):
    """A client that counts what it gets."""

    received = 0
    closed = 0
    sampling = False
    echoing = True
    latencies: list[float] = []  # noqa: RUF012 -- shared by all on purpose

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._sent_at = 0.0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is over."""
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """No benchmark closes a socket while it measures."""
        Socket.closed += 1

    def send(self) -> None:
        """Send the payload and remember when."""
        self._sent_at = time.perf_counter()
        self.transport.send(WSMsgType.TEXT, self._payload)


class Echo(Socket):
    """Sends its next message as soon as the last has come back."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count, and go on."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        Socket.received += 1
        if Socket.sampling:
            Socket.latencies.append(time.perf_counter() - self._sent_at)
        if Socket.echoing:
            self.send()


class Member(Socket):
    """Counts."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count."""
        if frame.msg_type == WSMsgType.TEXT:
            Socket.received += 1


async def connect(kind: type[Socket], url: str, count: int, payload: bytes, offer: str = "") -> list[Any]:
    """Open ``count`` sockets, a bounded number at once, which offer the extension ``offer``."""
    headers = {"Sec-WebSocket-Extensions": offer} if offer else {}
    sockets: list[Any] = []
    while len(sockets) < count:
        some = min(CONNECT_AT_ONCE, count - len(sockets))
        opened = [
            ws_connect(lambda: kind(payload), url, websocket_handshake_timeout=60, extra_headers=headers)
            for _ in range(some)
        ]
        sockets += [listener for _, listener in await asyncio.gather(*opened)]
    return sockets


async def echo(options: argparse.Namespace) -> dict[str, float]:
    """Echoes per second over ``sockets`` sockets, one message under way on each."""
    sockets = await connect(Echo, options.url, options.sockets, b"x" * options.size)
    for socket in sockets:
        socket.send()
    await asyncio.sleep(WARM_UP)
    start, cpu, before = time.perf_counter(), _cpu(), Socket.received
    Socket.sampling = True
    await asyncio.sleep(options.seconds)
    count, seconds, used = Socket.received - before, time.perf_counter() - start, _cpu() - cpu
    Socket.echoing = Socket.sampling = False
    await asyncio.sleep(0.3)
    ordered = sorted(Socket.latencies)
    return {
        "per_second": count / seconds,
        "total": Socket.received,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
        "client_cpu": used / seconds,
    }


async def broadcast(options: argparse.Namespace) -> dict[str, float]:
    """Deliveries per second to ``sockets`` members of one group."""
    members = await connect(Member, options.url, options.sockets, b"x" * options.size)
    sent = 0
    start, cpu = time.perf_counter(), _cpu()
    while time.perf_counter() - start < options.seconds:
        members[0].send()
        sent += 1
        while Socket.received < (sent - options.ahead) * options.sockets:
            await asyncio.sleep(0.0005)
    while Socket.received < sent * options.sockets and time.perf_counter() - start < options.seconds + 10:
        await asyncio.sleep(0.0005)
    seconds, used = time.perf_counter() - start, _cpu() - cpu
    return {
        "per_second": Socket.received / seconds,
        "total": sent,
        "lost": sent * options.sockets - Socket.received,
        "client_cpu": used / seconds,
    }


async def idle(options: argparse.Namespace) -> dict[str, float]:
    """Open sockets and hold them until a line comes on standard input; the caller looks at the server."""
    await connect(Member, options.url, options.sockets, b"", options.offer)
    print("holding", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return {}


async def cycles(options: argparse.Namespace) -> dict[str, float]:
    """Connect, echo once and disconnect, ``sockets`` times."""
    done = 0
    while done < options.sockets:
        some = await connect(Member, options.url, min(CONNECT_AT_ONCE, options.sockets - done), b"x" * options.size)
        before = Socket.received
        for socket in some:
            socket.send()
        while Socket.received < before + len(some):
            await asyncio.sleep(0.0005)
        for socket in some:
            socket.transport.disconnect()
        done += len(some)
    Socket.closed = 0  # by this side, all of them
    return {"total": Socket.received}


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


WORKLOADS = {"echo": echo, "broadcast": broadcast, "idle": idle, "cycles": cycles}


async def main(options: argparse.Namespace) -> None:
    """Run one workload and print its figures."""
    figures = await WORKLOADS[options.workload](options)
    print(json.dumps({**figures, "closed": Socket.closed}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=list(WORKLOADS))
    parser.add_argument("url")
    parser.add_argument("--sockets", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--ahead", type=int, default=4)
    parser.add_argument("--offer", default="", help="extension that idle sockets offer")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(main(parser.parse_args()))
