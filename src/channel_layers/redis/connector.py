"""How connections come to be, and what is said when they fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from channel_layers.exceptions import AnswerLost, LayerDeclined, LayerUnavailable
from channel_layers.redis.address import Address
from channel_layers.redis.link import Link
from channel_layers.redis.outage import Outage, delays
from channel_layers.redis.protocol import Commands, Replies, ReplyError
from channel_layers.redis.scripts import load_all

SHORTEST_ATTEMPT: Final = 1.0
"""Seconds that one attempt to connect has at least, however impatient its caller is."""

RECOVERY: Final = 3.0
"""Seconds after the start of a new run of the server in which every process that lives has made its inboxes again."""

Welcome = Callable[[Link], Commands]
"""Returns what is said first on every new link."""


class Connector:
    """Opens links to ``address``. ``timeout`` is how many seconds a verb waits for a link, and for an answer."""

    def __init__(self, address: Address, name: str, timeout: float) -> None:
        self.address = address
        self.name = name
        self.timeout = timeout
        self._outage = Outage(address)
        self._run: str | None = None
        self._renewed = -RECOVERY

    def connect(self, patience: float, pause: Callable[[float], object] = time.sleep, *, tracks: bool = False) -> Link:
        """Return a new link, tried for with growing delays for ``patience`` seconds; else :exc:`LayerUnavailable`.

        ``pause(seconds)`` waits between attempts; what is true when it returns ends them. ``tracks`` is the link's.
        """
        begun = time.monotonic()
        for delay in delays():
            left = begun + patience - time.monotonic()
            try:
                link = Link(self.address, self.name, max(left, SHORTEST_ATTEMPT), tracks)
            except (OSError, ReplyError) as error:
                self._outage.begin(error)
                if left <= delay or pause(delay):
                    raise self._unreachable(error, time.monotonic() - begun) from error
            else:
                self._outage.end()
                self._note_run(link.run)
                return link
        raise AssertionError("delays() never ends")

    def is_recovering(self) -> bool:
        """Return whether the server has begun anew a moment ago: inboxes that are missing may be on their way."""
        return time.monotonic() - self._renewed < RECOVERY

    def _note_run(self, run: str) -> None:
        if self._run is not None and self._run != run:
            self._renewed = time.monotonic()
        self._run = run

    def lost(self, error: Exception, since: float) -> AnswerLost:
        """Return what to raise where no answer came to what was sent at ``since``, on the monotonic clock."""
        return AnswerLost(
            f"the layer at {self.address} did not answer within {time.monotonic() - since:.1f} s ({error}); "
            "what was sent may have arrived and is not sent again"
        )

    def checked(self, replies: Replies) -> Replies:
        """Return ``replies``; raise :exc:`LayerDeclined` if one of them is an error."""
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise LayerDeclined(f"the layer at {self.address} refused: {reply}") from reply
        return replies

    def _unreachable(self, error: Exception, seconds: float) -> LayerUnavailable:
        return LayerUnavailable(f"the layer at {self.address} cannot be reached, tried for {seconds:.1f} s: {error}")


class Unknown:
    """The commands of a request whose scripts the server had forgotten, after ``SCRIPT FLUSH``.

    They have done nothing, so sending them again doubles nothing.
    """

    def __init__(self, commands: Commands, replies: Replies) -> None:
        self._replies = replies
        self._places = [i for i, reply in enumerate(replies) if _is_unknown(reply)]
        self._loading = load_all() if self._places else []
        self.commands = [*self._loading, *(commands[i] for i in self._places)]
        """What to send now: the scripts and the commands; nothing if all were known."""

    def fill(self, replies: Replies) -> None:
        """Put the replies to :attr:`commands` where they belong."""
        for i, reply in zip(self._places, replies[len(self._loading) :], strict=True):
            self._replies[i] = reply


def _is_unknown(reply: object) -> bool:
    return isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT")
