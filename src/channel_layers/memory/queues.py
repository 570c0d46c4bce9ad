"""The queues of the in-memory layer."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from channel_layers.body import LIFETIME
from channel_layers.capacity import Capacities
from channel_layers.envelope import MESSAGE, Envelope
from channel_layers.exceptions import ChannelFull
from channel_layers.losses import Losses


class Queues:
    """Queues by channel, used under the layer's lock. One that holds nothing takes no memory.

    ``expiry`` is how many seconds a message may wait; in the channels ``kept`` it may wait for ever.
    """

    def __init__(self, capacities: Capacities, expiry: float, clock: Callable[[], float], losses: Losses) -> None:
        self._capacities = capacities
        self._expiry = expiry
        self._clock = clock
        self._losses = losses
        self.kept: set[str] = set()
        self._queues: defaultdict[str, deque[Envelope]] = defaultdict(deque)

    def __getitem__(self, channel: str) -> Sequence[Envelope]:
        """Return what waits in ``channel``, the oldest first."""
        return self._queues.get(channel, ())

    def put(self, envelope: Envelope) -> ChannelFull | None:
        """Append ``envelope`` to its queue, or return why a message does not fit."""
        queue = self._queues[envelope.target]
        if envelope.kind == MESSAGE and len(queue) >= self._capacities[envelope.target]:
            self._expire(queue)
            if len(queue) >= self._capacities[envelope.target]:
                return self._full(envelope.target, queue)
        queue.append(envelope)
        return None

    def put_back(self, envelopes: Sequence[Envelope]) -> None:
        """Return ``envelopes`` to the heads of their queues, in the order they were taken in."""
        for envelope in reversed(envelopes):
            self._queues[envelope.target].appendleft(envelope)

    def append(self, envelope: Envelope) -> None:
        """Append ``envelope`` to its queue, however full that is."""
        envelope.time = self._clock()
        self._queues[envelope.target].append(envelope)

    def pop(self, channel: str) -> Envelope | None:
        """Take the oldest message of ``channel`` that has not expired."""
        queue = self._queues.get(channel)
        if queue is None:
            return None
        self._expire(queue)
        envelope = queue.popleft() if queue else None
        if not queue:
            del self._queues[channel]
        return envelope

    def remove(self, envelope: Envelope) -> bool:
        """Take the event that ``envelope`` is a copy of out of its queue; ``False`` if it is not there."""
        for queued in self[envelope.target]:
            if queued.owner == envelope.owner and queued.token == envelope.token:
                self._queues[envelope.target].remove(queued)
                return True
        return False

    def drop(self, channel: str) -> None:
        """Forget the messages of one queue."""
        self._queues.pop(channel, None)

    def expire(self) -> None:
        """Drop what nobody has taken in time from every queue: some have no reader that would."""
        for channel, queue in list(self._queues.items()):
            self._expire(queue)
            if not queue:
                del self._queues[channel]

    def clear(self) -> None:
        """Forget every message."""
        self._queues.clear()

    def _expire(self, queue: deque[Envelope]) -> None:
        """Drop what has waited too long at the head."""
        now = self._clock()
        while queue and queue[0].time < now - self._lifetime(queue[0]):
            gone = queue.popleft()
            if not _is_of_connection(gone):  # else it is of a body whose reader has gone
                limit = self._lifetime(gone)
                self._losses.note("expired", f"a message on {gone.target!r} was not taken within {limit} s")

    def _full(self, channel: str, queue: Sequence[Envelope]) -> ChannelFull:
        age = self._clock() - queue[0].time
        setting = f"channel_capacity[{channel!r}] in CONFIG"
        return ChannelFull(channel, len(queue), self._capacities[channel], age, setting)

    def _lifetime(self, envelope: Envelope) -> float:
        """Return how many seconds an entry may wait: an event stays with its connection, a chunk goes in the end."""
        if _is_of_connection(envelope):
            return LIFETIME if "?" in envelope.target else math.inf
        return math.inf if envelope.target in self.kept else self._expiry


def _is_of_connection(envelope: Envelope) -> bool:
    return envelope.kind != MESSAGE and bool(envelope.owner)
