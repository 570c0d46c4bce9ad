"""The opening handshake of a WebSocket, without I/O: the checks of RFC 6455 §4.2.1 and the answer of §4.2.2."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from websockets import utils
from websockets.exceptions import InvalidHeader
from websockets.headers import parse_connection, parse_extension, parse_subprotocol, parse_upgrade

from daphne.compression import Agreement, negotiate
from daphne.grammar import is_token

if TYPE_CHECKING:
    from daphne.request import Request

T = TypeVar("T")

_VERSION = "13"
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# Ours to write, or meaningless where no body follows (RFC 9110 §8.6, RFC 9112 §6.1).
_RESERVED = frozenset((b"upgrade", b"connection", b"content-length", b"transfer-encoding"))
_RESERVED_PREFIX = b"sec-websocket-"


class HandshakeError(Exception):
    """The request opens no WebSocket: answer ``status`` with ``headers``; ``reason`` is a sentence for the log."""

    def __init__(self, status: int, reason: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.headers = list(headers)

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a valid handshake offers, and ``accept``, the value of ``Sec-WebSocket-Accept`` that answers its key.

    ``subprotocols`` are in the client's order; ``compression`` is what its extensions and this server agree on.
    """

    accept: str
    subprotocols: list[str]
    compression: Agreement | None = None


def read_offer(request: Request, window_bits: int = 0) -> Offer:
    """Check all of the request and return what it offers; raises :exc:`HandshakeError`.

    ``window_bits`` is the largest window to compress with, 9 to 15, or 0 for no compression.
    """
    _check_upgrade(request)
    _check_version(request)
    subprotocols = _client_subprotocols(request)
    extensions = _parse_list(parse_extension, request, "Sec-WebSocket-Extensions")
    accept = utils.accept_key(_client_key(request))
    return Offer(accept, subprotocols, negotiate(extensions, window_bits) if window_bits else None)


def _client_subprotocols(request: Request) -> list[str]:
    offered = _parse_list(parse_subprotocol, request, "Sec-WebSocket-Protocol")
    if len(set(offered)) < len(offered):
        raise HandshakeError(400, "Sec-WebSocket-Protocol names a subprotocol twice.")
    return list(offered)


def choose_subprotocol(offered: Iterable[str], supported: Collection[str]) -> str | None:
    """Return the first of the client's subprotocols that the server supports, or ``None``."""
    return next((name for name in offered if name in supported), None)


def check_subprotocol(chosen: str, offered: Collection[str]) -> None:
    """Raise :exc:`ValueError` for a subprotocol the client did not offer: it would drop the connection (§4.1)."""
    if chosen not in offered:
        # Without those offered: clients that cannot set other headers send credentials as a subprotocol.
        raise ValueError(f"subprotocol {chosen!r} is none of the {len(offered)} that the client offers")


def accept_response(offer: Offer, subprotocol: str | None, headers: Iterable[tuple[bytes | str, bytes | str]]) -> bytes:
    """Return the head of the 101 response to ``offer``.

    Text in ``headers`` is sent as latin-1. Raises :exc:`ValueError` for a header that is the handshake's own, or that
    cannot be sent as one field.
    """
    extra = [(_encode(name), _encode(value)) for name, value in headers]
    for name, _ in extra:
        _check_not_reserved(name)
    fields = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"Sec-WebSocket-Accept", offer.accept.encode())]
    if subprotocol is not None:
        fields.append((b"Sec-WebSocket-Protocol", subprotocol.encode()))
    if offer.compression is not None:
        fields.append((b"Sec-WebSocket-Extensions", offer.compression.field.encode()))
    if all(name.lower() != b"server" for name, _ in extra):
        fields.append((b"Server", b"Daphne"))
    lines = [_field_line(name, value) for name, value in fields + extra]
    return b"HTTP/1.1 101 Switching Protocols\r\n" + b"".join(lines) + b"\r\n"


def _check_upgrade(request: Request) -> None:
    if request.method != "GET":
        raise HandshakeError(405, f"A WebSocket is opened by GET, not {request.method}.", [(b"allow", b"GET")])
    if request.http_version != "1.1":
        raise HandshakeError(505, f"A WebSocket is opened over HTTP/1.1, not {request.http_version}.")
    _check_option(_parse_list(parse_upgrade, request, "Upgrade"), "Upgrade", "websocket")
    _check_option(_parse_list(parse_connection, request, "Connection"), "Connection", "upgrade")


def _check_option(options: Iterable[str], name: str, wanted: str) -> None:
    if all(option.lower() != wanted for option in options):
        raise HandshakeError(400, f"{name} does not contain {wanted!r}; a proxy must pass it on.")


def _check_version(request: Request) -> None:
    versions = _values(request, "Sec-WebSocket-Version")
    if versions != [_VERSION]:
        shown = ascii(", ".join(versions)[:64]) if versions else "missing"
        raise HandshakeError(
            426,
            f"Sec-WebSocket-Version must be {_VERSION}, it is {shown}.",
            [(b"sec-websocket-version", _VERSION.encode())],
        )


def _client_key(request: Request) -> str:
    keys = _values(request, "Sec-WebSocket-Key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise HandshakeError(400, "Sec-WebSocket-Key must be there once, with 16 bytes in base64.")
    return keys[0]


def _is_key(key: str) -> bool:
    try:
        return len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except ValueError:  # binascii.Error, or not ASCII
        return False


def _values(request: Request, name: str) -> list[str]:
    field = name.lower().encode()
    return [value.decode("latin-1") for key, value in request.headers if key == field]


def _parse_list(parse: Callable[[str], Sequence[T]], request: Request, name: str) -> Sequence[T]:
    """Return the members of a list that may be spread over several fields (RFC 9110 §5.3)."""
    values = _values(request, name)
    try:
        return parse(", ".join(values)) if values else []
    except InvalidHeader:
        raise HandshakeError(400, f"{name} is malformed.") from None


def _encode(part: bytes | str) -> bytes:
    if isinstance(part, str):
        return part.encode("latin-1")
    if isinstance(part, bytes):
        return part
    raise ValueError(f"names and values of headers are bytes or text, not {type(part).__name__}")


def _check_not_reserved(name: bytes) -> None:
    lower = name.lower()
    if lower in _RESERVED or lower.startswith(_RESERVED_PREFIX):
        raise ValueError(f"header {name!r} belongs to the handshake, an application cannot set it")


def _field_line(name: bytes, value: bytes) -> bytes:
    if not is_token(name):
        raise ValueError(f"header name {name!r} is not a token (RFC 9110 §5.1)")
    if control := _CONTROL.search(value):
        raise ValueError(f"the value of header {name!r} contains the control character {control[0]!r}")
    return b"%b: %b\r\n" % (name, value)
