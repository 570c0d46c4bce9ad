"""Stand-ins for what a consumer is given: they record what is sent and play back what is received."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Self


class ReplyChannel:
    """Records ``(content, immediately)``, and what goes round the inbox as ``pieces``: ``(data, more_content)``.

    Raises ``error`` in place of the piece after ``room`` others.
    """

    def __init__(self, room: int = 1000, error: Exception | None = None) -> None:
        self.name = "http.response.tests!1"
        self.sent: list[tuple[dict[str, Any], bool]] = []
        self.pieces: list[tuple[bytes, bool]] = []
        self.timeouts: set[float] = set()
        self.max_message_size = 2 * 1024 * 1024
        self._room = room
        self._error = error

    def send(self, content: dict[str, Any], immediately: bool = False) -> None:
        self.sent.append((content, immediately))

    def open_body(self) -> ReplyChannel:
        return self

    def wait_for_room(self, size: int, timeout: float) -> None:
        self.timeouts.add(timeout)

    def write(self, data: bytes, more_content: bool, beginning: dict[str, Any] | None = None) -> None:
        if beginning is not None:
            self.sent.append((beginning, True))
        if self._error is not None and len(self.pieces) == self._room:
            raise self._error
        self.pieces.append((data, more_content))


class Layer:
    """Its reader hands out ``contents`` in order, then nothing; ``None`` is coming back early, and errors are raised.

    ``channels`` are those that a reader was opened for, ``timeouts`` those of its calls.
    """

    def __init__(self, contents: Iterable[dict[str, Any] | Exception | None] = ()) -> None:
        self.contents = list(contents)
        self.channels: list[str] = []
        self.timeouts: list[float] = []
        self.is_open = False

    def open_reader(self, channel: str, is_last: Callable[[dict[str, Any]], bool]) -> Self:
        self.channels.append(channel)
        self.is_open = True
        return self

    def receive(self, timeout: float) -> dict[str, Any] | None:
        assert self.is_open
        self.timeouts.append(timeout)
        content = self.contents.pop(0) if self.contents else None
        if isinstance(content, Exception):
            raise content
        return content

    def close(self) -> None:
        self.is_open = False


def message(
    channel: str = "http.request",
    content: dict[str, Any] | None = None,
    reply_channel: ReplyChannel | None = None,
    channel_layer: Layer | None = None,
) -> Any:
    """Return a stand-in for :class:`channels.message.Message`."""
    return SimpleNamespace(
        content={} if content is None else content,
        channel=SimpleNamespace(name=channel),
        channel_name=channel,
        reply_channel=reply_channel,
        channel_layer=channel_layer,
    )
