"""The events of one WebSocket, in order, one entry under way at a time.

A lane does no I/O: it is told what happened (:meth:`push`, :meth:`settle`) and asked what may leave (:meth:`take`).
What queued up while a worker was busy leaves together as one entry.
"""

from __future__ import annotations

from typing import Any, Final

from channel_layers import codec
from channel_layers.envelope import AGAIN, EVENT, Done, Envelope

CONNECT: Final = "websocket.connect"
RECEIVE: Final = "websocket.receive"
DISCONNECT: Final = "websocket.disconnect"


class Lane:
    """Order and flow control of one connection.

    ``size`` is the bytes of what waits and what is under way, ``waiting`` the number of events not yet sent,
    ``session`` the connection session the worker last returned.
    """

    __slots__ = ("_order", "_parts", "_queue", "_token", "channel", "path", "session", "size", "under_way")

    def __init__(self, channel: str, path: str) -> None:
        self.channel = channel
        self.path = path
        self.session: bytes | None = None
        self.size = 0
        self.under_way: Envelope | None = None
        self._queue: list[tuple[str, bytes]] = []
        self._parts: list[bytes] = []
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

    def push(self, event: str, content: dict[str, Any]) -> None:
        """Append an event for the channel ``event``; its reply channel, path and order are added here."""
        content["reply_channel"] = self.channel
        content["path"] = self.path
        content["order"] = self._order
        self._order += 1
        data = codec.encode_plain(content)
        self.size += len(data)
        self._queue.append((event, data))

    def take(self, max_messages: int, max_size: int) -> Envelope | None:
        """Return what may leave now: the events at the head that are for one channel, or ``None``."""
        if self.under_way is not None or not self._queue:
            return None
        return self._send(self._queue[0][0], self._take_parts(max_messages, max_size), 0)

    def settle(self, token: int, done: Done, session: bytes | None) -> bool:
        """End the entry under way; ``False`` if ``token`` is not its number (a late or doubled answer)."""
        envelope = self.under_way
        if envelope is None or envelope.token != token:
            return False
        if session is not None:
            self.session = session
        self.under_way = None
        if done.outcome == AGAIN:
            self._give_back(envelope, done.handled)
        else:
            self.size -= sum(map(len, self._parts))
            self._parts = []
        return True

    def take_again(self, attempt: int) -> Envelope | None:
        """Return what was handed back, as its next ``attempt``."""
        if self.under_way is not None or not self._queue:
            return None
        channel, data = self._queue.pop(0)
        return self._send(channel, [data], attempt)

    def _take_parts(self, max_messages: int, max_size: int) -> list[bytes]:
        queue = self._queue
        channel, first = queue[0]
        count, size = 1, len(first)
        while count < len(queue) and count < max_messages and queue[count][0] == channel:
            size += len(queue[count][1])
            if size > max_size:
                break
            count += 1
        parts = [data for _, data in queue[:count]]
        del queue[:count]
        return parts

    def _send(self, channel: str, parts: list[bytes], attempt: int) -> Envelope:
        self._token += 1
        self._parts = parts
        content = parts[0] if len(parts) == 1 else codec.join(parts)
        self.under_way = Envelope(
            EVENT, channel, content, self.channel, self._token, self.session, attempt=attempt
        )
        return self.under_way

    def _give_back(self, envelope: Envelope, handled: int) -> None:
        self.size -= sum(map(len, self._parts[:handled]))
        self._queue[:0] = [(envelope.target, data) for data in self._parts[handled:]]
        self._parts = []
