"""What becomes of a message of no connection whose run has not ended well: again, later, or aside.

Its claim moves from the slot to the custody of the worker, and ends there in one step with what follows from it. So
neither the end of this process nor that of the layer loses it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial

from channel_layers.base import BaseChannelLayer
from channel_layers.envelope import Envelope, next_delivery
from channel_layers.exceptions import LayerUnavailable
from channel_layers.slot import Custody, Slot
from channels.pending import Pending
from channels.postponed import Postponed

PAUSE = 1.0
"""Seconds between two attempts to tell a layer that is away."""


class Claims:
    """The claims of one slot. ``retries`` says of which channels messages are delivered again, and how often."""

    def __init__(
        self,
        layer: BaseChannelLayer,
        slot: Slot,
        pending: Pending,
        *,
        custody: Custody,
        postponed: Postponed,
        retries: Mapping[str, int],
        stopping: threading.Event,
    ) -> None:
        self._layer = layer
        self._slot = slot
        self._pending = pending
        self._custody = custody
        self._postponed = postponed
        self._retries = retries
        self._stopping = stopping

    def is_kept(self, envelope: Envelope) -> bool:
        """Return whether a run of ``envelope`` that fails is not the last."""
        return not envelope.owner and envelope.target in self._retries

    def failed(self, envelope: Envelope, reason: str) -> None:
        """Deliver ``envelope`` again after a moment, or set it aside if that was the last time."""
        if envelope.redelivered < self._retries[envelope.target]:
            self.again(envelope, next_delivery(envelope))
        else:
            self.set_aside(envelope, f"{reason}; it was delivered {envelope.redelivered + 1} times")

    def again(self, envelope: Envelope, replacement: Envelope) -> None:
        """Put ``replacement`` behind its queue after a moment; until then the claim of ``envelope`` stays."""
        if self._handed_over(envelope):
            self._postponed.add(replacement, partial(self._send_back, envelope))

    def set_aside(self, envelope: Envelope, reason: str) -> None:
        """Set ``envelope`` aside, count it, and say so."""
        if self._handed_over(envelope) and self._repeated(partial(self._custody.bury, envelope, reason)):
            text = f"a message on {envelope.target!r} was set aside (manage.py channels dead): {reason}"
            self._layer.losses.count("set aside", text)

    def _send_back(self, envelope: Envelope, replacement: Envelope) -> None:
        self._repeated(partial(self._custody.send_back, envelope, replacement))

    def _handed_over(self, envelope: Envelope) -> bool:
        def hand_over() -> None:
            with self._pending.lock:  # the watchdog may be using the slot
                self._slot.hand_over([envelope], self._custody)

        return self._repeated(hand_over)

    def _repeated(self, step: Callable[[], object]) -> bool:
        """Take a step until the layer has heard of it; return whether it has before the worker stops."""
        while True:
            try:
                step()
            except LayerUnavailable as error:
                self._layer.losses.count("not given back", f"a message could not be given back yet: {error}")
                if self._stopping.wait(PAUSE):
                    return False
            else:
                return True
