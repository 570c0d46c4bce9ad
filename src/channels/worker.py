"""The worker: slots that fetch, run and settle, and a watchdog that keeps a slow consumer from holding others back."""

from __future__ import annotations

import fnmatch
import logging
import os
import platform
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from django.db import connections

from channel_layers.envelope import Envelope
from channel_layers.exceptions import LayerDeclined, may_have_arrived
from channel_layers.names import new_process_name
from channel_layers.registry import HEARTBEAT_INTERVAL, Announcement
from channel_layers.slot import Refused, Slot
from channels.layers import ChannelLayerWrapper
from channels.message import Message
from channels.pending import Pending, Write
from channels.postponed import Postponed
from channels.runner import Runner, report_refused
from channels.signals import worker_ready
from channels.turns import keeper

logger = logging.getLogger("django.channels")

MAX_TAKE: Final = 64
"""Messages a slot takes at once while consumers are fast."""
BUDGET: Final = 0.002
"""Seconds that the messages of one channel taken together may be expected to run."""
SLOW: Final = 0.005
"""Seconds after which a consumer no longer holds back what was sent, or messages its slot has not touched."""
QUIET: Final = 10
"""How often the watchdog finds nobody at work before it sleeps."""


class Worker:
    """Takes messages of the routed channels and runs their consumers, ``threads`` at a time.

    ``callback(channel, message)`` is called before each consumer. ``message_retries`` is how often a consumer may
    ask for a message again. ``only_channels`` and ``exclude_channels`` are shell globs. ``trace`` logs each call.
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
        self.stopping = threading.Event()
        self.postponed = Postponed(self._write)
        self._watchdog = Watchdog()
        self._slots = [WorkerSlot(self, self._watchdog) for _ in range(threads)]
        self._threads: list[threading.Thread] = []

    @property
    def slots_text(self) -> str:
        """How many consumers may run at the same time, for a person."""
        return f"{len(self._slots)} slot{'s'[: len(self._slots) != 1]}"

    def start(self) -> None:
        """Run in threads of its own, until :meth:`stop`."""
        self._announce()
        targets = [*(slot.run for slot in self._slots), self._heartbeat, self._watchdog.run]
        for number, target in enumerate(targets):
            thread = threading.Thread(target=target, name=f"channels-worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Take nothing more and wait up to ``timeout`` seconds for running consumers; return whether all have ended."""
        self.stopping.set()
        for slot in self._slots:
            slot.interrupt()
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads[:-1]:
            thread.join(_left(deadline))
        self._watchdog.stop()  # only now: a running consumer may wait for the answer to what it has sent
        for thread in self._threads[-1:]:
            thread.join(_left(deadline))
        self.postponed.close()
        keeper.hand_over(self.channel_layer.channel_layer)
        self._withdraw()
        return not any(thread.is_alive() for thread in self._threads)

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

    def __init__(self, worker: Worker, watchdog: Watchdog) -> None:
        self._worker = worker
        self._watchdog = watchdog
        self._layer = layer = worker.channel_layer.channel_layer
        self._pending = Pending(layer, partial(report_refused, layer))
        self._slot: Slot = worker.channel_layer.open_slot()
        self._wants = dict.fromkeys(worker.channels, 1)
        self._averages = dict.fromkeys(worker.channels, BUDGET)
        self._remaining: deque[Envelope] = deque()
        self.started = 0.0
        """When what was taken together began to run, on the clock of :func:`time.perf_counter`; 0 while it waits."""
        watchdog.slots.append(self)

    def run(self) -> None:
        """Fetch, run and settle until the worker stops. Nothing that a consumer does ends this loop."""
        runner = Runner(self._worker, self._pending)
        worker_ready.send(sender=self._worker)
        try:
            while not self._worker.stopping.is_set() or self._remaining:
                if not self._remaining:
                    self._fetch()
                self._run_all(runner)
        finally:
            self._slot.close()
            connections.close_all()

    def interrupt(self) -> None:
        """Stop waiting for messages."""
        self._slot.interrupt()

    def _fetch(self) -> None:
        try:
            self._remaining.extend(self._slot.take(self._wants, MAX_TAKE))
        except OSError as error:
            self._layer.losses.count("not taken", f"no messages could be taken: {error}")
            self._worker.stopping.wait(1.0)

    def _run_all(self, runner: Runner) -> None:
        """Run what was taken; one write answers all of it."""
        if not self._remaining:
            return
        self.started = time.perf_counter()
        self._watchdog.wake()
        counts: dict[str, int] = {}
        while (envelope := self._next()) is not None:
            counts[envelope.target] = counts.get(envelope.target, 0) + 1
            try:
                runner.run(envelope)
            except Exception:  # a fault of ours, not of a consumer; the slot goes on
                logger.exception("a message on %s could not be handled", envelope.target)
        if counts:  # else the watchdog was quicker and has put all of it back
            self._learn(counts, time.perf_counter() - self.started)
        self.started = 0.0
        self._settle()

    def _settle(self) -> None:
        """Write what was gathered and, in the same write, take what waits already."""
        taken: list[Envelope] = []

        def write(envelopes: Sequence[Envelope]) -> list[Refused]:
            refused, taken[:] = self._slot.settle_and_take(envelopes, self._wants, MAX_TAKE)
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

    def release(self) -> None:
        """The running consumer is slow: let go what it need not hold back. Called by the watchdog."""
        with self._pending.lock:
            if self.started:
                self._return_remaining()
                self._pending.flush_eligible()


class Watchdog:
    """One thread of a worker, awake while consumers run and a moment longer: waking it costs more than a consumer."""

    def __init__(self) -> None:
        self.slots: list[WorkerSlot] = []
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
        return any(slot.started for slot in self.slots)

    def _release_slow(self) -> None:
        deadline = time.perf_counter() - SLOW
        for slot in self.slots:
            if slot.started and slot.started <= deadline:
                try:
                    slot.release()
                except Exception:
                    logger.exception("the sends of a slow consumer could not leave")
