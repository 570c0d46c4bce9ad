"""``async def`` consumers of a worker: many at a time, on its loop, without a slot that waits for them.

A slot takes a message, hands its claim over to the worker's custody, starts the consumer here and takes the next. What
the consumer sends is written, and its claim ended, when it has returned.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from channel_layers import codec
from channel_layers.envelope import RAISED, Envelope, done
from channel_layers.exceptions import LayerUnavailable, may_have_arrived
from channels.claims import HeldClaims
from channels.coroutine_runner import Contents, CoroutineRunner
from channels.loop import get_loop
from channels.message import LaneState, Message
from channels.pending import Pending
from channels.runner import Abandoned, report_refused
from channels.time_limits import TimeLimit

if TYPE_CHECKING:
    from channels.worker import Worker

logger = logging.getLogger("django.channels")

LIMIT: Final = 100
"""Consumers that run at the same time in one process."""
KEPT_FREE: Final = 10
"""One of so many consumers that may run at the same time is never one of the background, where others come as well."""
PAUSE: Final = 1.0
"""Seconds between two attempts to write what a consumer has sent, while the layer is away."""
STALLED: Final = 0.1
"""Seconds after which what the loop has not begun goes back to its queue: a consumer holds the loop up."""


class Coroutines:
    """The ``async def`` consumers of ``worker`` that run now, ``limit`` at most. Thread-safe.

    ``background`` are the channels of which so few run that there is room for others; empty where nothing is kept free.
    ``has_room`` is called when one may start again that could not.
    """

    def __init__(
        self, worker: Worker, limit: int, has_room: Callable[[], None], background: Collection[str] = ()
    ) -> None:
        self.runs: set[CoroutineRun] = set()
        self.uses_database = False
        self._worker = worker
        self._limit = limit
        self._has_room = has_room
        self._changed = threading.Condition()
        self._reserved = 0
        self._background = frozenset(background)
        self._background_limit = limit - (max(1, limit // KEPT_FREE) if limit > 1 else 0)
        self._background_reserved = 0
        self._is_blocked = False
        self._waiting: dict[CoroutineRun, float] = {}  # for the loop, since when
        self._returning: list[CoroutineRun] = []  # to their queues
        self.has_given_up = False
        """Whether one could not be ended, or a thread that it has used."""

    @property
    def is_full(self) -> bool:
        """Whether no further one may start."""
        return self._is_blocked or self._reserved >= self._limit

    def may_start(self, channel: str) -> bool:
        """Return whether one of ``channel`` may start."""
        is_full = channel in self._background and self._background_reserved >= self._background_limit
        return not (is_full or self.is_full)

    def contents(self, envelope: Envelope) -> Contents | None:
        """Return the messages of ``envelope`` if each of them goes to an ``async def`` consumer, else ``None``."""
        try:
            content = codec.decode(envelope.content)
            contents = content if type(content) is list else [content]
            return contents if contents and all(self._is_awaited(each, envelope) for each in contents) else None
        except Exception:  # noqa: BLE001 - the slot finds out as well, and says so
            return None

    def reserve(self, channel: str) -> bool:
        """Return whether one of ``channel`` may start; then :meth:`start` has to follow."""
        with self._changed:
            may_start = self.may_start(channel)
            self._count(channel, int(may_start))
            return may_start

    def _count(self, channel: str, change: int) -> None:
        self._reserved += change
        if channel in self._background:
            self._background_reserved += change

    def start(self, envelope: Envelope, contents: Contents) -> None:
        """Run the consumers for ``contents``, one after another; the custody of the worker holds the claim."""
        run = CoroutineRun(self._worker, self, envelope, contents)
        self.runs.add(run)
        with self._changed:
            self._waiting[run] = time.perf_counter()
        self._worker.watchdog.wake()
        get_loop().call_soon_threadsafe(run.begin)

    def may_begin(self, run: CoroutineRun) -> bool:
        """The loop has come to it; return whether it was not put back meanwhile."""
        with self._changed:
            return self._waiting.pop(run, None) is not None

    def release(self) -> None:
        """Put back what waits for a loop that is held up. Called by the watchdog, again and again."""
        deadline = time.perf_counter() - STALLED
        with self._changed:
            late = [run for run, since in self._waiting.items() if since < deadline]
            for run in late:
                del self._waiting[run]
            self._returning += late
        if late:
            self._block()
        if self._returning:
            self._worker.custody.put_back([run.envelope for run in self._returning])
            while self._returning:
                self.ended(self._returning.pop())

    def ended(self, run: CoroutineRun) -> None:
        """One has ended, and everything that follows from it is done."""
        with self._changed:
            was_full = not self.may_start(run.envelope.target)
            self.uses_database |= run.uses_database
            self.runs.discard(run)
            self._count(run.envelope.target, -1)
            self._changed.notify_all()
        if was_full:
            self._has_room()

    def given_up(self, run: CoroutineRun, reason: str) -> None:
        """One could not be ended, and all that can be done about it is."""
        self._block()
        self.ended(run)
        self.damaged(reason)

    def damaged(self, reason: str) -> None:
        """One has ended, but has left something of the process unusable."""
        self.has_given_up = True
        self._worker.overdue(reason)

    def _block(self) -> None:
        """Let none start until the loop is free."""
        self._is_blocked = True
        get_loop().call_soon_threadsafe(self._unblock)

    def _unblock(self) -> None:
        self._is_blocked = False
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
        self.envelope = envelope
        self._worker = worker
        self._owner = owner
        self._contents = contents
        self._pending = Pending(layer, partial(report_refused, layer), is_watched=True)
        self._pending.uses_database = owner.uses_database
        self._claims = HeldClaims(worker, self._pending)
        self._task: asyncio.Task[None] | None = None

    @property
    def uses_database(self) -> bool:
        """Whether one of its consumers has opened a database connection."""
        return self._pending.uses_database

    def begin(self) -> None:
        """Start; called on the loop."""
        if not self._owner.may_begin(self):
            return
        context = Context()
        runner = context.run(CoroutineRunner, self._worker, self._pending, self._claims)
        runner.abandon = self.abandon
        runner.replace = self._owner.damaged
        self.started = time.perf_counter()
        self._worker.watchdog.wake()
        self._task = asyncio.get_running_loop().create_task(self._main(runner), context=context)

    def release(self) -> None:
        """Let go what was sent so far: the consumer is slow. Called by the watchdog, again and again."""
        if not self._pending.lock.acquire(blocking=False):
            return  # something is leaving right now
        try:
            if self.started:
                self._pending.flush_eligible()
        finally:
            self._pending.lock.release()

    def abandon(self, reason: str, limit: TimeLimit) -> None:
        """Give its consumer up, which cannot be ended: answer for it. Called by a thread of its own."""
        with self._pending.lock:
            if limit.is_over or self._pending.is_abandoned:
                return
            envelope, self.started = self.envelope, 0.0
            ended = [done(envelope.owner, envelope.token, RAISED)] if envelope.token else []
            envelopes = self._pending.abandon(ended)
        if self._claims.is_kept(envelope):
            self._claims.failed(envelope, reason)
        try:
            for refusal in self._worker.custody.settle(self._claims_to_end(), envelopes):
                report_refused(self._worker.channel_layer.channel_layer, refusal)
        except OSError as error:
            text = f"the answer for an overdue consumer was not sent: {error}"
            self._worker.channel_layer.losses.count("answers lost", text)
        self._owner.given_up(self, reason)

    async def _main(self, runner: CoroutineRunner) -> None:
        try:
            lane, outcome, handled = await runner.arun(self.envelope, self._contents)
            self.started = 0.0
            await asyncio.to_thread(self._finish, runner, lane, outcome, handled)
        except Abandoned:
            return  # whatever follows from it has been done
        except Exception:  # a fault of ours, not of a consumer
            logger.exception("a message on %s could not be handled", self.envelope.target)
        self._owner.ended(self)

    def _claims_to_end(self) -> list[Envelope]:
        return [] if self._claims.is_taken_over else [self.envelope]

    def _finish(self, runner: CoroutineRunner, lane: LaneState | None, outcome: int, handled: int) -> None:
        runner.finish(self.envelope, lane, outcome, handled)
        while not self._settled(self._claims_to_end()):
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
