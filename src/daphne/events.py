"""Requests as channel-layer messages (formats: :mod:`channel_layers.messages`)."""

from __future__ import annotations

import asyncio
from typing import Any

from daphne.config import Config
from daphne.request import Request
from daphne.source import Address, Source


def peer_of(transport: asyncio.BaseTransport) -> Address:
    """Return the client's address, or ``None`` on a unix socket."""
    return _address(transport.get_extra_info("peername"))


def source_of(transport: asyncio.BaseTransport) -> Source:
    """Return what the connection itself says of where its requests come from."""
    is_tls = transport.get_extra_info("ssl_object") is not None
    return Source(peer_of(transport), _address(transport.get_extra_info("sockname")), is_tls)


def may_go_unread(channel: str) -> bool:
    """Return whether it is no fault that no worker reads ``channel``: many projects have no route for disconnects."""
    return channel.endswith(".disconnect")


def http_request(request: Request, channel: str, source: Source, config: Config) -> dict[str, Any]:
    """Return the ``http.request`` message of ``request`` without its body."""
    content = _common(request, source, config)
    content["reply_channel"] = channel
    content["http_version"] = request.http_version
    content["method"] = request.method
    content["path"] = request.path
    content["scheme"] = "https" if source.is_secure else "http"
    return content


def websocket_connect(request: Request, source: Source, config: Config, subprotocols: list[str]) -> dict[str, Any]:
    """Return the ``websocket.connect`` message of ``request``; its lane adds reply channel, path and order."""
    content = _common(request, source, config)
    content["scheme"] = "wss" if source.is_secure else "ws"
    content["subprotocols"] = subprotocols
    return content


def _common(request: Request, source: Source, config: Config) -> dict[str, Any]:
    return {
        "query_string": request.query_string,
        "root_path": config.root_path if source.root_path is None else source.root_path,
        "headers": request.headers,
        "client": source.client,
        "server": source.server,
    }


def _address(name: object) -> Address:
    """Return host and port of a socket name; those of IPv6 have four parts, of unix sockets none."""
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) and len(name) >= 2 else None
