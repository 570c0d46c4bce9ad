from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance import LayerConformance
from channel_layers.conformance.twins import TwinConformance
from channel_layers.envelope import GROUP, JOIN, LEAVE, MESSAGE
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.slot import MemorySlot
from channel_layers.slot import Slot


class ThreadedSlot(MemorySlot):
    """A slot that leaves its twins to the base class."""

    atake = Slot.atake
    asettle = Slot.asettle


class ThreadedChannelLayer(MemoryChannelLayer):
    """A layer that leaves its twins to the base class."""

    awrite = BaseChannelLayer.awrite
    aannounce = BaseChannelLayer.aannounce
    awithdraw = BaseChannelLayer.awithdraw
    aprocesses = BaseChannelLayer.aprocesses
    afind_lost = BaseChannelLayer.afind_lost
    aretract = BaseChannelLayer.aretract

    def open_slot(self, retries: Mapping[str, int] | None = None) -> ThreadedSlot:
        slot = ThreadedSlot(self, retries or {})
        with self.lock:
            self.slots.add(slot)
        return slot


class TestTwinsByThreads(TwinConformance):
    """A backend that has only the verbs has their twins by threads."""

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        return ThreadedChannelLayer(**options)

    # Not asked of it: a coroutine that waits occupies a thread.
    test_many_coroutines_wait_at_once = None  # type: ignore[assignment]  # pytest collects no None


@pytest.fixture
def layer() -> MemoryChannelLayer:
    """A layer that holds nothing."""
    return MemoryChannelLayer()


@pytest.mark.parametrize("expiry", [0, -1.5])
def test_expiry_is_positive(expiry: float) -> None:
    """A message that expires at once could never be received."""
    with pytest.raises(ValueError, match=f"expiry is a positive number of seconds, not {expiry!r}"):
        MemoryChannelLayer(expiry=expiry)


def test_group_expiry_means_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The option of 1.x is accepted, with a note; the attribute is what 1.x had by default."""
    caplog.set_level(logging.INFO)
    layer = MemoryChannelLayer(group_expiry=10)
    assert caplog.messages == ["group_expiry=10 has no effect: members leave with their connection"]
    assert layer.group_expiry == MemoryChannelLayer().group_expiry == 86400
    assert len(caplog.messages) == 1


def test_layers_have_process_names_of_their_own(layer: MemoryChannelLayer) -> None:
    """Two layers in one process are two servers."""
    assert layer.process != MemoryChannelLayer().process


def test_a_layer_has_the_settings_of_no_server(layer: MemoryChannelLayer) -> None:
    """Those of a project are on the layer that ``get_channel_layer()`` returns, and on no other."""
    assert layer.server_options == {}


def test_envelopes_say_who_sends_what_to_whom(layer: MemoryChannelLayer) -> None:
    """The constructors of entries check their arguments and leave the rest to write."""
    reply = "test.p1!k1"
    message = layer.message("chat", {"n": 1}, route="app.consumer")
    assert (message.kind, message.target, message.route) == (MESSAGE, "chat", "app.consumer")
    group = layer.group_message("g", {"n": 1}, [reply], "app.consumer")
    assert (group.kind, group.target, group.without, group.route) == (GROUP, "g", (reply,), "app.consumer")
    assert group.content == message.content
    join, leave = layer.joining("g", reply), layer.leaving("g", reply)
    assert (join.kind, join.target, join.owner) == (JOIN, "g", reply)
    assert (leave.kind, leave.target, leave.owner) == (LEAVE, "g", reply)


def test_the_content_is_judged_before_the_reply(layer: MemoryChannelLayer) -> None:
    """What is no dict at all is not searched for keys."""
    with pytest.raises(layer.InvalidContent, match="a message is a dict, not str"):
        layer.message("websocket.send.p1!k1", "hello")  # type: ignore[arg-type]  # the mistake that is meant


def test_an_inbox_is_opened_at_its_first_use(layer: MemoryChannelLayer) -> None:
    """Then it is the same one, until it is closed."""
    inbox = layer.inbox("test")
    assert layer.inbox("test") is inbox
    assert layer.find_inbox(inbox.name) is inbox
    assert layer.find_inbox("test.p1!") is None
    other = layer.inbox("other")
    inbox.close()
    inbox.close()
    assert layer.find_inbox(inbox.name) is None
    assert layer.inbox("test") is not inbox
    assert layer.inbox("other") is other


def test_a_layer_closes_without_connections(layer: MemoryChannelLayer) -> None:
    """The base class holds none."""
    layer.close()
    asyncio.run(layer.aclose())
    assert layer.receive(["a"]) == (None, None)


def test_the_suite_has_to_be_told_what_to_test() -> None:
    """Without make_layer it says what is missing; without a clock it skips what needs one."""
    with pytest.raises(NotImplementedError, match="defines make_layer"):
        LayerConformance().make_layer()
    with pytest.raises(pytest.skip.Exception, match="clock of this layer cannot be set"):
        LayerConformance().advance(1.0)
