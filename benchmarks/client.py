"""Sockets for ``benchmarks.endurance``: ``python -m benchmarks.client WORKLOAD URL --sockets N``.

``idle`` holds them until a line comes on standard input, ``cycles`` connects, echoes once
and disconnects so many times.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

CONNECT_AT_ONCE = 100


class Member(WSListener):
    """A client that counts what it gets."""

    received = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is over."""
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count."""
        if frame.msg_type == WSMsgType.TEXT:
            Member.received += 1


async def connect(url: str, count: int, offer: str = "") -> list[Any]:
    """Open ``count`` sockets, a bounded number at once, which offer the extension ``offer``."""
    headers = {"Sec-WebSocket-Extensions": offer} if offer else {}
    sockets: list[Any] = []
    while len(sockets) < count:
        some = min(CONNECT_AT_ONCE, count - len(sockets))
        opened = [ws_connect(Member, url, websocket_handshake_timeout=60, extra_headers=headers) for _ in range(some)]
        sockets += [listener for _, listener in await asyncio.gather(*opened)]
    return sockets


async def idle(options: argparse.Namespace) -> None:
    """Open sockets and hold them until a line comes on standard input; the caller looks at the server."""
    held = await connect(options.url, options.sockets, options.offer)
    print("holding", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    del held


async def cycles(options: argparse.Namespace) -> None:
    """Connect, echo once and disconnect, ``sockets`` times."""
    done = 0
    while done < options.sockets:
        some = await connect(options.url, min(CONNECT_AT_ONCE, options.sockets - done))
        before = Member.received
        for socket in some:
            socket.transport.send(WSMsgType.TEXT, b"x" * 32)
        while Member.received < before + len(some):
            await asyncio.sleep(0.0005)
        for socket in some:
            socket.transport.disconnect()
        done += len(some)


WORKLOADS = {"idle": idle, "cycles": cycles}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=list(WORKLOADS))
    parser.add_argument("url")
    parser.add_argument("--sockets", type=int, default=100)
    parser.add_argument("--offer", default="", help="extension that idle sockets offer")
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(WORKLOADS[given.workload](given))
