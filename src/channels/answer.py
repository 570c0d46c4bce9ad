"""One response on its way to its channel: what comes quickly leaves together, and what comes slowly leaves at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from channel_layers.body import PIECE_SIZE
from channels.pending import running

if TYPE_CHECKING:
    from channels.channel import Body, Channel

Reply = dict[str, Any]

BEGINNING: Final = PIECE_SIZE
"""Bytes of a body that are messages like any other, at most. To go round an inbox is worth it for more than a piece."""
QUICK: Final = 0.005
"""Seconds in which a part has to follow the one before it to be held: one that takes longer leaves at once."""


def send_all(replies: Iterator[Reply], channel: Channel, timeout: float) -> None:
    """Send the messages of one response to ``channel``, in the consumer that answers; see :class:`Answer`."""
    first = next(replies, None)
    if first is None:
        return
    if not first["more_content"] and len(first["content"]) <= _room_of(channel):
        channel.send(first)  # all of it: there is nothing to hold
        for reply in replies:  # none, but whoever makes them may have something left to do
            channel.send(reply)
        return
    with Answer(channel, timeout) as answer:
        answer.send(first)
        for reply in replies:
            answer.send(reply)


def _room_of(channel: Channel) -> int:
    """Return how many bytes of a body to ``channel`` are messages like any other."""
    return min(BEGINNING, channel.max_message_size // 2)


class Answer:
    """The messages of one response to ``channel``: a context, in the consumer that sends them.

    Parts are held until a piece is full, the response ends, the consumer sends something else, or the watchdog of its
    worker comes by. Where no watchdog does, each part leaves at once. ``timeout`` is how many seconds a piece may wait
    for room.
    """

    def __init__(self, channel: Channel, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout
        self._pending = running()
        self._is_watched = self._pending is not None and self._pending.is_watched
        self._context = copy_context()  # for the watchdog, so that its writes are the consumer's
        self._lock = RLock()
        self._is_writing = False
        self._error: Exception | None = None
        self._head: Reply = {}
        self._held: list[bytes] = []
        self._size = 0
        self._room = _room_of(channel)
        self._body: Body | None = None
        self._asked: float | None = None

    def __enter__(self) -> Self:
        if self._pending is not None:
            self._pending.stream = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self.flush()
            else:
                self._leave()
        finally:
            if self._pending is not None:
                self._pending.stream = None

    def send(self, reply: Reply) -> None:
        """Send the next message, or hold it for a moment.

        Raises :exc:`~channel_layers.exceptions.ReaderGone`, :exc:`TimeoutError` where a piece found no room in time,
        and what an immediate send raises; also if that has become of what was held before.
        """
        leaves = not self._is_watched or (self._asked is not None and time.perf_counter() - self._asked > QUICK)
        with self._lock:
            self._raise_error()
            self._hold(reply)
            if not reply["more_content"]:
                self._write(more_content=False, immediately=False)
            elif leaves or self._size >= self._room + PIECE_SIZE:
                self._write(everything=leaves)
        self._asked = time.perf_counter()

    def flush(self) -> None:
        """Let go what is held, before anything else; what fails is raised by the next :meth:`send`."""
        with self._lock:
            if self._held and not self._is_writing:
                self._try_to_write()

    def release(self) -> None:
        """Let go what is held, unless that has to wait for the consumer or for room. Called by the watchdog."""
        if self._lock.acquire(blocking=False):
            try:
                if self._held and self._has_room():
                    self._context.run(self._try_to_write)
            finally:
                self._lock.release()

    def _hold(self, reply: Reply) -> None:
        if "status" in reply:
            self._head = reply
        self._held.append(reply["content"])
        self._size += len(reply["content"])

    def _leave(self) -> None:
        """Let what is held of a response that others go on with leave with the consumer's other sends."""
        with self._lock:
            self._raise_error()
            if self._held:
                self._write(immediately=False)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _has_room(self) -> bool:
        """Return whether what is held can be written without waiting."""
        try:
            if self._body is not None:
                self._body.wait_for_room(self._size, 0)
        except TimeoutError:
            return False
        except OSError as error:  # raised in the consumer by its next send
            self._held.clear()
            self._error = error
            return False
        return True

    def _try_to_write(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001 - raised in the consumer by its next send
            self._error = error

    def _write(self, *, everything: bool = True, more_content: bool = True, immediately: bool = True) -> None:
        """Write what is held, or as much of it as fills pieces."""
        with self._writing():
            data = self._taken(everything)
            beginning = None
            if self._body is None:
                beginning, data = self._begun(data, more_content)
            if data or (self._body is not None and not more_content):
                self._write_pieces(data, more_content, beginning)
            elif beginning is not None:
                self._channel.send(beginning, immediately=immediately)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Keep what is sent on the way from beginning to write as well; what fails is not tried again."""
        self._is_writing = True
        try:
            yield
        except BaseException:
            self._held.clear()
            raise
        finally:
            self._is_writing = False

    def _taken(self, everything: bool) -> bytes:
        data = b"".join(self._held)
        kept = 0 if everything else (len(data) - self._room) % PIECE_SIZE
        self._held[:] = [data[-kept:]] if kept else []
        self._size = kept
        return data[:-kept] if kept else data

    def _begun(self, data: bytes, more_content: bool) -> tuple[Reply | None, bytes]:
        """Return the message that goes before the pieces, if there is one, and what is left for these."""
        content, rest = data[: self._room], data[self._room :]
        if not (content or self._head or not (rest or more_content)):
            return None, rest
        reply = {**self._head, "content": content, "more_content": more_content or bool(rest)}
        self._head, self._room = {}, self._room - len(content)
        return reply, rest

    def _write_pieces(self, data: bytes, more_content: bool, beginning: Reply | None) -> None:
        if self._body is None:
            self._body = self._channel.open_body()
        for start in range(0, len(data) or 1, PIECE_SIZE):
            piece, end = data[start : start + PIECE_SIZE], start + PIECE_SIZE
            self._body.wait_for_room(len(piece), self._timeout)
            self._body.write(piece, more_content or end < len(data), beginning)
            beginning = None
