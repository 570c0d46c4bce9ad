"""What a backend gives the conformance suite, and what the tests share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

import pytest

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.envelope import EVENT, GROUP, MESSAGE, Envelope
from channel_layers.inbox import Delivery, Inbox
from channel_layers.slot import Slot

T = TypeVar("T")
NewLayer = Callable[..., BaseChannelLayer]
Message = tuple[str, dict[str, Any]]

KIND = "conformance.reply"
"""A kind of reply channel whose messages no server judges."""


class Harness:
    """The hooks of a backend and the fixtures made of them.

    ``patience`` is how many seconds something that has to happen may take before its test fails.
    """

    patience: ClassVar[float] = 10.0

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        """Return a layer that holds nothing.

        ``options`` are some of those of :class:`~channel_layers.base.BaseChannelLayer`, and ``inbox_capacity``
        (entries) and ``send_timeout`` (seconds a direct send waits for room in a full inbox).
        """
        raise NotImplementedError("a subclass of LayerConformance defines make_layer(self, **options)")

    def make_peer(self, layer: BaseChannelLayer) -> BaseChannelLayer:
        """Return what another process would have: a second client of the store that ``layer`` uses.

        A layer within one process is its own peer.
        """
        return layer

    def advance(self, seconds: float) -> None:
        """Move the clock of the layers forward; tests that need it are skipped where a layer's clock cannot be set."""
        pytest.skip("the clock of this layer cannot be set")

    @pytest.fixture
    def new_layer(self) -> Iterator[NewLayer]:
        """:meth:`make_layer`, with the layers closed after the test."""
        made = []

        def new(**options: Any) -> BaseChannelLayer:
            made.append(self.make_layer(**options))
            return made[-1]

        yield new
        for layer in made:
            layer.close()

    @pytest.fixture
    def layer(self, new_layer: NewLayer) -> BaseChannelLayer:
        """A layer with its default options."""
        return new_layer()

    @pytest.fixture
    def peer(self, layer: BaseChannelLayer) -> Iterator[BaseChannelLayer]:
        """A second client of :meth:`layer`."""
        peer = self.make_peer(layer)
        yield peer
        if peer is not layer:
            peer.close()

    @pytest.fixture
    def inbox(self, layer: BaseChannelLayer) -> Inbox:
        """An inbox of :meth:`layer`."""
        return layer.inbox(KIND)

    @pytest.fixture
    def slot(self, layer: BaseChannelLayer) -> Iterator[Slot]:
        """A slot of :meth:`layer`."""
        with layer.open_slot() as slot:
            yield slot

    @pytest.fixture
    def owner(self, layer: BaseChannelLayer) -> str:
        """The reply channel of a connection that sends events."""
        return layer.inbox(KIND).new_channel()

    # -- the verbs that may return early, repeated until something came ----------------------------------------------

    def receive(self, layer: BaseChannelLayer, *channels: str) -> Message:
        """Return the next message of ``channels``."""
        return self._until(lambda: _received(layer, channels, self._wait))

    def take(self, slot: Slot, *channels: str, limit: int = 1) -> list[Envelope]:
        """Return up to ``limit`` messages of ``channels``."""
        return self._until(lambda: slot.take(dict.fromkeys(channels, limit), limit, self._wait))

    def read(self, inbox: Inbox, n: int = 1) -> list[Delivery]:
        """Return what arrives in ``inbox``, at least ``n`` entries that concern somebody."""
        deliveries: list[Delivery] = []
        while len(deliveries) < n:
            deliveries += self._until(lambda: inbox.receive(self._wait))
        return deliveries

    def read_messages(self, inbox: Inbox, n: int = 1) -> list[Message]:
        """Return ``(reply channel, content)`` of what arrives in ``inbox``, at least ``n`` of them."""
        found: list[Message] = []
        while len(found) < n:
            found += messages(self.read(inbox))
        return found

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """Run ``calls`` in a thread each and return their results; an error of theirs is raised."""
        with ThreadPoolExecutor(len(calls)) as pool:
            return [future.result(self.patience) for future in [pool.submit(call) for call in calls]]

    @property
    def _wait(self) -> float:
        """Seconds a verb waits: longer than :meth:`together` lets it, so that a wake-up that is lost shows."""
        return 2 * self.patience

    def _until(self, attempt: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + self.patience
        while not (result := attempt()):
            assert time.monotonic() < deadline, f"nothing came within {self.patience} s"
        return result


def messages(deliveries: Iterable[Delivery]) -> list[Message]:
    """Return ``(reply channel, content)`` of direct and group messages, one for each member."""
    return [
        (channel, codec.decode(envelope.content))
        for channels, envelope in deliveries
        if envelope.kind in (MESSAGE, GROUP)
        for channel in channels
    ]


def event(channel: str, owner: str, token: int = 1, **content: Any) -> Envelope:
    """Return what an interface server sends to ``channel`` for its connection ``owner``."""
    return Envelope(EVENT, channel, codec.encode(content), owner, token)


def drained(layer: BaseChannelLayer, *channels: str) -> list[Message]:
    """Return what can be received from ``channels`` without waiting."""
    found: list[Message] = []
    while message := _received(layer, channels, 0):
        found.append(message)
    return found


def _received(layer: BaseChannelLayer, channels: Iterable[str], timeout: float) -> Message | None:
    channel, content = layer.receive(list(channels), block=timeout > 0, timeout=timeout)
    return None if channel is None or content is None else (channel, content)
