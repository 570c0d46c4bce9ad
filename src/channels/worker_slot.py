"""A slot of a worker: it fetches messages, runs their consumers, and settles all of it in one write."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from django.db import connections

from channel_layers.envelope import RAISED, Envelope, done
from channel_layers.exceptions import may_have_arrived
from channel_layers.slot import Refused, Slot
from channels.claims import Claims
from channels.coroutine_runner import Contents
from channels.pending import Pending
from channels.runner import Abandoned, Runner, report_refused
from channels.signals import worker_ready
from channels.time_limits import TimeLimit

if TYPE_CHECKING:
    from channels.watchdog import Watchdog
    from channels.worker import Worker

logger = logging.getLogger("django.channels")

MAX_TAKE: Final = 64
"""Messages a slot takes at once while consumers are fast."""
TAKE_AWAITED: Final = 16
"""Messages that a slot takes at once of a channel with ``async def`` consumers: it begins all of them."""
BUDGET: Final = 0.002
"""Seconds that the messages of one channel taken together may be expected to run."""


class WorkerSlot:
    """One loop: fetch, run, settle."""

    def __init__(self, worker: Worker, watchdog: Watchdog, channels: Sequence[str]) -> None:
        self._worker = worker
        self._watchdog = watchdog
        self._layer = layer = worker.channel_layer.channel_layer
        self._pending = Pending(layer, partial(report_refused, layer))
        self._slot: Slot = worker.channel_layer.open_slot(worker.retries)
        self._claims = Claims(worker, self._pending, self._slot)
        self._coroutines = worker.coroutines
        self._awaited = worker.channel_layer.router.awaited.intersection(channels)
        self._wants = dict.fromkeys(channels, 1) | dict.fromkeys(self._awaited, TAKE_AWAITED)
        self._averages = dict.fromkeys(channels, BUDGET)
        self._remaining: deque[Envelope] = deque()
        self._running: Envelope | None = None
        self.started = 0.0
        """When what was taken together began to run, on the clock of :func:`time.perf_counter`; 0 while it waits."""
        self.has_failed = False
        """Whether its thread has ended by an error."""
        watchdog.slots.append(self)

    def run(self) -> None:
        """Fetch, run and settle until the worker stops. Nothing that a consumer does ends this loop."""
        runner = Runner(self._worker, self._pending, self._claims)
        runner.abandon = self._abandon
        worker_ready.send(sender=self._worker)
        try:
            while not self._worker.stopping.is_set() or self._remaining:
                if not self._remaining:
                    self._fetch()
                self._run_all(runner)
        except Abandoned:
            pass  # the process is about to be replaced, and this thread with it
        except Exception as error:  # noqa: BLE001 - a fault of ours, or no memory is left; logged by _fail
            self._fail(error)
        finally:
            self._slot.close()
            connections.close_all()

    def _fail(self, error: Exception) -> None:
        self.has_failed = True
        reason = f"one of its slots has ended by {type(error).__name__}"
        logger.error("this process takes less than it should: %s", reason, exc_info=error)
        self._worker.overdue(reason)

    def interrupt(self) -> None:
        """Stop waiting for messages."""
        self._slot.interrupt()

    def _fetch(self) -> None:
        try:
            self._remaining.extend(self._slot.take(self._wanted(), MAX_TAKE))
        except OSError as error:
            self._layer.losses.count("not taken", f"no messages could be taken: {error}")
            self._worker.stopping.wait(1.0)

    def _run_all(self, runner: Runner) -> None:
        """Run what was taken; one write answers all of it."""
        if self._awaited and self._remaining:
            self._start_coroutines()
        if not self._remaining:
            return
        self.started = time.perf_counter()
        self._watchdog.wake()
        counts: dict[str, int] = {}
        while (envelope := self._next()) is not None:
            counts[envelope.target] = counts.get(envelope.target, 0) + 1
            self._running = envelope
            try:
                runner.run(envelope)
            except Exception:  # a fault of ours, not of a consumer; the slot goes on
                logger.exception("a message on %s could not be handled", envelope.target)
        if counts:  # else the watchdog was quicker and has put all of it back
            self._learn(counts, time.perf_counter() - self.started)
        self.started = 0.0
        self._settle()

    def _wanted(self) -> dict[str, int]:
        """Return how many messages of which channels can be begun now."""
        full = [channel for channel in self._awaited if not self._coroutines.may_start(channel)]
        return {channel: n for channel, n in self._wants.items() if channel not in full} if full else self._wants

    def _start_coroutines(self) -> None:
        """Start what goes to ``async def`` consumers, and put back that for which there is no room."""
        own: list[Envelope] = []
        ready: list[tuple[Envelope, Contents]] = []
        for envelope in self._remaining:
            contents = self._coroutines.contents(envelope) if envelope.target in self._awaited else None
            own.append(envelope) if contents is None else ready.append((envelope, contents))
        self._remaining = deque(own)
        granted: list[tuple[Envelope, Contents]] = []
        refused: list[Envelope] = []
        for envelope, contents in ready:
            may_start = self._coroutines.reserve(envelope.target)
            granted.append((envelope, contents)) if may_start else refused.append(envelope)
        if granted and self._claims.hand_over([envelope for envelope, _ in granted]):
            for envelope, contents in granted:
                self._coroutines.start(envelope, contents)
        if refused:
            self._claims.put_back(refused)

    def _settle(self) -> None:
        """Write what was gathered, and ask in the same write for what comes next."""
        while not self._settled():
            pass

    def _settled(self) -> bool:
        """Return whether what was gathered needs no further attempt: while nothing was sent, there is one."""
        stops = self._worker.stopping.is_set()
        try:
            self._pending.settle(self._slot.settle if stops else self._settle_before_take)
        except OSError as error:
            if stops:
                self._pending.give_up(error)
            return stops or may_have_arrived(error)
        return True

    def _settle_before_take(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        return self._slot.settle_before_take(envelopes, self._wanted(), MAX_TAKE)

    def _next(self) -> Envelope | None:
        try:
            return self._remaining.popleft()
        except IndexError:
            return None

    def _learn(self, counts: dict[str, int], seconds: float) -> None:
        """Take as many messages of a channel at once as have lately fitted into the budget."""
        mean = seconds / sum(counts.values())
        for channel in counts:
            average = self._averages[channel] = self._averages[channel] * 0.8 + mean * 0.2
            self._wants[channel] = max(1, min(MAX_TAKE, int(BUDGET / average)))

    def _return_remaining(self) -> None:
        """Return messages not touched to their queues, in their order; under the lock of the pending sends."""
        untouched: list[Envelope] = []
        while True:
            try:
                untouched.append(self._remaining.pop())
            except IndexError:
                break
        if untouched:
            self._slot.put_back(untouched[::-1])

    @property
    def is_abandoned(self) -> bool:
        """Whether its consumer was given up: nothing that it does counts any more."""
        return self._pending.is_abandoned

    def _abandon(self, reason: str, limit: TimeLimit) -> None:
        """Give the running consumer up: answer for it, and let go everything else. Called by a thread of its own."""
        with self._pending.lock:
            envelope = self._running
            if envelope is None or limit.is_over or self.is_abandoned:
                return
            self._return_remaining()
            ended = [done(envelope.owner, envelope.token, RAISED)] if envelope.token else []
            envelopes = self._pending.abandon(ended)
            self.started = 0.0
        if self._claims.is_kept(envelope):
            self._claims.failed(envelope, reason)
        try:
            for refusal in self._slot.settle(envelopes):
                report_refused(self._layer, refusal)
        except OSError as error:
            self._layer.losses.count("answers lost", f"the answer for an overdue consumer was not sent: {error}")
        self._worker.overdue(reason)

    def release(self) -> None:
        """The running consumer is slow: let go what it need not hold back. Called by the watchdog."""
        with self._pending.lock:
            if self.started:
                self._return_remaining()
                self._pending.flush_eligible()
