"""Layers of which a test can tell who waits for what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.inbox import MemoryInbox
from tests.channel_layers.memory.waiting import Clock, CountedWaiters, Start


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def layer(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> MemoryChannelLayer:
    """A layer with that clock."""
    monkeypatch.setattr("channel_layers.memory.layer.Waiters", CountedWaiters)
    return MemoryChannelLayer(clock=clock)


@pytest.fixture
def waiters(layer: MemoryChannelLayer) -> CountedWaiters:
    """The slots of that layer that wait."""
    assert isinstance(layer.waiters, CountedWaiters)
    return layer.waiters


@pytest.fixture
def start() -> Iterator[Start]:
    """Run a call in a thread of its own."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


@pytest.fixture
def waiting_for_room(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """An event that is set when a sender begins to wait for room in an inbox."""
    waiting = threading.Event()
    wait = MemoryInbox.wait_for_room

    def wait_for_room(inbox: MemoryInbox, timeout: float) -> None:
        waiting.set()
        wait(inbox, timeout)

    monkeypatch.setattr(MemoryInbox, "wait_for_room", wait_for_room)
    return waiting
