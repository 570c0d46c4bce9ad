"""``async def`` consumers of a worker: many at a time, on its loop, without a slot that waits for them.

A slot takes a message, hands its claim over to the worker's custody, starts the consumer here and takes the next. What
the consumer sends is written, and its claim ended, when it has returned.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from channel_layers import codec
from channel_layers.envelope import AGAIN, RAISED, Envelope
from channel_layers.exceptions import LayerUnavailable, may_have_arrived
from channels.claims import HeldClaims
from channels.loop import get_loop
from channels.message import LaneState, Message
from channels.pending import Pending
from channels.routing import Match
from channels.runner import Runner, report_refused
from channels.time_limits import TimeLimit

if TYPE_CHECKING:
    from channels.worker import Worker

logger = logging.getLogger("django.channels")

LIMIT: Final = 100
"""Consumers that run at the same time in one process."""
PAUSE: Final = 1.0
"""Seconds between two attempts to write what a consumer has sent, while the layer is away."""

Contents = list[dict[str, Any]]


class Coroutines:
    """The ``async def`` consumers of ``worker`` that run now, ``limit`` at most. Thread-safe.

    ``has_room`` is called when one has ended while there were as many as there may be.
    """

    def __init__(self, worker: Worker, limit: int, has_room: Callable[[], None]) -> None:
        self.runs: set[CoroutineRun] = set()
        self.uses_database = False
        self._worker = worker
        self._limit = limit
        self._has_room = has_room
        self._changed = threading.Condition()
        self._reserved = 0

    @property
    def is_full(self) -> bool:
        """Whether no further one may start."""
        return self._reserved >= self._limit

    def contents(self, envelope: Envelope) -> Contents | None:
        """Return the messages of ``envelope`` if each of them goes to an ``async def`` consumer, else ``None``."""
        try:
            content = codec.decode(envelope.content)
            contents = content if type(content) is list else [content]
            return contents if contents and all(self._is_awaited(each, envelope) for each in contents) else None
        except Exception:  # noqa: BLE001 - the slot finds out as well, and says so
            return None

    def reserve(self, n: int) -> int:
        """Return how many of ``n`` consumers may start; :meth:`start` has to follow for each."""
        with self._changed:
            granted = min(n, max(0, self._limit - self._reserved))
            self._reserved += granted
            return granted

    def start(self, envelope: Envelope, contents: Contents) -> None:
        """Run the consumers for ``contents``, one after another; the custody of the worker holds the claim."""
        run = CoroutineRun(self._worker, self, envelope, contents)
        self.runs.add(run)
        get_loop().call_soon_threadsafe(run.begin)

    def ended(self, run: CoroutineRun) -> None:
        """One has ended, and everything that follows from it is done."""
        with self._changed:
            was_full = self.is_full
            self.uses_database |= run.uses_database
            self.runs.discard(run)
            self._reserved -= 1
            self._changed.notify_all()
        if was_full:
            self._has_room()

    def join(self, timeout: float | None) -> bool:
        """Wait until none runs, up to ``timeout`` seconds; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._reserved, timeout)

    def _is_awaited(self, content: dict[str, Any], envelope: Envelope) -> bool:
        message = Message(content, envelope.target, self._worker.channel_layer)
        found = self._worker.channel_layer.router.find(message)
        return found is not None and found.route.is_async


class CoroutineRun:
    """What was taken together of one lane, or one message, while it is handled."""

    def __init__(self, worker: Worker, owner: Coroutines, envelope: Envelope, contents: Contents) -> None:
        layer = worker.channel_layer.channel_layer
        self.started = 0.0
        self._worker = worker
        self._owner = owner
        self._envelope = envelope
        self._contents = contents
        self._pending = Pending(layer, partial(report_refused, layer))
        self._pending.uses_database = owner.uses_database
        self._claims = HeldClaims(worker, self._pending)
        self._task: asyncio.Task[None] | None = None

    @property
    def uses_database(self) -> bool:
        """Whether one of its consumers has opened a database connection."""
        return self._pending.uses_database

    def begin(self) -> None:
        """Start; called on the loop."""
        context = Context()
        runner = context.run(CoroutineRunner, self._worker, self._pending, self._claims)
        self.started = time.perf_counter()
        self._worker.watchdog.wake()
        self._task = asyncio.get_running_loop().create_task(self._main(runner), context=context)

    def release(self) -> None:
        """Let go what was sent so far: the consumer is slow. Called by the watchdog."""
        with self._pending.lock:
            if self.started:
                self._pending.flush_eligible()

    async def _main(self, runner: CoroutineRunner) -> None:
        try:
            lane, outcome, handled = await runner.arun(self._envelope, self._contents)
            self.started = 0.0
            await asyncio.to_thread(self._finish, runner, lane, outcome, handled)
        except Exception:  # a fault of ours, not of a consumer
            logger.exception("a message on %s could not be handled", self._envelope.target)
        finally:
            self._owner.ended(self)

    def _finish(self, runner: CoroutineRunner, lane: LaneState | None, outcome: int, handled: int) -> None:
        runner.finish(self._envelope, lane, outcome, handled)
        ended = [] if self._claims.is_taken_over else [self._envelope]
        while not self._settled(ended):
            self._worker.stopping.wait(PAUSE)

    def _settled(self, ended: list[Envelope]) -> bool:
        """Return whether what was sent needs no further attempt."""
        try:
            self._pending.settle(partial(self._worker.custody.settle, ended))
        except LayerUnavailable as error:
            if self._worker.stopping.is_set() and not may_have_arrived(error):
                self._pending.give_up(error)
                return True
            return may_have_arrived(error)
        return True


class CoroutineRunner(Runner):
    """Runs ``async def`` consumers on the loop."""

    _task: asyncio.Task[Any] | None = None

    async def arun(self, envelope: Envelope, contents: Contents) -> tuple[LaneState | None, int, int]:
        """Handle ``contents``; return the lane, how the last one ended and its number, for :meth:`finish`."""
        self._task = asyncio.current_task()
        lane = self._begin(envelope)
        outcome, handled = RAISED, 0
        for handled, content in enumerate(contents):  # noqa: B007 - the number of the last one
            outcome = await self._ahandle(content, envelope, lane)
            if outcome == AGAIN:
                break
        return lane, outcome, handled

    async def _ahandle(self, content: dict[str, Any], envelope: Envelope, lane: LaneState | None) -> int:
        try:
            message, found = self._routed(content, envelope, lane)
            if found is None:
                return self._unrouted(message, envelope)
            started = time.perf_counter()
            outcome = await self._acall(found, message)
            if self._trace:
                self._show(found, message, started)
        except Exception as error:  # noqa: BLE001 - logged by _broken
            return self._broken(error, envelope)
        return outcome

    async def _acall(self, found: Match, message: Message) -> int:
        self._pending.begin(found.route.name)
        limit = TimeLimit(found.route, message, self._cancel, self._stack) if found.route.is_limited else None
        try:
            await self._boundary.acall(found.route, message, found.kwargs)
        except BaseException as error:  # noqa: BLE001 - whatever a consumer raises ends its call, never the loop
            return self._steered(error, found, message)
        finally:
            if limit is not None:
                limit.end()
        return self._returned(message)

    def _cancel(self, reason: str) -> None:
        """End the run of a consumer that is over its limit; it raises where it waits."""
        assert self._task is not None
        self._task.get_loop().call_soon_threadsafe(self._task.cancel, reason)

    def _stack(self) -> list[str]:
        task = self._boundary.task
        return [] if task is None else [line for frame in task.get_stack() for line in traceback.format_stack(frame, 1)]
