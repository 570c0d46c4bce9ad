"""The turns of the in-memory layer."""

from __future__ import annotations

from collections.abc import Callable

from channel_layers.envelope import Envelope
from channel_layers.turns import (
    END,
    FREE,
    HELD,
    LEASE,
    LIFETIME,
    MAX_HELD,
    NOW,
    PAST,
    RENEW,
    RETURN,
    SKIP,
    TAKE,
    Outcome,
    Step,
)


class Turns:
    """The turns of all connections, used under the layer's lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._connections: dict[str, ConnectionTurns] = {}

    def take(self, step: Step) -> tuple[Outcome, list[Envelope]]:
        """Do one step; return its outcome and the messages to be sent to their queues."""
        now = self._clock()
        turns = self._connections.setdefault(step.channel, ConnectionTurns())
        turns.touched = now
        return turns.take(step, now)

    def expire(self) -> None:
        """Forget connections of which nothing has come for long."""
        oldest = self._clock() - LIFETIME
        self._connections = {name: turns for name, turns in self._connections.items() if turns.touched > oldest}

    def clear(self) -> None:
        """Forget all."""
        self._connections.clear()


class ConnectionTurns:
    """The turns of one connection. ``next`` is whose turn it is, ``leased`` until when it is being handled."""

    def __init__(self) -> None:
        self.touched = 0.0
        self.next = 0
        self.leased = 0.0
        self.progress = 0.0
        self.held: dict[int, Envelope] = {}
        self._released: list[Envelope] = []

    def take(self, step: Step, now: float) -> tuple[Outcome, list[Envelope]]:
        """Do one step; see :meth:`Turns.take`."""
        self._released = []
        return _ACTIONS[step.action](self, step, now), self._released

    def _taken(self, step: Step, now: float) -> Outcome:
        order, is_leased = step.order, self.leased > now
        if step.slight and self.next > 0:
            return Outcome(NOW)
        if order < self.next or order in self.held or (order == self.next and is_leased):
            return Outcome(PAST)
        if order == self.next:
            self.leased = now + LEASE
            return Outcome(NOW)
        if not self.held:
            self.progress = max(self.progress, now)
        assert step.message is not None
        self.held[order] = step.message
        is_overdue = now - self.progress >= step.patience or len(self.held) > MAX_HELD
        return Outcome(HELD, step.patience, self._skip(step, now) if is_overdue and not is_leased else 0)

    def _ended(self, step: Step, now: float) -> Outcome:
        if step.order == self.next:
            self._go_on(step.order + 1, step, now)
        return Outcome()

    def _returned(self, step: Step, now: float) -> Outcome:
        if step.order == self.next:
            self.leased = 0.0
        return Outcome()

    def _renewed(self, step: Step, now: float) -> Outcome:
        if step.order == self.next:
            self.leased = now + LEASE
        return Outcome()

    def _looked_after(self, step: Step, now: float) -> Outcome:
        if not self.held:
            return Outcome()
        left = step.patience if self.leased > now else self.progress + step.patience - now
        if left > 0:
            return Outcome(wait=left)
        skipped = self._skip(step, now)
        return Outcome(wait=step.patience if self.held else None, skipped=skipped)

    def _freed(self, step: Step, now: float) -> Outcome:
        self._released += self.held.values()
        self.held.clear()
        return Outcome()

    def _skip(self, step: Step, now: float) -> int:
        """Go on with the first message that is there; return how many before it are missing."""
        first = 1 if step.slight else min(self.held)
        skipped = first - self.next
        self._go_on(first, step, now)
        return skipped

    def _go_on(self, order: int, step: Step, now: float) -> None:
        self.next, self.leased, self.progress = order, 0.0, now
        if step.slight:
            self._freed(step, now)
        elif order in self.held:
            self._released.append(self.held.pop(order))


_ACTIONS: dict[str, Callable[[ConnectionTurns, Step, float], Outcome]] = {
    TAKE: ConnectionTurns._taken,
    END: ConnectionTurns._ended,
    RETURN: ConnectionTurns._returned,
    RENEW: ConnectionTurns._renewed,
    SKIP: ConnectionTurns._looked_after,
    FREE: ConnectionTurns._freed,
}
