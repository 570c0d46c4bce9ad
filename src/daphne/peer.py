"""Who is at the other end of a connection: a client, or a proxy that speaks for many."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daphne import events
from daphne.source import identified

if TYPE_CHECKING:
    from daphne.admission import Refusal
    from daphne.request import Request
    from daphne.server import Server
    from daphne.source import Source


class Peer:
    """The other end of one connection, from its beginning to :meth:`leave`.

    ``source`` is what the transport says of it, unless one was ``given``; ``is_proxy``: what it says of others is
    believed. ``refusal`` is why its connection is one too many, or ``None``.
    """

    __slots__ = ("_server", "_transport", "is_proxy", "refusal", "source")

    def __init__(self, server: Server, transport: asyncio.BaseTransport, given: Source | None) -> None:
        self._server = server
        self._transport = transport
        self.source = given or events.source_of(transport)
        self.is_proxy = server.proxies.trusts(self.source.client)
        # Of what comes through a proxy each request is judged by the client it is for.
        self.refusal = server.admitted.enter(transport, None if self.is_proxy else self.source.client)

    def identify(self, request: Request, source: Source) -> Refusal | None:
        """Find out whose request it is, and what it is called; return why it is one too many, or ``None``.

        ``source`` is completed, a copy of the connection's. Raises :exc:`~daphne.request.HttpError` for what a proxy
        says and cannot mean.
        """
        if self.refusal:
            return self.refusal
        proxies = self._server.proxies
        if proxies:
            request.headers = proxies.read(source, request.headers, self.is_proxy)
        if self._server.config.request_ids:
            request.headers = identified(request.headers, source, self.is_proxy or not proxies)
        return self._server.admitted.charge(self._transport, source.client) if self.is_proxy else None

    def request_ended(self) -> None:
        """A request that was identified is over."""
        if self.is_proxy:
            self._server.admitted.discharge(self._transport)

    def leave(self) -> None:
        """The connection has ended."""
        if self.refusal is None:
            self._server.admitted.leave(self._transport)
