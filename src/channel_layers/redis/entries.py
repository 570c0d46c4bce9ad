"""Envelopes as bytes: elements of queues and entries of inboxes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from channel_layers.envelope import EVENT, Envelope

_HEAD: Final = struct.Struct(">cd")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)

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
    heads, encode = {letter: _HEAD.pack(letter, now) for letter in (b"e", b"m", b"r")}, _encoder.encode
    elements = []
    for envelope in envelopes:
        envelope.time = now
        if envelope.owner:
            envelope.run = run
        elements.append(heads[_letter(envelope)] + encode(envelope))
    return elements


def _letter(envelope: Envelope) -> bytes:
    return b"e" if envelope.kind == EVENT else b"r" if envelope.owner else b"m"


def read_element(element: bytes) -> Envelope:
    """Return the envelope in a queue's element, with the time it was queued."""
    envelope = _decoder.decode(memoryview(element)[_HEAD.size :])
    if envelope.kind != EVENT:
        _, envelope.time = _HEAD.unpack_from(element)
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
