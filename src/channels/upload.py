"""The body of a request that comes in chunks, as a file that is read while it arrives."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from channel_layers.exceptions import LayerUnavailable
from channels.exceptions import RequestAborted, RequestIncomplete, RequestTimeout

if TYPE_CHECKING:
    from channel_layers.reader import Reader
    from channels.channel import Layer

PAUSE: Final = 0.1
"""Seconds before a layer that fails is asked again."""


class Upload(io.RawIOBase):
    """Bytes of a body: its ``beginning``, then the chunks of ``channel``, fetched when they are wanted.

    The interface server sends on as chunks are fetched, so no more than a few of them wait anywhere. Reading raises
    :exc:`~channels.exceptions.RequestTimeout` if a chunk takes longer than ``timeout`` seconds,
    :exc:`~channels.exceptions.RequestAborted` if the client has gone, and
    :exc:`~channels.exceptions.RequestIncomplete` if a chunk is not the next one, or if the layer fails for that long;
    ``failed`` is told first, and nothing can be read behind it.
    """

    _reader: Reader | None = None

    def __init__(
        self, beginning: bytes, layer: Layer, channel: str, timeout: float, failed: Callable[[Exception], None]
    ) -> None:
        super().__init__()
        close_abandoned()
        self._chunk = memoryview(beginning)
        self._offset = len(beginning)  # of the next chunk in the body
        self._reader = layer.open_reader(channel, _is_last)
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

    def leave(self) -> None:
        """Fetch no more chunks."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def close(self) -> None:
        """Read no more. Python calls this as well, in any thread and under any lock: so the layer is not asked here."""
        if self._reader is not None:
            _abandoned.put(self._reader)
            self._reader = None
        super().close()

    def _fetch(self) -> None:
        try:
            chunk = self._next()
        except (RequestAborted, RequestIncomplete, RequestTimeout) as error:
            self.leave()
            self._failed(error)
            raise
        self._chunk = memoryview(chunk.get("content") or b"")
        self._offset += len(self._chunk)
        self._ended = _is_last(chunk)
        if self._ended:
            self.leave()

    def _next(self) -> dict[str, Any]:
        """Return the next chunk. A layer that has failed may have lost the one before it, or an earlier run read it."""
        chunk = self._received()
        if chunk.get("closed"):
            raise RequestAborted
        offset = chunk.get("offset", self._offset)  # not every server tells it
        if offset != self._offset:
            raise RequestIncomplete(
                f"the body goes on at byte {offset} and was read up to {self._offset}: the layer has lost what is "
                "between, or an earlier run of the consumer has read it; the client has to send the request again"
            )
        return chunk

    def _received(self) -> dict[str, Any]:
        # The layer may come back early with nothing.
        deadline = time.monotonic() + self._timeout
        remaining = self._timeout
        while True:
            chunk, fault = self._asked(remaining)
            if chunk is not None:
                return chunk
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise RequestTimeout if fault is None else self._broken(fault) from fault

    def _asked(self, timeout: float) -> tuple[dict[str, Any] | None, Exception | None]:
        """Return a chunk if there is one, and what ails the layer, which may be back in time."""
        if self._reader is None:
            text = f"the request was closed when {self._offset} bytes of its body had been read: read it before that"
            raise RequestIncomplete(text)
        try:
            return self._reader.receive(timeout), None
        except LayerUnavailable as error:
            time.sleep(PAUSE)
            return None, error
        except Exception as error:
            raise self._broken(error) from error

    def _broken(self, fault: Exception) -> RequestIncomplete:
        """Return what tells of ``fault``. It is no OSError: what is read is lost with it, and Django forgives those."""
        at = f"the layer failed behind byte {self._offset} of the body"
        return RequestIncomplete(f"{at}, and the client has to send the request again: {fault}")


_abandoned: SimpleQueue[Reader] = SimpleQueue()  # its put() may be called by a finalizer
"""Readers of bodies that nobody has closed."""


def close_abandoned() -> None:
    """Close the readers of bodies that were forgotten."""
    while True:
        try:
            reader = _abandoned.get_nowait()
        except Empty:
            return
        reader.close()


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
