"""The body of a request that comes in chunks, as a file that is read while it arrives."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from channels.exceptions import RequestAborted, RequestTimeout

if TYPE_CHECKING:
    from channel_layers.receiver import Received


class Upload(io.RawIOBase):
    """Bytes of a body: its ``beginning``, then the chunks that ``receive(timeout=…)`` returns, fetched when wanted.

    The interface server sends on as chunks are fetched, so no more than a few of them wait anywhere. Reading raises
    :exc:`~channels.exceptions.RequestTimeout` if a chunk takes longer than ``timeout`` seconds, and
    :exc:`~channels.exceptions.RequestAborted` if the client has gone; ``failed`` is told first.
    """

    def __init__(
        self, beginning: bytes, receive: Callable[..., Received], timeout: float, failed: Callable[[Exception], None]
    ) -> None:
        super().__init__()
        self._chunk = memoryview(beginning)
        self._receive = receive
        self._timeout = timeout
        self._failed = failed
        self._ended = False

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer`` as far as the present chunk goes, or the next; return the number of bytes, 0 at the end."""
        while not self._chunk and not self._ended:
            self._fetch()
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._chunk))
        target[:size] = self._chunk[:size]
        self._chunk = self._chunk[size:]
        return size

    def _fetch(self) -> None:
        try:
            chunk = self._next()
        except (RequestAborted, RequestTimeout) as error:
            self._failed(error)
            raise
        self._chunk = memoryview(chunk.get("content") or b"")
        self._ended = not chunk.get("more_content")

    def _next(self) -> dict[str, Any]:
        # The layer may come back early with nothing.
        deadline = time.monotonic() + self._timeout
        remaining = self._timeout
        while True:
            _, chunk = self._receive(timeout=remaining)
            if chunk is not None and chunk.get("closed"):
                raise RequestAborted
            if chunk is not None:
                return chunk
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise RequestTimeout


class FailedUpload(io.RawIOBase):
    """A body that could not be read: every further try raises ``error``, closed or not."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def readable(self) -> bool:
        """Return that reading can be tried."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Raise the error."""
        raise self._error

    def close(self) -> None:
        """Do nothing: Django closes what it has read, and asks again."""
