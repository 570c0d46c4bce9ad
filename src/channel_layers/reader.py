"""Reading one queue to its end, where nobody else reads it: the rest of a request's body, say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

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

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """Return the next message; ``None`` if there is none after ``timeout`` seconds, or earlier."""
        if not self._unread:
            self._take(timeout)
        return self._unread.popleft() if self._unread else None

    def close(self) -> None:
        """Read no more; what was not taken stays where it is."""
        self._slot.close()

    def _take(self, timeout: float) -> None:
        taken = self._slot.take(self._wants, AHEAD, timeout)
        if not taken:
            return
        contents = [content for envelope in taken for content in contents_of(envelope)]
        if any(map(self._is_last, contents)):
            self._slot.settle(dones_of(taken))
        else:
            self._slot.settle_before_take(dones_of(taken), self._wants, AHEAD, timeout)
        self._unread.extend(contents)
