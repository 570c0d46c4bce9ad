"""What a worker process owes to turns: it renews those it has, and looks after the messages it has had held.

A message is held by the layer until those before it were handled. If one of them never comes, somebody has to notice.
That is the process that had the message held, for as long as it is held.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from channel_layers.turns import FREE, LEASE, RENEW, SKIP, Step
from channels.timers import Timers, forked

if TYPE_CHECKING:
    from channel_layers.base import BaseChannelLayer

RENEWAL: Final = LEASE / 3
"""Seconds between two renewals of a turn."""


class Held:
    """Messages of one connection that this process has had held; ``is_new`` if there are some since the last look."""

    def __init__(self, step: Step) -> None:
        self.step = step._replace(action=SKIP)
        self.is_new = True


class TurnKeeper:
    """The turns of this process. Thread-safe. Steps are given without their message."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget everything: it is that of the process from which this one was forked."""
        self._timers = Timers("channels-turns")
        self._lock = threading.Lock()
        self._running: set[tuple[BaseChannelLayer, Step]] = set()
        self._is_renewing = False
        self._held: dict[tuple[BaseChannelLayer, str], Held] = {}

    def begin(self, layer: BaseChannelLayer, step: Step) -> None:
        """A message is being handled: its turn is renewed until :meth:`end`."""
        with self._lock:
            self._running.add((layer, step))
            is_renewing, self._is_renewing = self._is_renewing, True
        if not is_renewing:
            self._timers.after(RENEWAL, self._renew)

    def end(self, layer: BaseChannelLayer, step: Step) -> None:
        """It was handled."""
        with self._lock:
            self._running.discard((layer, step))

    def look_after(self, layer: BaseChannelLayer, step: Step, seconds: float) -> None:
        """A message was held; look in so many seconds whether what it waits for has come."""
        with self._lock:
            held = self._held.get((layer, step.channel))
            if held is not None:
                held.is_new = True
                return
            held = self._held[layer, step.channel] = Held(step)
        self._timers.after(seconds, partial(self._look, layer, held))

    def hand_over(self, layer: BaseChannelLayer) -> None:
        """Look after nothing of ``layer`` any more: what this process has had held goes to the queues again."""
        with self._lock:
            channels = [channel for each, channel in self._held if each is layer]
            for channel in channels:
                del self._held[layer, channel]
        for channel in channels:
            with suppress(OSError):  # then the next message of that connection finds out
                layer.turn(Step(FREE, channel))

    def _look(self, layer: BaseChannelLayer, held: Held) -> float | None:
        key = layer, held.step.channel
        with self._lock:
            if self._held.get(key) is not held:
                return None  # it was handed over
            held.is_new = False
        wait = skip(layer, held.step)
        with self._lock:
            if wait is not None or held.is_new:
                return wait or held.step.patience
            self._held.pop(key, None)
        return None

    def _renew(self) -> float | None:
        with self._lock:
            running = list(self._running)
            self._is_renewing = bool(running)
        for layer, step in running:
            with suppress(OSError):  # the layer is away and has said so
                layer.turn(step._replace(action=RENEW))
        return RENEWAL if running else None


def skip(layer: BaseChannelLayer, step: Step) -> float | None:
    """Skip what is overdue; return in how many seconds to look again, ``None`` if nothing is held any more."""
    try:
        outcome = layer.turn(step)
    except OSError:  # the layer is away and has said so
        return step.patience
    count_skipped(layer, step, outcome.skipped)
    return outcome.wait


def count_skipped(layer: BaseChannelLayer, step: Step, n: int) -> None:
    """Count messages that were given up for lost."""
    if n:
        detail = (
            f"{n} messages of {step.channel!r} have not come within {step.patience:g} s (CHANNELS['ORDER_TIMEOUT']): "
            "those after them are handled without"
        )
        layer.losses.count("order gap", detail, n)


keeper = TurnKeeper()
forked(keeper.begin_anew)
