"""The events of one WebSocket, in order, one entry under way at a time.

A lane does no I/O: it is told what happened (:meth:`push`, :meth:`settle`) and asked what may leave (:meth:`take`).
What queued up while a worker was busy leaves together as one entry.
"""

from __future__ import annotations

from typing import Any, Final

from channel_layers import codec
from channel_layers.envelope import AGAIN, EVENT, Done, Envelope
from channel_layers.notes import replaces
from daphne.config import Config

CONNECT: Final = "websocket.connect"
RECEIVE: Final = "websocket.receive"
DISCONNECT: Final = "websocket.disconnect"


class Lane:
    """Order and flow control of one connection.

    ``channel`` is its reply channel, ``path`` the path of its handshake, ``session`` the newest connection session,
    ``under_way`` the entry that is not settled. ``size`` is the bytes that wait or are under way.
    """

    __slots__ = (
        "_attempt",
        "_config",
        "_order",
        "_parts",
        "_queue",
        "_token",
        "channel",
        "path",
        "session",
        "size",
        "under_way",
    )

    def __init__(self, channel: str, path: str, config: Config) -> None:
        self.channel = channel
        self.path = path
        self.session: bytes | None = None
        self.size = 0
        self.under_way: Envelope | None = None
        self._config = config
        self._queue: list[tuple[str, bytes]] = []
        self._parts: list[bytes] = []  # of the entry under way; empty where it is a single event
        self._attempt = 0  # of the event at the head
        self._order = 0
        self._token = 0

    @property
    def waiting(self) -> int:
        """How many events have not left yet."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return self.under_way is None and not self._queue

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nothing more should be read."""
        return len(self._queue) >= self._config.max_lane_messages or self.size >= self._config.max_lane_size

    def push(self, event: str, content: dict[str, Any]) -> int:
        """Append an event for the channel ``event`` with the connection's own keys; return its size."""
        content["reply_channel"] = self.channel
        content["path"] = self.path
        content["order"] = self._order
        self._order += 1
        data = codec.encode_plain(content)
        self.size += len(data)
        self._queue.append((event, data))
        return len(data)

    def take(self, attempt: int = 0) -> Envelope | None:
        """Return what may leave now: the events at the head that are for one channel, or ``None``.

        What a consumer wants again comes alone, as its next ``attempt``; until it is asked for, nothing passes it.
        """
        if self.under_way is not None or not self._queue or attempt != self._attempt:
            return None
        self._attempt = 0
        if len(self._queue) == 1 or attempt:
            event, content = self._queue.pop(0)
        else:
            event, content = self._take_batch()
        self._token += 1
        envelope = Envelope(EVENT, event, content, self.channel, self._token, self.session, attempt=attempt)
        self.under_way = envelope
        return envelope

    def keep(self, session: bytes) -> None:
        """Let the next events carry ``session``, unless they already carry a newer one."""
        if replaces(session, self.session):
            self.session = session

    def settle(self, token: int, done: Done, session: bytes | None) -> bool:
        """End the entry under way; ``False`` if ``token`` is not its number (a late or doubled answer).

        The session of a late answer is kept all the same: by its version the layer has decided whether it counts.
        """
        if session is not None:
            self.keep(session)
        envelope = self.under_way
        if envelope is None or envelope.token != token:
            return False
        self.under_way = None
        if not self._parts and done.outcome != AGAIN:
            self.size -= len(envelope.content)
        else:
            self._end_parts(envelope, done)
        return True

    def _take_batch(self) -> tuple[str, bytes]:
        queue, config = self._queue, self._config
        event, first = queue[0]
        count, size = 1, len(first)
        while count < min(len(queue), config.max_batch_messages) and queue[count][0] == event:
            size += len(queue[count][1])
            if size > config.max_batch_size:
                break
            count += 1
        parts = [data for _, data in queue[:count]]
        del queue[:count]
        if count == 1:
            return event, first
        self._parts = parts
        return event, codec.join(parts)

    def _end_parts(self, envelope: Envelope, done: Done) -> None:
        """Release the events that were handled; those that a consumer wants again go back to the head."""
        parts, self._parts = self._parts or [envelope.content], []
        handled = len(parts)
        if done.outcome == AGAIN:
            handled = min(done.handled, len(parts) - 1)
            self._attempt = envelope.attempt + 1
        self.size -= sum(map(len, parts[:handled]))
        self._queue[:0] = [(envelope.target, data) for data in parts[handled:]]
