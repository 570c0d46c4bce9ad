"""Reading one queue to its end, where nobody else reads it: the rest of a request's body, say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from channel_layers.envelope import Envelope
from channel_layers.exceptions import LayerUnavailable
from channel_layers.receiver import contents_of, dones_of

if TYPE_CHECKING:
    from channel_layers.base import BaseChannelLayer

AHEAD: Final = 2
"""Messages that are taken at once, at most: more are fewer questions to the layer, and a longer turn for each of those
who share a processor."""


class Reader:
    """Reads the queue ``channel``, one message a call; used by one thread at a time, and closed in the end.

    It has a slot for as long, and asks for what comes next in the write that settles the last messages, unless one of
    these is the end by ``is_last``.
    """

    def __init__(self, layer: BaseChannelLayer, channel: str, is_last: Callable[[dict[str, Any]], bool]) -> None:
        self._slot = layer.open_slot()
        self._wants = {channel: AHEAD}
        self._is_last = is_last
        self._unread: deque[dict[str, Any]] = deque()
        self._dones: list[Envelope] = []  # that were not written
        self._has_asked = False

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """Return the next message; ``None`` if there is none after ``timeout`` seconds, or earlier.

        Whatever it raises, the next call goes on behind the last message that was returned.
        """
        if not self._unread:
            self._take(timeout)
        return self._unread.popleft() if self._unread else None

    def close(self) -> None:
        """Read no more. What was asked for is dropped: put back, it would wait where nobody reads."""
        try:
            with suppress(LayerUnavailable):  # closing the slot says what becomes of its claims
                taken = self._slot.take(self._wants, AHEAD, 0) if self._has_asked else []
                self._has_asked = False
                self._slot.settle(self._dones + dones_of(taken))
        finally:
            self._slot.close()

    def _take(self, timeout: float) -> None:
        self._has_asked = True
        taken = self._slot.take(self._wants, AHEAD, timeout)
        self._has_asked = False
        if not taken:
            return
        contents = [content for envelope in taken for content in contents_of(envelope)]
        self._unread.extend(contents)
        self._dones += dones_of(taken)
        if any(map(self._is_last, contents)):
            self._slot.settle(self._dones)
        else:
            self._slot.settle_before_take(self._dones, self._wants, AHEAD, timeout=timeout)
            self._has_asked = True
        self._dones.clear()
