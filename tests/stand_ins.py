"""Stand-ins for what a consumer is given: they record what is sent and play back what is received."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any


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
    """Hands out ``contents`` in order, then nothing; ``None`` stands for coming back early. Records its calls."""

    def __init__(self, contents: Iterable[dict[str, Any] | None] = ()) -> None:
        self.contents = list(contents)
        self.calls: list[tuple[list[str], bool, float | None]] = []

    def receive(self, channels: Sequence[str], block: bool = False, timeout: float | None = None) -> Any:
        self.calls.append((list(channels), block, timeout))
        content = self.contents.pop(0) if self.contents else None
        return (None, None) if content is None else (channels[0], content)


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
