"""What travels: an envelope around the user's content.

Everything that steers delivery lives here and never in the content, so no message a user builds or forwards can
settle a lane, write a session or reach another connection.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import structs

from channel_layers.notes import SESSION

MESSAGE: Final = 0
"""Content for a queue or a reply channel; bounded by capacity and expiry where it waits in a queue."""
EVENT: Final = 1
"""Content from a lane: its server bounds it, so a queue neither refuses nor expires it."""
GROUP: Final = 2
"""Content for every member of the group ``target``."""
JOIN: Final = 3
"""The reply channel ``owner`` becomes a member of the group ``target``."""
LEAVE: Final = 4
"""The reply channel ``owner`` leaves the group ``target``."""
DONE: Final = 5
"""A worker has finished the event ``token`` of the connection ``target``; ``content`` is a :class:`Done`."""
GAP: Final = 6
"""Messages of the group ``target`` were skipped for this inbox because it was full."""
PIECE: Final = 7
"""A piece of a response's body waits beside the inbox of ``target``; ``content`` is a :class:`Piece`."""
NOTE: Final = 8
"""Something is to be kept of the connection ``target`` beside the queues: ``content`` is its name in ASCII."""

RETURNED: Final = 0
"""The consumer returned."""
RAISED: Final = 1
"""The consumer raised."""
UNROUTED: Final = 2
"""No consumer is routed for the event."""
AGAIN: Final = 3
"""The consumer wants the event again later (``ConsumeLater``)."""
UNDECIDED: Final = 4
"""Somebody else will answer (``ResponseLater``)."""
LOST: Final = 5
"""The event was taken and never finished, or it vanished with the layer; decided by its owner."""
UNACCEPTED: Final = 6
"""The consumer returned, and has to accept a connection itself: unless it has answered, the connection is refused."""


class Envelope(msgspec.Struct, array_like=True, gc=False):
    """One entry of a queue or an inbox. Never changed after it was written.

    ``content`` is encoded by :mod:`channel_layers.codec`: one dict, or a list of dicts for events of one lane that
    leave together. ``owner`` is the reply channel this concerns and ``token`` the number of the event within its
    lane; a MESSAGE with a token also settles that event of its target, as a DONE behind it would. ``session`` is
    the lane's signed connection session, of a NOTE what is to be kept. ``route`` names the sender's consumer,
    ``trace`` is a W3C traceparent, ``time`` is the layer's clock in seconds, ``run`` the run of the layer it was
    written in, ``without`` lists members a group message leaves out, and ``attempt`` counts how often a consumer
    asked for the message again.
    """

    kind: int
    target: str
    content: bytes = b""
    owner: str = ""
    token: int = 0
    session: bytes | None = None
    route: str = ""
    time: float = 0.0
    run: str = ""
    trace: str = ""
    without: tuple[str, ...] = ()
    attempt: int = 0


class Done(msgspec.Struct, array_like=True, gc=False):
    """How an event ended: ``outcome`` and how many messages of its batch were handled before it."""

    outcome: int = RETURNED
    handled: int = 0


class Piece(msgspec.Struct, array_like=True, gc=False):
    """Where a piece of a body is (``key``, the layer's affair), its ``size`` in bytes, and whether more follows."""

    key: str
    size: int
    more_content: bool = True


_RETURNED = Done()
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Done)
_piece_decoder = msgspec.msgpack.Decoder(Piece)


def done(owner: str, token: int, outcome: int = RETURNED, handled: int = 0, session: bytes | None = None) -> Envelope:
    """Return the entry that settles event ``token`` of ``owner``; ``session`` only if it changed."""
    content = b"" if outcome == RETURNED else _encoder.encode(Done(outcome, handled))
    return Envelope(DONE, owner, content, owner, token, session)


def next_attempt(envelope: Envelope, **changes: object) -> Envelope:
    """Return ``envelope`` as it is sent again because a consumer wants it later, with ``changes`` to its fields."""
    return structs.replace(envelope, attempt=envelope.attempt + 1, **changes)


def read_done(envelope: Envelope) -> Done:
    """Return how the event that ``envelope`` settles ended."""
    return _decoder.decode(envelope.content) if envelope.kind == DONE and envelope.content else _RETURNED


def piece(channel: str, key: str, size: int, more_content: bool) -> Envelope:
    """Return the entry that names a piece of the body for ``channel``."""
    return Envelope(PIECE, channel, _encoder.encode(Piece(key, size, more_content)))


def read_piece(envelope: Envelope) -> Piece:
    """Return what ``envelope``, of kind :data:`PIECE`, names."""
    return _piece_decoder.decode(envelope.content)


def note(channel: str, name: str, data: bytes) -> Envelope:
    """Return the entry by which ``data`` is kept of the connection ``channel`` under ``name``."""
    return Envelope(NOTE, channel, name.encode(), session=data)


def note_name(envelope: Envelope) -> str | None:
    """Return under which name the layer is to keep the ``session`` of ``envelope``; ``None`` if there is nothing."""
    if envelope.session is None or envelope.kind == EVENT:
        return None
    return envelope.content.decode() if envelope.kind == NOTE else SESSION


def announced(envelope: Envelope) -> Envelope:
    """Return what the holder of a connection hears of a NOTE: its session alone in full, the rest by its name."""
    return envelope if envelope.content == SESSION.encode() else structs.replace(envelope, session=None)


def queued_again(envelope: Envelope) -> Envelope:
    """Return a message that was held as it goes to its queue again, which must not refuse it now."""
    return structs.replace(envelope, kind=EVENT)
