"""The events of one connection in a test, one under way at a time, as an interface server keeps them."""

from __future__ import annotations

from collections import deque
from typing import Any

from channel_layers import codec
from channel_layers.envelope import AGAIN, EVENT, Done, Envelope, next_attempt
from channel_layers.notes import replaces


class Lane:
    """Order and session of the connection that ``channel`` leads to.

    ``session`` is the connection session as a consumer has last left it, ``under_way`` the event that is not settled.
    """

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.session: bytes | None = None
        self.under_way: Envelope | None = None
        self._waiting: deque[Envelope] = deque()
        self._token = 0

    def push(self, event: str, content: dict[str, Any]) -> None:
        """Append an event for the channel ``event``; raise :exc:`TypeError` for content that cannot travel."""
        self._token += 1
        data = codec.encode({**content, "reply_channel": self.channel})
        self._waiting.append(Envelope(EVENT, event, data, self.channel, self._token))

    def take(self) -> Envelope | None:
        """Return the event that may leave now, or ``None``."""
        if self.under_way is not None or not self._waiting:
            return None
        envelope = self.under_way = self._waiting.popleft()
        envelope.session = self.session
        return envelope

    def keep(self, session: bytes) -> None:
        """Let the next events carry ``session``, unless they already carry a newer one."""
        if replaces(session, self.session):
            self.session = session

    def settle(self, token: int, done: Done, session: bytes | None) -> Envelope | None:
        """End the event under way; return its next attempt if its consumer wants it again, which then is under way."""
        envelope = self.under_way
        if envelope is None or envelope.token != token:
            return None
        if session is not None:
            self.keep(session)
        self.under_way = next_attempt(envelope, session=self.session) if done.outcome == AGAIN else None
        return self.under_way
