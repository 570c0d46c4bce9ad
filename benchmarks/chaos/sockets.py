"""WebSocket clients by the thousand."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Sequence

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

PATIENCE = 30.0
AT_ONCE = 100


class Client(WSListener):
    """What one socket has received, and how it ended."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[str] = []
        self.closed = False
        self.code: WSCloseCode | None = None
        self._changed = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is over."""
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Keep text."""
        if frame.msg_type == WSMsgType.TEXT:
            self.received.append(frame.get_payload_as_utf8_text())
        elif frame.msg_type == WSMsgType.CLOSE:
            self.code = frame.get_close_code()
            transport.disconnect()
        self._changed.set()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """It is over."""
        self.closed = True
        self._changed.set()

    def say(self, text: str) -> None:
        """Send text."""
        self.transport.send(WSMsgType.TEXT, text.encode())

    async def heard(self, count: int, patience: float = PATIENCE) -> list[str]:
        """Wait until ``count`` messages have come in all, and return them all."""
        async with asyncio.timeout(patience):
            while len(self.received) < count and not self.closed:
                self._changed.clear()
                await self._changed.wait()
        return self.received

    def leave(self) -> None:
        """Say goodbye."""
        self.transport.send_close(WSCloseCode.OK)

    def reset(self) -> None:
        """Vanish: the peer gets a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.transport.underlying_transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self.transport.underlying_transport.abort()


async def connect(url: str, count: int) -> list[Client]:
    """Open ``count`` sockets, a bounded number of them at once."""
    clients: list[Client] = []
    while len(clients) < count:
        some = min(AT_ONCE, count - len(clients))
        clients += await asyncio.gather(*(_open(url) for _ in range(some)))
    return clients


async def accepted(url: str, count: int) -> list[Client]:
    """Try to open ``count`` sockets, and return those that were not refused."""
    found = await asyncio.gather(*(_open(url) for _ in range(count)), return_exceptions=True)
    return [client for client in found if isinstance(client, Client)]


async def _open(url: str) -> Client:
    client = Client(url)
    await ws_connect(lambda: client, url, websocket_handshake_timeout=PATIENCE)
    return client


def close(clients: Sequence[Client]) -> None:
    """End all that are open."""
    for client in clients:
        if not client.closed:
            client.transport.disconnect()


async def get(url: str) -> str:
    """Return the body of a page."""
    host, port, path = re.fullmatch(r"http://([^:/]+):(\d+)(/.*)", url).groups()  # type: ignore[union-attr]  # ours
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if b" 200 " not in head.splitlines()[0]:
        raise AssertionError(f"{url}: {head.splitlines()[0]!r}")
    return body.decode()
