"""Turns: the messages of one connection in their order, for those that no lane keeps in order.

A worker that has taken the message number ``order`` of a connection asks whether it is its turn. If not, the layer
holds the message until those before it are done, or have not come in time; then it is sent to its queue again. Each
step is one atomic change of what the layer knows of this connection: nobody spins, and nothing happens in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from channel_layers.envelope import Envelope

EXTENSION: Final = "turns"
"""What a layer that keeps turns has among its ``extensions``."""

TAKE: Final = "take"
"""A message was taken; hold it if it is not its turn."""
END: Final = "end"
"""It was handled: it is the turn of the next one."""
RETURN: Final = "return"
"""It is to come again, and still has its turn then."""
RENEW: Final = "renew"
"""It is being handled for a while already, and its worker lives."""
SKIP: Final = "skip"
"""Somebody waits: skip what has not come in time."""
FREE: Final = "free"
"""Whoever would skip what does not come ends: send all that is held to the queues again."""

NOW: Final = "now"
"""It is its turn."""
HELD: Final = "held"
"""It is held by the layer, which sends it again when it is its turn."""
PAST: Final = "past"
"""Its turn is over: it was skipped for want of it, or there was another one with its number."""

LEASE: Final = 15.0
"""Seconds in which a turn has to be ended or renewed; then its worker has died."""
LIFETIME: Final = 3600
"""Seconds after which the layer forgets a connection of which nothing has come; then its next message waits in vain."""
MAX_HELD: Final = 1000
"""Messages of one connection that are held; with more, what is missing is skipped at once."""


class Step(NamedTuple):
    """One step: an ``action`` for the message ``order``, from 0 on, of the connection ``channel``.

    With ``slight`` order only message 0 comes before all others. ``message`` is what is held. What is missing is
    skipped after ``patience`` seconds in which nothing was handled.
    """

    action: str
    channel: str
    order: int = 0
    slight: bool = False
    message: Envelope | None = None
    patience: float = 5.0


class Outcome(NamedTuple):
    """What became of a step: a ``verdict`` for :data:`TAKE`, in how many seconds to :data:`SKIP` (again), if at all.

    ``skipped`` is how many messages were given up.
    """

    verdict: str = ""
    wait: float | None = None
    skipped: int = 0
