"""Events on their way: everything of one turn of the loop leaves in one write, and each is owned until it is done."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final, Protocol

from channel_layers.base import BaseChannelLayer
from channel_layers.envelope import Envelope
from channel_layers.exceptions import LayerDeclined, LayerUnavailable, may_have_arrived
from channel_layers.slot import Refused
from daphne.events import may_go_unread

logger = logging.getLogger("daphne.outbox")

OVERDUE: Final = 1.0
"""Seconds an event may be under way before the layer is asked whether it still exists, once a second."""
RETRY: Final = 0.5
"""Seconds before an event is sent again that the layer did not take because it was away."""
GRACE: Final = 5.0
"""Seconds a request waits for a first worker, so that a deploy need not show."""


class Owner(Protocol):
    """A connection that owns the event it has sent until a worker has settled it."""

    def refused(self, envelope: Envelope, error: Exception) -> None:
        """The layer did not take the event."""

    def lost(self, envelope: Envelope) -> None:
        """The event was taken by a worker that died, or vanished with the layer."""

    def unserved(self, envelope: Envelope) -> bool:
        """No worker reads the event's channel, or no layer takes it; return whether to give it up, so it never runs."""


class Outbox:
    """The writing half of a server's connection to the layer."""

    def __init__(self, layer: BaseChannelLayer, owner_of: Callable[[str], Owner | None]) -> None:
        self._layer = layer
        self._owner_of = owner_of
        self._batch: list[Envelope] = []
        self._begun = 0.0  # of the batch
        self._writing = 0
        self._all_written = asyncio.Event()
        self._under_way: dict[str, tuple[float, Envelope]] = {}
        self._suspects: set[tuple[str, int]] = set()
        self._loop = asyncio.get_running_loop()
        self._check_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._unserved: set[str] = set()

    def post(self, envelope: Envelope) -> None:
        """Send an event in this turn's write and own it until :meth:`settled`."""
        self.send(envelope)
        self._under_way[envelope.owner] = self._begun, envelope
        if self._check_timer is None:
            self._check_timer = self._loop.call_later(OVERDUE, self._start_check)

    def send(self, envelope: Envelope) -> None:
        """Send a message that nobody answers in this turn's write."""
        if not self._batch:
            self._begun = self._loop.time()
            self._loop.call_soon(self._write)
        self._batch.append(envelope)

    def settled(self, owner: str) -> Envelope | None:
        """The event of ``owner`` is done; return it."""
        return self._under_way.pop(owner, (0.0, None))[1]

    def give_up(self, owner: str) -> None:
        """The client of ``owner`` was told no: what it asked for must not run, if no worker has it yet."""
        envelope = self.settled(owner)
        if envelope is not None:
            self._start(self._retract(envelope))

    @property
    def under_way(self) -> int:
        """How many events are not settled."""
        return len(self._under_way)

    async def drain(self) -> None:
        """Wait until everything was written."""
        while self._batch or self._writing:
            self._all_written.clear()
            await self._all_written.wait()

    def _write(self) -> None:
        """Write what one turn of the loop has gathered."""
        batch, self._batch = self._batch, []
        self._writing += 1
        self._layer.start_write(batch, partial(self._written, batch))

    def _written(self, batch: list[Envelope], refused: list[Refused], error: Exception | None) -> None:
        self._writing -= 1
        for envelope, reason in refused:
            self._refused(envelope, reason)
        if error is not None:
            self._failed(batch, error)
        if not self._writing:
            self._all_written.set()

    def _failed(self, batch: list[Envelope], error: Exception) -> None:
        """Keep what was not sent. What may have arrived is never repeated: the layer is asked for it."""
        if not isinstance(error, LayerUnavailable):
            logger.error("events could not be sent", exc_info=error)
        for envelope in batch:
            owner = self._owner_of(envelope.owner)
            if owner is None:
                self._layer.losses.count("not sent", f"a message on {envelope.target!r} may be lost: {error}")
            elif may_have_arrived(error):
                continue
            elif owner.unserved(envelope):
                self._refused(envelope, error)
            elif self._owns(envelope):
                self._under_way[envelope.owner] = math.inf, envelope  # there is nothing to look for meanwhile
                self._loop.call_later(RETRY, self._send_again, envelope)

    def _send_again(self, envelope: Envelope) -> None:
        if self._owns(envelope):
            self.post(envelope)

    def close(self) -> None:
        """Stop looking after events under way."""
        if self._check_timer is not None:
            self._check_timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _refused(self, envelope: Envelope, error: Exception) -> None:
        self._under_way.pop(envelope.owner, None)
        owner = self._owner_of(envelope.owner)
        if owner is not None:
            owner.refused(envelope, error)

    def _start_check(self) -> None:
        self._check_timer = None
        self._start(self._check())

    def _start(self, coroutine: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _retract(self, envelope: Envelope) -> None:
        try:
            await self._layer.aretract(envelope)
        except OSError as error:
            self._layer.losses.count("not taken back", f"a request may run though its client was told no: {error}")

    async def _check(self) -> None:
        """Look after events that have been under way for a while. Runs once a second while there are any."""
        deadline = self._loop.time() - OVERDUE
        overdue = [envelope for since, envelope in self._under_way.values() if since <= deadline]
        try:
            if overdue:
                await self._find_lost(overdue)
            if overdue or self._unserved:
                await self._find_unserved()
        except LayerDeclined as error:
            self._layer.losses.count("not looked after", f"events under way could not be looked after: {error}")
        except OSError:
            pass  # the layer is away and has said so: the next look is due in a second
        if self._under_way and self._check_timer is None:
            self._check_timer = self._loop.call_later(OVERDUE, self._start_check)

    async def _find_lost(self, overdue: list[Envelope]) -> None:
        """Give up events that were missing twice running: once may be a message between two queues."""
        missing = await self._layer.afind_lost(overdue)
        for envelope in missing:
            owner = self._owner_of(envelope.owner)
            if (envelope.owner, envelope.token) in self._suspects and self._owns(envelope) and owner is not None:
                self._layer.losses.count("event lost", f"an event on {envelope.target!r} was taken and never finished")
                self.settled(envelope.owner)
                owner.lost(envelope)
        self._suspects = {(envelope.owner, envelope.token) for envelope in missing}

    async def _find_unserved(self) -> None:
        """Say which channels have no worker; take back what its connection does not want to wait with."""
        deadline = self._loop.time() - GRACE
        waiting = [envelope for since, envelope in self._under_way.values() if since <= deadline]
        served = {channel for worker in await self._layer.aprocesses() for channel in worker.channels}
        targets = self._unserved | {envelope.target for envelope in waiting}
        self._note_unserved({channel for channel in targets - served if not may_go_unread(channel)})
        for envelope in waiting:
            owner = self._owner_of(envelope.owner)
            if envelope.target not in served and owner is not None and owner.unserved(envelope):
                await self._take_back(envelope, owner)

    async def _take_back(self, envelope: Envelope, owner: Owner) -> None:
        if await self._layer.aretract(envelope) and self._owns(envelope):
            self.settled(envelope.owner)
            owner.refused(envelope, NoWorker(envelope.target))

    def _owns(self, envelope: Envelope) -> bool:
        return self._under_way.get(envelope.owner, (0.0, None))[1] is envelope

    def _note_unserved(self, unserved: set[str]) -> None:
        for channel in sorted(unserved - self._unserved):
            logger.warning("no worker reads %s; start one with: python manage.py runworker", channel)
        for channel in sorted(self._unserved - unserved):
            logger.info("%s is read again", channel)
        self._unserved = unserved


class NoWorker(Exception):
    """No worker reads the channel."""

    def __init__(self, channel: str) -> None:
        super().__init__(channel)
        self.channel = channel

    def __str__(self) -> str:
        return f"no worker reads {self.channel}"
