"""What becomes of a message of no connection whose run has not ended well: again, later, or aside.

Its claim moves from the slot to the custody of the worker, and ends there in one step with what follows from it. So
neither the end of this process nor that of the layer loses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from channel_layers.envelope import Envelope, next_delivery
from channel_layers.exceptions import LayerUnavailable
from channel_layers.slot import Slot
from channels.pending import Pending

if TYPE_CHECKING:
    from channels.worker import Worker

PAUSE = 1.0
"""Seconds between two attempts to tell a layer that is away."""


class Claims:
    """The claims of one slot of ``worker``."""

    def __init__(self, worker: Worker, pending: Pending, slot: Slot | None = None) -> None:
        self._layer = worker.channel_layer.channel_layer
        self._slot = slot
        self._pending = pending
        self._custody = worker.custody
        self._postponed = worker.postponed
        self._retries = worker.retries
        self._stopping = worker.stopping

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

    def hand_over(self, envelopes: Sequence[Envelope]) -> bool:
        """Move claims of the slot to the custody; return whether the layer was there before the worker stops."""

        def hand_over() -> None:
            with self._pending.lock:  # the watchdog may be using the slot
                assert self._slot is not None
                self._slot.hand_over(envelopes, self._custody)

        return self._repeated(hand_over)

    def put_back(self, envelopes: Sequence[Envelope]) -> None:
        """Return messages that nobody has touched to the heads of their queues."""

        def put_back() -> None:
            with self._pending.lock:
                assert self._slot is not None
                self._slot.put_back(envelopes)

        self._repeated(put_back)

    def _handed_over(self, envelope: Envelope) -> bool:
        return self.hand_over([envelope])

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


class HeldClaims(Claims):
    """As :class:`Claims`, of a message whose claim the custody holds already.

    ``is_taken_over`` is whether something else than the end of its run ends it.
    """

    def __init__(self, worker: Worker, pending: Pending) -> None:
        super().__init__(worker, pending)
        self.is_taken_over = False

    def _handed_over(self, envelope: Envelope) -> bool:
        self.is_taken_over = True
        return True
