"""Stand-ins for what a consumer is given: they record what is sent and play back what is received."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any


class ReplyChannel:
    """Records ``(content, immediately)``; raises the next of ``refusals`` first, while there are any."""

    def __init__(self, refusals: Iterable[Exception] = ()) -> None:
        self.name = "http.response.tests!1"
        self.refusals = list(refusals)
        self.sent: list[tuple[dict[str, Any], bool]] = []

    def send(self, content: dict[str, Any], immediately: bool = False) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append((content, immediately))


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
