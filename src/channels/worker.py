"""The worker: slots in threads of their own, a heartbeat, and the end in order."""

from __future__ import annotations

import fnmatch
import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from channel_layers.envelope import Envelope
from channel_layers.exceptions import LayerDeclined
from channel_layers.names import new_process_name
from channel_layers.registry import HEARTBEAT_INTERVAL, Announcement
from channel_layers.slot import Custody, Refused
from channels.coroutines import LIMIT, Coroutines
from channels.layers import ChannelLayerWrapper
from channels.message import Message
from channels.postponed import Postponed
from channels.reservation import Reservation
from channels.runner import report_refused
from channels.turns import keeper
from channels.watchdog import Watchdog
from channels.worker_slot import WorkerSlot

logger = logging.getLogger("django.channels")


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
        """Called with a sentence once this process should be replaced, since a part of it is lost; may be set."""
        self.stopping = threading.Event()
        self.postponed = Postponed(self._write)
        router = channel_layer.router
        self.retries: dict[str, int] = {channel: n for channel, n in router.retries.items() if channel in self.channels}
        traffic = {channel: router.traffic[channel] for channel in self.channels}
        self.reservation = Reservation(traffic, threads, reserve)
        self.custody: Custody = channel_layer.open_custody()
        background = self.reservation.limited(router.awaited)
        self.coroutines = Coroutines(self, concurrency, self._interrupt, background)
        self.watchdog = Watchdog(self.coroutines)
        self._slots = [WorkerSlot(self, self.watchdog, channels) for channels in self.reservation.channels]
        self._threads: list[threading.Thread] = []

    @property
    def slots_text(self) -> str:
        """How many consumers may run at the same time, for a person."""
        return f"{len(self._slots)} slot{'s'[: len(self._slots) != 1]}"

    def start(self) -> None:
        """Run in threads of its own, until :meth:`stop`."""
        self.announce()
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
    def is_damaged(self) -> bool:
        """Whether there are consumers that were given up and do not end, or slots that have ended by an error."""
        is_stuck = any(thread.is_alive() for thread in self._stuck()) or self.coroutines.has_given_up
        return is_stuck or any(slot.has_failed for slot in self._slots)

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
            try:
                self.announce()
            except Exception:  # a fault of ours, or no memory is left; who is not heard of is taken for dead
                logger.exception("no heartbeat")

    def announce(self) -> None:
        """Tell everybody that it is there."""
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
