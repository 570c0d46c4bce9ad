"""Envelopes as bytes: elements of queues and entries of inboxes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from channel_layers.envelope import EVENT, Envelope

_HEAD: Final = struct.Struct(">cd")
_HEAD_SIZE: Final = _HEAD.size
_EVENT: Final = b"e"
_REQUEST: Final = b"r"
_MESSAGE: Final = b"m"
_KEPT: Final = ord("k")
_KEPT_HEAD: Final = struct.Struct(">cdBBd")
"""Of a message that is delivered again: a letter, the time, how often it was and how often it may be, when it was first
taken, which tells it from its like. ``take.lua`` makes it, and other scripts read it."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)

UNREADABLE: Final = (msgspec.MsgspecError, struct.error, IndexError)
"""What reading raises of bytes that nobody here has written."""

encode_entry = _encoder.encode
"""Return a list of envelopes as one entry of an inbox."""
decode_entry = msgspec.msgpack.Decoder(list[Envelope]).decode
"""Return the envelopes that :data:`encode_entry` was given."""


def queue_element(envelope: Envelope) -> bytes:
    """Return what stands in a queue: a letter, the time, the envelope.

    The server sets the time of a message. It leaves what its sender looks after as it is, an event (``e``) or a request
    (``r``, a message with an owner), to be found by its bytes.
    """
    return _HEAD.pack(_letter(envelope), envelope.time) + _encoder.encode(envelope)


def queue_elements(envelopes: Sequence[Envelope], now: float, run: str) -> list[bytes]:
    """Return the elements of ``envelopes``, which are written at ``now`` in the layer's run ``run``."""
    event, request, message = (_HEAD.pack(letter, now) for letter in (_EVENT, _REQUEST, _MESSAGE))
    encode = _encoder.encode
    elements = []
    for envelope in envelopes:
        envelope.time = now
        if envelope.owner:
            envelope.run = run
        head = event if envelope.kind == EVENT else request if envelope.owner else message
        elements.append(head + encode(envelope))
    return elements


def _letter(envelope: Envelope) -> bytes:
    return _EVENT if envelope.kind == EVENT else _REQUEST if envelope.owner else _MESSAGE


def replacement_of(element: bytes, envelope: Envelope, now: float) -> bytes:
    """Return the element of ``envelope`` in place of ``element``, with the same chances to be delivered again."""
    envelope.time = now
    if element[0] != _KEPT:
        return queue_element(envelope)
    _, _, _, retries, taken = _KEPT_HEAD.unpack_from(element)
    return _KEPT_HEAD.pack(b"k", now, min(envelope.redelivered, 255), retries, taken) + _encoder.encode(envelope)


def is_kept(element: bytes) -> bool:
    """Return whether an element is delivered again if its run has not ended well."""
    return element[0] == _KEPT


def read_element(element: bytes) -> Envelope:
    """Return the envelope in a queue's element, with the time it was queued; raise :data:`UNREADABLE`."""
    if element[0] == _KEPT:
        return _read_kept(element)
    envelope = _decoder.decode(element[_HEAD_SIZE:])
    if envelope.kind != EVENT:
        _, envelope.time = _HEAD.unpack_from(element)
    return envelope


def _read_kept(element: bytes) -> Envelope:
    envelope = _decoder.decode(memoryview(element)[_KEPT_HEAD.size :])
    _, envelope.time, envelope.redelivered, _, _ = _KEPT_HEAD.unpack_from(element)
    return envelope


def entry_time(entry_id: bytes) -> float:
    """Return the server's time in the id of an inbox's entry, in seconds."""
    return int(entry_id.partition(b"-")[0]) / 1000


def order(entry_id: bytes) -> tuple[int, int]:
    """Return what ids are compared by."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)


def following(entry_id: str) -> str:
    """Return the least id after ``entry_id``."""
    milliseconds, _, sequence = entry_id.partition("-")
    return f"{milliseconds}-{int(sequence) + 1}"
