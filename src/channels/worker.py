"""The worker: slots that fetch, run and settle, and a watchdog that keeps a slow consumer from holding others back."""

from __future__ import annotations

import fnmatch
import logging
import os
import platform
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from django.db import connections

from channel_layers.envelope import RAISED, Envelope, done
from channel_layers.exceptions import LayerDeclined, may_have_arrived
from channel_layers.names import new_process_name
from channel_layers.registry import HEARTBEAT_INTERVAL, Announcement
from channel_layers.slot import Custody, Refused, Slot
from channels.claims import Claims
from channels.coroutines import LIMIT, Contents, CoroutineRun, Coroutines
from channels.layers import ChannelLayerWrapper
from channels.message import Message
from channels.pending import Pending, Write
from channels.postponed import Postponed
from channels.reservation import Reservation
from channels.runner import Abandoned, Runner, report_refused
from channels.signals import worker_ready
from channels.turns import keeper

logger = logging.getLogger("django.channels")

MAX_TAKE: Final = 64
"""Messages a slot takes at once while consumers are fast."""
TAKE_AWAITED: Final = 16
"""Messages that a slot takes at once of a channel with ``async def`` consumers: it begins all of them."""
BUDGET: Final = 0.002
"""Seconds that the messages of one channel taken together may be expected to run."""
SLOW: Final = 0.005
"""Seconds after which a consumer no longer holds back what was sent, or messages its slot has not touched."""
QUIET: Final = 10
"""How often the watchdog finds nobody at work before it sleeps."""


class Worker:
    """Takes messages of the routed channels and runs their consumers, ``threads`` at a time.

    ``callback(channel, message)`` is called before each consumer. ``message_retries`` is how often a consumer may
    ask for a message again. ``only_channels`` and ``exclude_channels`` are shell globs. ``reserve`` says how
    many of the threads take nothing but what, as :class:`~channels.reservation.Reservation` does, which may raise
    :exc:`ValueError`. ``concurrency`` is how many ``async def`` consumers may run at a time, beside those threads.
    ``trace`` logs each call.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper,
        callback: Callable[[str, Message], None] | None = None,
        message_retries: int = 10,
        *,
        only_channels: Sequence[str] = (),
        exclude_channels: Sequence[str] = (),
        threads: int = 1,
        reserve: Mapping[str, int] | None = None,
        concurrency: int = LIMIT,
        trace: bool = False,
    ) -> None:
        self.channel_layer = channel_layer
        self.callback = callback
        self.message_retries = message_retries
        self.trace = trace
        self.channels = self._filtered(only_channels, exclude_channels)
        self.process = new_process_name()
        self.code = ""
        """What tells the code it runs from other code; whoever starts the worker may set it."""
        self.overdue: Callable[[str], object] = lambda reason: None
        """Called with a sentence once a thread is stuck in a consumer that was given up; may be set."""
        self.stopping = threading.Event()
        self.postponed = Postponed(self._write)
        router = channel_layer.router
        self.retries: dict[str, int] = {channel: n for channel, n in router.retries.items() if channel in self.channels}
        traffic = {channel: router.traffic[channel] for channel in self.channels}
        self.reservation = Reservation(traffic, threads, reserve)
        self.custody: Custody = channel_layer.open_custody()
        self.coroutines = Coroutines(self, concurrency, self._interrupt)
        self.watchdog = Watchdog(self.coroutines)
        self._slots = [WorkerSlot(self, self.watchdog, channels) for channels in self.reservation.channels]
        self._threads: list[threading.Thread] = []

    @property
    def slots_text(self) -> str:
        """How many consumers may run at the same time, for a person."""
        return f"{len(self._slots)} slot{'s'[: len(self._slots) != 1]}"

    def start(self) -> None:
        """Run in threads of its own, until :meth:`stop`."""
        self._announce()
        targets = [*(slot.run for slot in self._slots), self._heartbeat, self.watchdog.run]
        for number, target in enumerate(targets):
            thread = threading.Thread(target=target, name=f"channels-worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Take nothing more and wait up to ``timeout`` seconds for running consumers; return whether all have ended."""
        self.stopping.set()
        self._interrupt()
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads[:-1]:
            if thread not in self._stuck():
                thread.join(_left(deadline))
        self.coroutines.join(_left(deadline))
        self.watchdog.stop()  # only now: a running consumer may wait for the answer to what it has sent
        for thread in self._threads[-1:]:
            thread.join(_left(deadline))
        self.postponed.close()
        keeper.hand_over(self.channel_layer.channel_layer)
        waited_for = [thread for thread in self._threads if thread not in self._stuck()]
        has_finished = self.coroutines.join(0) and not any(thread.is_alive() for thread in waited_for)
        if has_finished:  # else the end of the process ends its claims
            self.custody.close()
        self._withdraw()
        return has_finished

    @property
    def has_stuck(self) -> bool:
        """Whether there are threads in consumers that were given up."""
        return any(thread.is_alive() for thread in self._stuck())

    def _stuck(self) -> list[threading.Thread]:
        """Return the threads of consumers that were given up; nobody waits for them."""
        return [thread for thread, slot in zip(self._threads, self._slots, strict=False) if slot.is_abandoned]

    def _interrupt(self) -> None:
        for slot in self._slots:
            slot.interrupt()

    def _write(self, envelope: Envelope) -> None:
        """Send what is sent on behalf of no running consumer."""
        layer = self.channel_layer.channel_layer
        try:
            refused = layer.write([envelope])
        except OSError as error:  # never repeated: it may have arrived, and only its answer was lost
            refused = [Refused(envelope, error)]
        for refusal in refused:
            report_refused(layer, refusal)

    def _withdraw(self) -> None:
        try:
            self.channel_layer.withdraw(self.process)
        except OSError as error:
            logger.warning("the end of this worker could not be announced: %s", error)

    def _filtered(self, only: Sequence[str], exclude: Sequence[str]) -> list[str]:
        channels = readable_channels(self.channel_layer)
        if only:
            channels = [c for c in channels if any(fnmatch.fnmatchcase(c, glob) for glob in only)]
        return [c for c in channels if not any(fnmatch.fnmatchcase(c, glob) for glob in exclude)]

    def _heartbeat(self) -> None:
        while not self.stopping.wait(HEARTBEAT_INTERVAL):
            self._announce()

    def _announce(self) -> None:
        announcement = Announcement(
            self.process,
            tuple(self.channels),
            len(self._slots),
            host=platform.node(),
            pid=os.getpid(),
            code=self.code,
            kept=tuple(self.retries),
        )
        try:
            self.channel_layer.announce(announcement)
        except LayerDeclined as error:
            self.channel_layer.losses.count("no heartbeat", f"no heartbeat: {error}")
        except OSError:
            pass  # the layer is away and has said so


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def readable_channels(layer: ChannelLayerWrapper) -> list[str]:
    """Return the channels to read: those of a route, and of the default routes those that need an answer.

    Events that end something are read only where a route asks for them: the server then sends none in vain.
    """
    router = layer.router
    routed = {channel for route in router.routes for channel in route.channels}
    return sorted(c for c in router.channels if c in routed or not c.endswith(".disconnect"))


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
        finally:
            self._slot.close()
            connections.close_all()

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
        if self._awaited and self._coroutines.is_full:
            return {channel: n for channel, n in self._wants.items() if channel not in self._awaited}
        return self._wants

    def _start_coroutines(self) -> None:
        """Start what goes to ``async def`` consumers, and put back that for which there is no room."""
        own: list[Envelope] = []
        ready: list[tuple[Envelope, Contents]] = []
        for envelope in self._remaining:
            contents = self._coroutines.contents(envelope) if envelope.target in self._awaited else None
            own.append(envelope) if contents is None else ready.append((envelope, contents))
        self._remaining = deque(own)
        granted = self._coroutines.reserve(len(ready))
        if granted and self._claims.hand_over([envelope for envelope, _ in ready[:granted]]):
            for envelope, contents in ready[:granted]:
                self._coroutines.start(envelope, contents)
        if ready[granted:]:
            self._claims.put_back([envelope for envelope, _ in ready[granted:]])

    def _settle(self) -> None:
        """Write what was gathered and, in the same write, take what waits already."""
        taken: list[Envelope] = []

        def write(envelopes: Sequence[Envelope]) -> list[Refused]:
            refused, taken[:] = self._slot.settle_and_take(envelopes, self._wanted(), MAX_TAKE)
            return refused

        while not self._settled(write):
            pass
        self._remaining.extend(taken)

    def _settled(self, write: Write) -> bool:
        """Return whether what was gathered needs no further attempt: while nothing was sent, there is one."""
        stops = self._worker.stopping.is_set()
        try:
            self._pending.settle(self._slot.settle if stops else write)
        except OSError as error:
            if stops:
                self._pending.give_up(error)
            return stops or may_have_arrived(error)
        return True

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

    def _abandon(self, reason: str) -> None:
        """Give the running consumer up: answer for it, and let go everything else. Called by a thread of its own."""
        with self._pending.lock:
            envelope = self._running
            if envelope is None or not self.started or self.is_abandoned:
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


