"""Workers for tests: one message at a time in this thread, or threads of their own, and what is at the other end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any, ClassVar

import pytest
from django.core.signals import got_request_exception

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.envelope import DONE, EVENT, MESSAGE, Envelope
from channel_layers.memory import MemoryChannelLayer
from channel_layers.messages import WEBSOCKET_KIND
from channels.layers import ChannelLayerWrapper, channel_layers
from channels.pending import Pending
from channels.routing import Route
from channels.runner import Runner, report_refused
from channels.worker import Worker

PATIENCE = 10.0
"""Seconds that something that has to happen may take before its test fails."""


def layer_of(
    *routes: Route, alias: str = "default", layer: BaseChannelLayer | None = None, **options: Any
) -> ChannelLayerWrapper:
    """Return a layer of its own with ``routes``."""
    return ChannelLayerWrapper(layer or MemoryChannelLayer(**options), alias, list(routes))


class Crossing(MemoryChannelLayer):
    """Says that it reaches other processes, so that commands accept it."""

    crosses_processes: ClassVar[bool] = True


@contextmanager
def default_layer(layer: ChannelLayerWrapper) -> Iterator[ChannelLayerWrapper]:
    """Make ``layer`` the default of this process."""
    previous = channel_layers.set("default", layer)
    try:
        yield layer
    finally:
        channel_layers.set("default", previous)


def message(channel: str, attempt: int = 0, **content: Any) -> Envelope:
    """Return a message without a lane."""
    return Envelope(MESSAGE, channel, codec.encode(content), attempt=attempt)


class Socket:
    """The interface server's end of one connection."""

    def __init__(self, layer: ChannelLayerWrapper) -> None:
        self.layer = layer
        self.inbox = layer.channel_layer.open_inbox(WEBSOCKET_KIND)
        self.name = self.inbox.new_channel()
        self.token = 0

    def event(self, *contents: dict[str, Any], channel: str = "websocket.receive", **fields: Any) -> Envelope:
        """Return the next event of the lane; several contents make a batch."""
        self.token += 1
        encoded = [codec.encode({"reply_channel": self.name, **content}) for content in contents or ({},)]
        data = encoded[0] if len(encoded) == 1 else codec.join(encoded)
        return Envelope(EVENT, channel, data, self.name, self.token, **fields)

    def received(self) -> list[Envelope]:
        """Return what has arrived since the last call."""
        return [delivery.envelope for delivery in self.inbox.receive(timeout=0)]

    def wait_for(self, count: int) -> list[Envelope]:
        """Wait until ``count`` entries have arrived and return them."""
        found: list[Envelope] = []
        while len(found) < count:
            arrived = self.inbox.receive(PATIENCE)
            assert arrived, f"{count} entries were expected, {len(found)} came"
            found += [delivery.envelope for delivery in arrived]
        return found


def texts(envelopes: list[Envelope]) -> list[str]:
    """Return the ``text`` of those entries that have content of a user."""
    return [codec.decode(e.content)["text"] for e in envelopes if e.content and e.kind != DONE]


class Bench:
    """One slot without a thread: runs what it is given, here and now, and writes the answers."""

    def __init__(self, layer: ChannelLayerWrapper, **options: Any) -> None:
        self.layer = layer
        self.pending = Pending(layer.channel_layer, partial(report_refused, layer.channel_layer))
        self._context = copy_context()
        self._runner = self._context.run(Runner, Worker(layer, **options), self.pending)

    def run(self, *envelopes: Envelope) -> None:
        """Run ``envelopes`` in order and settle them together."""
        with assertions():
            for envelope in envelopes:
                self._context.run(self._runner.run, envelope)
        self.pending.settle(self.layer.channel_layer.write)


@contextmanager
def assertions() -> Iterator[None]:
    """Raise what a consumer found wrong, which a worker only logs."""
    found: list[BaseException] = []

    def note(**kwargs: object) -> None:
        error = sys.exception()
        if isinstance(error, (AssertionError, pytest.fail.Exception)):
            found.append(error)

    got_request_exception.connect(note)
    try:
        yield
    finally:
        got_request_exception.disconnect(note)
    if found:
        raise found[0]


def consume(consumer: Callable[..., object], layer: ChannelLayerWrapper, **content: Any) -> None:
    """Run ``consumer`` once on ``layer``, with a message on ``work``."""
    Bench(ChannelLayerWrapper(layer.channel_layer, layer.alias, [Route("work", consumer)])).run(
        message("work", **content)
    )


@contextmanager
def working(layer: ChannelLayerWrapper, **options: Any) -> Iterator[Worker]:
    """Run a worker until the block ends, then see that it leaves no thread."""
    before = set(threading.enumerate())
    worker = Worker(layer, **options)
    worker.start()
    with assertions():
        try:
            yield worker
        finally:
            worker.stop(PATIENCE)
    left = [t.name for t in set(threading.enumerate()) - before if t.name.startswith("channels-worker")]
    assert left == []


def taken(layer: ChannelLayerWrapper, channel: str) -> list[dict[str, Any]]:
    """Take everything that waits in ``channel``."""
    with layer.channel_layer.open_slot() as slot:
        envelopes = slot.take({channel: 1000}, 1000, timeout=0)
        slot.settle([])
    return [codec.decode(envelope.content) for envelope in envelopes]


def in_thread(function: Callable[[], None]) -> None:
    """Run ``function`` in a new thread, with thread-locals of its own; raise what it raises."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the thread has not ended"
    if errors:
        raise errors[0]
