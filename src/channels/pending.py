"""Sends of a running consumer: gathered, and written together when it returns.

A slot runs several messages in one go and answers all of them in one write. A consumer that takes its time does not
hold back what it and those before it have sent: after a few milliseconds the worker's watchdog writes that.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Protocol

from django.db import connections

from channel_layers.base import BaseChannelLayer
from channel_layers.envelope import MESSAGE, RETURNED, Envelope, done
from channel_layers.exceptions import LayerUnavailable, may_have_arrived
from channel_layers.slot import Refused

Report = Callable[[Refused], None]
Write = Callable[[Sequence[Envelope]], list[Refused]]


class Stream(Protocol):
    """A response of which parts are held for a moment. What was gathered here was sent before them."""

    def flush(self) -> None:
        """Write what is held: the consumer sends something else."""

    def release(self) -> None:
        """Write what is held, without waiting for anybody; called by the watchdog, under ``lock``."""


class Pending:
    """What the consumers of one slot have sent and the layer has not seen yet.

    ``route`` names the consumer at work, empty between two. What leaves does so under ``lock``, since the watchdog
    writes from another thread; ``is_watched`` is whether there is one. ``is_abandoned`` is whether its consumer was
    given up, ``uses_database`` whether this slot has opened a database connection, ``has_queries`` whether it has since
    queries were last forgotten, ``stream`` the response that the consumer streams.
    """

    def __init__(self, layer: BaseChannelLayer, report: Report, is_watched: bool = False) -> None:
        self.layer = layer
        self.route = ""
        self.uses_database = False
        self.has_queries = False
        self.is_abandoned = False
        self.is_watched = is_watched
        self.stream: Stream | None = None
        self.lock = threading.RLock()
        self._report = report
        self._envelopes: list[Envelope] = []
        self._others: list[tuple[BaseChannelLayer, Envelope]] = []
        self._mark = 0
        self._others_mark = 0
        self._eligible: int | None = None

    def begin(self, route: str) -> None:
        """A consumer starts: what it sends from here on can be discarded."""
        if self.route:  # it is for the next message of the same event
            self.end()
        self.route = route

    def end(self) -> None:
        """The consumer has ended: what it has sent can not be discarded any more."""
        with self.lock:  # the watchdog may be writing
            self._end()

    def _end(self) -> None:
        self.route = ""
        self._mark = len(self._envelopes)
        self._others_mark = len(self._others)
        self._eligible = None

    def settle_event(self, event: Envelope, outcome: int, handled: int, session: bytes | None) -> None:
        """The consumer has ended; its event is settled behind everything it sent.

        A reply to the same connection carries that along, where it was the last thing sent: one entry for both.
        """
        with self.lock:
            envelopes = self._envelopes
            last = envelopes[-1] if outcome == RETURNED and len(envelopes) > self._mark else None
            if last is not None and last.target == event.owner and last.kind == MESSAGE:
                last.token, last.session = event.token, session
            else:
                envelopes.append(done(event.owner, event.token, outcome, handled, session))
            self._end()

    def discard(self) -> None:
        """Forget what the running consumer has sent and what has not left yet."""
        with self.lock:
            del self._envelopes[self._mark :]
            del self._others[self._others_mark :]

    def abandon(self, ended: Sequence[Envelope]) -> list[Envelope]:
        """Give the running consumer up: return what those before it have sent, and ``ended``; under ``lock``."""
        self.is_abandoned, mark = True, self._mark
        return self._drain()[:mark] + list(ended)

    def _check(self) -> None:
        if self.is_abandoned:
            text = f"{self.route} was over its hard_limit and is given up: what it sends is discarded"
            self.layer.losses.count("overdue", text)
            raise RuntimeError(text)

    def add(self, layer: BaseChannelLayer, envelope: Envelope) -> None:
        """Gather a send of the running consumer; raise :exc:`RuntimeError` if that was given up."""
        self._check()
        if self.stream is not None:
            self.stream.flush()
        if self.uses_database and self._eligible is None and _in_atomic_block():
            with self.lock:
                self._eligible = len(self._envelopes)
        if layer is self.layer:
            self._envelopes.append(envelope)
        else:
            self._others.append((layer, envelope))

    def write_with(self, layer: BaseChannelLayer, *envelopes: Envelope) -> None:
        """Write envelopes now, behind what was gathered before them; raise if one is refused."""
        if self.stream is not None:
            self.stream.flush()
        self.write_by(layer.write, layer, *envelopes)

    def write_by(self, write: Write, layer: BaseChannelLayer, *envelopes: Envelope) -> None:
        """As :meth:`write_with`, with ``write`` of ``layer``, which writes something else behind the envelopes."""
        self._check()
        with self.lock:
            if layer is self.layer:
                batch = self._drain()
                refused = self._write(batch, lambda gathered: write([*gathered, *envelopes]))
                refused += self._flush_others()
            else:
                refused = [*self._flush(), *write(envelopes)]
        self._raise_or_report(refused, envelopes)

    async def awrite_with(self, layer: BaseChannelLayer, *envelopes: Envelope) -> None:
        """As :meth:`write_with`."""
        self._check()
        if self.stream is not None:
            await asyncio.to_thread(self.stream.flush)
        with self.lock:
            batch = self._drain()
        own = list(envelopes) if layer is self.layer else []
        try:
            refused = await self.layer.awrite(batch + own) if batch or own else []
        except LayerUnavailable as error:
            with self.lock:
                self._keep(batch, error)
            raise
        if layer is not self.layer:
            refused += await layer.awrite(envelopes)
        self._raise_or_report(refused, envelopes)

    def write_now(self, envelope: Envelope) -> None:
        """Write an envelope of the worker itself at once, behind what was gathered before it."""
        with self.lock:
            refused = self._flush(envelope)
        for refusal in refused:
            self._report(refusal)

    def flush(self) -> None:
        """Write what was gathered so far now."""
        with self.lock:
            refused = self._flush()
        for refusal in refused:
            self._report(refusal)

    async def aflush(self) -> None:
        """As :meth:`flush`, in a thread: the lock may be held by the watchdog."""
        await asyncio.to_thread(self.flush)

    def settle(self, write: Write) -> None:
        """Write everything with ``write``, the slot's own, which ends its claims."""
        refused: list[Refused] = []
        try:
            with self.lock:
                refused += self._flush_others()  # first: the slot's own may take a moment
                refused += self._write(self._drain(), write)
        finally:
            for refusal in refused:
                self._report(refusal)

    def give_up(self, error: Exception) -> None:
        """Forget what could not be written and will not be tried again."""
        with self.lock:
            self._count_lost(len(self._drain()), error)

    def flush_eligible(self) -> None:
        """Write what need not wait for the running consumer; called by the watchdog, under ``lock``.

        What was gathered before a part of a stream leaves with that, as it would have if the part had not been held.
        """
        if self.stream is not None:
            self.stream.release()
        eligible = self._eligible
        count = len(self._envelopes) if eligible is None else eligible
        batch = self._envelopes[:count]
        del self._envelopes[:count]
        self._mark = max(0, self._mark - len(batch))
        refused = self._write(batch, self.layer.write) if batch else []
        if eligible is None:
            refused += self._flush_others()
        else:
            self._eligible = 0
        for refusal in refused:
            self._report(refusal)

    def _flush(self, *own: Envelope) -> list[Refused]:
        batch = self._drain()
        refused = self._write(batch, lambda gathered: self.layer.write([*gathered, *own])) if batch or own else []
        return refused + self._flush_others()

    def _flush_others(self) -> list[Refused]:
        others = self._others[:]
        del self._others[: len(others)]  # in place: the consumer may be adding to it meanwhile
        self._others_mark = 0
        return [refusal for layer, envelope in others for refusal in _written(layer, envelope)]

    def _write(self, batch: list[Envelope], write: Write) -> list[Refused]:
        try:
            return write(batch)
        except LayerUnavailable as error:
            self._keep(batch, error)
            raise

    def _keep(self, batch: list[Envelope], error: LayerUnavailable) -> None:
        """Gather ``batch`` again if it was certainly not sent, to leave with what comes next; else count it as lost."""
        if may_have_arrived(error):
            self._count_lost(len(batch), error)
        else:
            self._envelopes[:0] = batch
            self._mark += len(batch)

    def _count_lost(self, count: int, error: Exception) -> None:
        if not count:
            return  # what it claims is looked for when the layer is there again
        text = f"{count} messages and ends of events that consumers have sent may not have arrived: {error}"
        self.layer.losses.count("answers lost", text, count)

    def _drain(self) -> list[Envelope]:
        batch, self._envelopes, self._mark = self._envelopes, [], 0
        if self._eligible is not None:
            self._eligible = 0
        return batch

    def _raise_or_report(self, refused: list[Refused], envelopes: Sequence[Envelope]) -> None:
        own = [refusal for refusal in refused if any(refusal.envelope is envelope for envelope in envelopes)]
        for refusal in refused:
            if refusal not in own:
                self._report(refusal)
        if own:
            raise own[0].error


current: ContextVar[Pending | None] = ContextVar("channels.pending", default=None)
"""The sends of the consumer that runs in this context."""


def running() -> Pending | None:
    """Return the pending sends if a consumer is running here, else ``None``: a send leaves at once."""
    pending = current.get()
    return pending if pending is not None and pending.route else None


def _written(layer: BaseChannelLayer, envelope: Envelope) -> list[Refused]:
    try:
        return layer.write([envelope])
    except OSError as error:
        return [Refused(envelope, error)]


def _in_atomic_block() -> bool:
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))