class Watchdog:
    """One thread of a worker, awake while consumers run and a moment longer: waking it costs more than a consumer."""

    def __init__(self, coroutines: Coroutines | None = None) -> None:
        self.slots: list[WorkerSlot] = []
        self._coroutines = coroutines
        self._awake = threading.Event()
        self._has_seen_work = False
        self._stopped = False

    def wake(self) -> None:
        """A slot has begun to run consumers."""
        self._has_seen_work = True
        if not self._awake.is_set():
            self._awake.set()

    def stop(self) -> None:
        """End :meth:`run`."""
        self._stopped = True
        self._awake.set()

    def run(self) -> None:
        """Let go what slow consumers hold back."""
        while not self._stopped:
            self._awake.wait()
            self._watch()
            self._awake.clear()
            if self._stopped or self._is_anyone_at_work():  # it was told so while it was still awake
                self._awake.set()

    def _watch(self) -> None:
        """Look at the slots until no consumer has run for a while."""
        quiet = 0
        while not self._stopped and quiet < QUIET:
            self._has_seen_work = False
            time.sleep(SLOW)
            self._release_slow()
            quiet = 0 if self._has_seen_work or self._is_anyone_at_work() else quiet + 1

    def _is_anyone_at_work(self) -> bool:
        return any(run.started for run in self._runs())

    def _runs(self) -> Sequence[WorkerSlot | CoroutineRun]:
        return self.slots if self._coroutines is None else (*self.slots, *self._coroutines.runs)

    def _release_slow(self) -> None:
        deadline = time.perf_counter() - SLOW
        for slot in self._runs():
            if slot.started and slot.started <= deadline:
                try:
                    slot.release()
                except Exception:
                    logger.exception("the sends of a slow consumer could not leave")
