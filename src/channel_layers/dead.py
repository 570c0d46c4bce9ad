"""Dead letters: messages that were set aside because nothing could be done with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from channel_layers import codec
from channel_layers.envelope import Envelope
from channel_layers.losses import Losses

MAX_DEAD_LETTERS: Final = 1000
"""Dead letters that a layer keeps; beyond that the oldest are dropped, and counted."""
UNFINISHED: Final = "the processes that had taken it have ended before it was done"
"""Why a message is set aside that was delivered as often as it may be, each time to a process that died."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that was set aside.

    ``key`` names it, ``channel`` is the queue it was taken from (empty where that cannot be told), ``content`` is
    encoded, ``route`` names the consumer that had sent it, ``time`` is when it was set aside, by the layer's clock.
    """

    key: str
    channel: str
    reason: str
    time: float
    content: bytes = b""
    route: str = ""
    redelivered: int = 0

    def decoded(self) -> object:
        """Return the content, or the bytes of one that cannot be decoded."""
        try:
            return codec.decode(self.content)
        except codec.DecodeError:
            return self.content


def letter_of(key: str, envelope: Envelope, reason: str, time: float) -> DeadLetter:
    """Return what is told of ``envelope``."""
    return DeadLetter(
        key, envelope.target, reason, time, envelope.content, envelope.route, redelivered=envelope.redelivered
    )


def sorted_orphans(claimed: Iterable[tuple[Envelope, int]]) -> tuple[list[Envelope], list[Envelope], list[Envelope]]:
    """Return what of claims whose holder has gone is lost, is to be delivered again, and is to be set aside.

    Each comes with how often it may be delivered again, -1 for never.
    """
    lost, again, buried = list[Envelope](), list[Envelope](), list[Envelope]()
    for envelope, retries in claimed:
        (lost if retries < 0 else again if envelope.redelivered < retries else buried).append(envelope)
    return lost, again, buried


def count_orphans(losses: Losses, lost: int, again: int, buried: int) -> None:
    """Count what has become of claims whose holder has gone."""
    if lost:
        losses.count("worker died", f"{lost} messages were taken and never finished", lost)
    if again:
        losses.count("redelivered", f"{again} messages that were not finished are delivered again", again)
    if buried:
        losses.count("set aside", f"{buried} messages were set aside: {UNFINISHED}", buried)


def dropping(limit: int) -> str:
    """Return what is said when the oldest dead letters go because there are more than ``limit``."""
    return (
        f"the oldest of more than {limit} dead letters were dropped: raise max_dead_letters in CONFIG, or see to them"
    )
