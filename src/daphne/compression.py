"""permessage-deflate (RFC 7692) without I/O and without context take-over: no socket keeps a window of its own.

What a message refers to is in the message, so one deflater serves every socket that has negotiated its window, a
group message is compressed once for each window, and an inflater lives for one message.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

NAME: Final = "permessage-deflate"
MAX_WINDOW_BITS: Final = 15
_SMALLEST: Final = 9
"""zlib makes no raw stream for the smallest window of RFC 7692, 8 bits."""
_MEMORY_LEVEL: Final = 5
_TAIL: Final = b"\x00\x00\xff\xff"
"""The end of a flushed block, which is not sent (RFC 7692 §7.2.1)."""
_MAX_STREAMS: Final = 16
"""Deflate streams that one message may consist of, where its sender ends blocks for good (RFC 7692 §7.2.3.5)."""
_VALUES: Final = frozenset(str(bits) for bits in range(8, MAX_WINDOW_BITS + 1))

Offer: TypeAlias = tuple[str, Sequence[tuple[str, str | None]]]
"""The name of an extension and its parameters, as ``websockets.headers.parse_extension`` returns them."""


class InflateError(ValueError):
    """A payload that is no deflate stream."""


class OversizeError(ValueError):
    """A message that is larger than it may be, once inflated."""


class Agreement(NamedTuple):
    """What both sides have agreed on: windows in bits, and ``field``, the value of the answer's header."""

    deflate_bits: int
    inflate_bits: int
    field: str


def negotiate(offers: Iterable[Offer], window_bits: int) -> Agreement | None:
    """Return what to answer to the client's ``offers``: the first that can be accepted counts (RFC 7692 §5.1).

    ``window_bits`` is the largest window to use, 9 to 15. ``None`` where no offer is understood: the socket then
    does without compression.
    """
    return next((found for offer in offers if (found := _accept(offer, window_bits)) is not None), None)


def _accept(offer: Offer, window_bits: int) -> Agreement | None:
    name, given = offer
    parameters = dict(given)
    if name != NAME or len(parameters) < len(given) or not all(map(_is_valid, parameters, parameters.values())):
        return None
    ours = min(int(parameters.get("server_max_window_bits") or MAX_WINDOW_BITS), window_bits)
    theirs = MAX_WINDOW_BITS
    field = f"{NAME}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits={ours}"
    if "client_max_window_bits" in parameters:  # a client that does not say so cannot be asked to (§7.1.2.2)
        theirs = min(int(parameters["client_max_window_bits"] or MAX_WINDOW_BITS), window_bits)
        field += f"; client_max_window_bits={theirs}"
    return Agreement(ours, theirs, field)


def _is_valid(name: str, value: str | None) -> bool:
    if name in ("server_no_context_takeover", "client_no_context_takeover"):
        return value is None
    if name == "client_max_window_bits":
        return value is None or value in _VALUES
    return name == "server_max_window_bits" and value in _VALUES


class Deflater:
    """Compresses whole messages for a window of ``window_bits``; shared by all sockets that agreed on it."""

    __slots__ = ("_compressor", "_limit", "_threshold", "window_bits")

    def __init__(self, window_bits: int, level: int, threshold: int) -> None:
        self.window_bits = window_bits
        self._threshold = threshold
        # Where zlib's smallest window is larger than the agreed one: what is shorter than both refers to itself alone.
        self._limit = 1 << window_bits if window_bits < _SMALLEST else None
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, -max(window_bits, _SMALLEST), _MEMORY_LEVEL)

    def deflate(self, payload: bytes) -> bytes | None:
        """Return ``payload`` compressed, or ``None`` where it had better be sent as it is."""
        size = len(payload)
        if size < self._threshold or (self._limit is not None and size > self._limit):
            return None
        # A full flush forgets what came before it: no message ever refers to another's.
        data = self._compressor.compress(payload) + self._compressor.flush(zlib.Z_FULL_FLUSH)
        return data[: -len(_TAIL)] if len(data) - len(_TAIL) < size else None


class Deflaters:
    """The deflaters of one server, by window."""

    def __init__(self, level: int, threshold: int) -> None:
        self._level = level
        self._threshold = threshold
        self._made: dict[int, Deflater] = {}

    def of(self, agreement: Agreement | None) -> Deflater | None:
        """Return the deflater for what was agreed on, or ``None`` for no agreement."""
        if agreement is None:
            return None
        bits = agreement.deflate_bits
        if bits not in self._made:
            self._made[bits] = Deflater(bits, self._level, self._threshold)
        return self._made[bits]


def inflate(data: bytes | bytearray, window_bits: int, limit: int) -> bytes:
    """Return a message whose compressed payload is ``data``; never more than ``limit`` bytes are made of it.

    Raises :exc:`OversizeError` beyond that, and :exc:`InflateError` for what is no deflate stream.
    """
    rest, pieces, size = bytes(data) + _TAIL, [], 0
    try:
        for _ in range(_MAX_STREAMS):
            inflater = zlib.decompressobj(-window_bits)
            pieces.append(inflater.decompress(rest, limit - size + 1))
            size += len(pieces[-1])
            if size > limit:
                raise OversizeError(limit)
            rest = inflater.unused_data
            if not inflater.eof or not rest:
                return b"".join(pieces)
    except zlib.error as error:
        raise InflateError(str(error)) from None
    raise InflateError(f"more than {_MAX_STREAMS} streams in one message")
