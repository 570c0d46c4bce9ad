"""What orchestrators and load balancers ask: whether this server is alive, and whether to send it requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from daphne.answers import error_answer
from daphne.lane import CONNECT
from daphne.response import Response

if TYPE_CHECKING:
    from daphne.http_connection import HttpConnection
    from daphne.request import Request
    from daphne.server import Server

LIVE: Final = "/-/live"
READY: Final = "/-/ready"
PATIENCE: Final = 0.8
"""Seconds that the layer has to answer: those who probe mostly wait for one."""
FRESH: Final = 1.0
"""Seconds that what the layer has said holds good: nobody can make it work by asking."""
WANTED: Final = frozenset(("http.request", CONNECT))
"""What workers have to read one of."""
NOBODY: Final = f"no worker reads {' or '.join(sorted(WANTED))}; start one with: python manage.py runworker"
ALLOW: Final = (b"Allow", b"GET, HEAD")
_HEADERS: Final = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Cache-Control", b"no-store")]


def is_probe(path: str) -> bool:
    """Return whether the server itself answers for ``path``."""
    return path in (LIVE, READY)


class Probes:
    """Answers ``/-/live``, 200 as long as the process answers at all, and ``/-/ready``."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reason = ""
        self._asked_at = -FRESH
        self._asking: asyncio.Task[str] | None = None

    async def answer(self, connection: HttpConnection, request: Request, explains: bool) -> None:
        """Answer ``request``; on a port where nobody else asks the answer ``explains`` itself."""
        reason = await self.reason() if request.path == READY else ""
        if not connection.transport.is_closing():
            connection.send(*self._answered(request, reason, explains))

    def _answered(self, request: Request, reason: str, explains: bool) -> tuple[Response, bytes]:
        if not is_probe(request.path):
            return error_answer(request, "", 404)
        if request.method not in ("GET", "HEAD"):
            return error_answer(request, "", 405, headers=[ALLOW])
        text = "live" if request.path == LIVE else "not ready" if reason else "ready"
        if reason and (explains or self._server.config.debug):
            text += f": {reason}"
        response = Response(request.method, request.http_version, request.keep_alive and not self._server.is_ending)
        return response, response.start(503 if reason else 200, _HEADERS, f"{text}\n".encode())

    async def reason(self) -> str:
        """Return why no request should be sent here, or nothing."""
        if self._server.is_ending:
            return "this server ends"
        if self._asking is None and self._server.loop.time() - self._asked_at >= FRESH:
            self._asking = self._server.loop.create_task(self._ask())
        return self._reason if self._asking is None else await asyncio.shield(self._asking)

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                read = await self._server.channels_read()
            self._reason = "" if read & WANTED else NOBODY
        except (OSError, TimeoutError):
            self._reason = "the channel layer does not answer"
        self._asked_at, self._asking = self._server.loop.time(), None
        return self._reason
