"""What :meth:`~channel_layers.base.BaseChannelLayer.receive` has read and not yet returned."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

Message = tuple[str, dict[str, Any]]


class Unread:
    """Messages by the queue or inbox they were read from. Thread-safe."""

    def __init__(self) -> None:
        self._messages: defaultdict[str, deque[Message]] = defaultdict(deque)
        self._lock = threading.Lock()

    def add(self, source: str, messages: Iterable[Message]) -> None:
        """Keep ``messages`` of ``source``, behind those that wait already."""
        with self._lock:
            self._messages[source].extend(messages)
            if not self._messages[source]:
                del self._messages[source]

    def pop(self, sources: Sequence[str]) -> Message | None:
        """Return the oldest message of the first of ``sources`` that has one."""
        with self._lock:
            for source in sources:
                if source in self._messages:
                    return self._pop(source)
        return None

    def clear(self) -> None:
        """Forget all messages."""
        with self._lock:
            self._messages.clear()

    def _pop(self, source: str) -> Message:
        messages = self._messages[source]
        message = messages.popleft()
        if not messages:
            del self._messages[source]
        return message
