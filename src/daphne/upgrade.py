"""From HTTP to WebSocket: whether a handshake may go on (RFC 6455 section 4.2)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from daphne.access import REFUSED, Access, printable
from daphne.handshake import HandshakeError, read_offer
from daphne.opening import OpeningHandshake
from daphne.origin import check_origin

if TYPE_CHECKING:
    from daphne.http_connection import HttpConnection
    from daphne.request import Request
    from daphne.server import Server
    from daphne.source import Source

logger = logging.getLogger("daphne.http")


def upgrade(server: Server, connection: HttpConnection, request: Request, source: Source) -> None:
    """Hand ``connection`` over to a handshake, or refuse it before any consumer hears of it."""

    def refuse(status: int, why: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        server.log(Access(REFUSED, status, source, request.path, request, by=why))
        connection.answer(status, "", headers)

    config = server.config
    try:
        offer = read_offer(request, config.compression_level and config.compression_window)
    except HandshakeError as error:
        refuse(error.status, error.reason, error.headers)
        return
    verdict = check_origin(request.headers, config)
    if not verdict.allowed:
        refuse(403, verdict.reason)
        return
    if verdict.reason:
        logger.info("%s: %s", printable(request.path), verdict.reason)
    channel = server.sockets.new_channel()
    opening = OpeningHandshake(server, connection.transport, channel, request, source, offer)
    server.connections[channel] = opening
    connection.hand_over(opening)
