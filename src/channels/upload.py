"""The body of a request that comes in chunks, as a file that is read while it arrives."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from channels.exceptions import RequestAborted, RequestTimeout

if TYPE_CHECKING:
    from channel_layers.reader import Reader
    from channels.channel import Layer


class Upload(io.RawIOBase):
    """Bytes of a body: its ``beginning``, then the chunks of ``channel``, fetched when they are wanted.

    The interface server sends on as chunks are fetched, so no more than a few of them wait anywhere. Reading raises
    :exc:`~channels.exceptions.RequestTimeout` if a chunk takes longer than ``timeout`` seconds, and
    :exc:`~channels.exceptions.RequestAborted` if the client has gone; ``failed`` is told first.
    """

    def __init__(
        self, beginning: bytes, layer: Layer, channel: str, timeout: float, failed: Callable[[Exception], None]
    ) -> None:
        super().__init__()
        self._chunk = memoryview(beginning)
        self._reader: Reader = layer.open_reader(channel, _is_last)
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

    def close(self) -> None:
        """Read no more."""
        if not self.closed:
            self._reader.close()
        super().close()

    def _fetch(self) -> None:
        try:
            chunk = self._next()
        except (RequestAborted, RequestTimeout) as error:
            self._failed(error)
            raise
        self._chunk = memoryview(chunk.get("content") or b"")
        self._ended = _is_last(chunk)

    def _next(self) -> dict[str, Any]:
        # The layer may come back early with nothing.
        deadline = time.monotonic() + self._timeout
        remaining = self._timeout
        while True:
            chunk = self._reader.receive(remaining)
            if chunk is not None and chunk.get("closed"):
                raise RequestAborted
            if chunk is not None:
                return chunk
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise RequestTimeout


def _is_last(chunk: dict[str, Any]) -> bool:
    return not chunk.get("more_content")


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
