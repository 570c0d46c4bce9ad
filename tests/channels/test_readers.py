import logging
from typing import ClassVar

import pytest
from django.test import override_settings

from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.registry import Announcement
from channels.channel import Channel, Group
from channels.layers import ChannelLayerWrapper
from channels.readers import warn_if_unread
from tests.channels.workers import layer_of


class CrossingLayer(MemoryChannelLayer):
    crosses_processes: ClassVar[bool] = True


@pytest.fixture
def layer() -> ChannelLayerWrapper:
    """A layer within this process."""
    return layer_of()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings so far."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_send_without_any_process_is_warned_of_once(
    layer: ChannelLayerWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody else can ever read it; the line says which layer it is and what to do."""
    Channel("jobs", channel_layer=layer).send({})
    Channel("jobs", channel_layer=layer).send({})
    Channel("other.jobs", channel_layer=layer).send({})
    Group("all", channel_layer=layer).send({})
    (line,) = lines(caplog)
    assert line.startswith(f"nothing in this process reads the layer {layer}, and no other process can")
    assert "use a layer that crosses processes" in line


def test_misspelt_channel_is_warned_of(layer: ChannelLayerWrapper, caplog: pytest.LogCaptureFixture) -> None:
    """A worker runs, but reads another name: the nearest is suggested, once for each channel."""
    layer.channel_layer.announce(Announcement("worker", ("chat-messages", "websocket.connect")))
    for name in ("chat-mesages", "chat-mesages", "qqqq"):
        Channel(name, channel_layer=layer).send({})
    assert lines(caplog) == [
        "no consumer is routed for 'chat-mesages'. Did you mean 'chat-messages'?",
        "no consumer is routed for 'qqqq'.",
    ]


def test_channel_with_one_reader_is_not_warned_of(layer: ChannelLayerWrapper, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever made its name reads it; no route ever does."""
    layer.channel_layer.announce(Announcement("worker", ("jobs",)))
    Channel(layer.channel_layer.new_channel("answers?"), channel_layer=layer).send({})
    assert lines(caplog) == []


def test_channel_that_is_read_is_not_warned_of(layer: ChannelLayerWrapper, caplog: pytest.LogCaptureFixture) -> None:
    """A worker reads it; groups have their readers as soon as a process runs."""
    layer.channel_layer.announce(Announcement("worker", ("jobs",)))
    Channel("jobs", channel_layer=layer).send({})
    Group("all", channel_layer=layer).send({"text": "x"})
    assert lines(caplog) == []


def test_group_without_any_process_is_warned_of(layer: ChannelLayerWrapper, caplog: pytest.LogCaptureFixture) -> None:
    """No process, no members."""
    Group("all", channel_layer=layer).send({"text": "x"})
    assert len(lines(caplog)) == 1


def test_each_layer_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """What was said of one layer does not silence the next."""
    for _ in range(3):
        warn_if_unread("jobs", layer_of())
    assert len(lines(caplog)) == 3


def test_layer_across_processes_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A worker may start tomorrow."""
    Channel("jobs", channel_layer=layer_of(layer=CrossingLayer())).send({})
    assert lines(caplog) == []


class Embedded(CrossingLayer):
    """Stands for the embedded layer, and counts how often it is asked who is there."""

    per_project: ClassVar[bool] = True
    asked = 0
    is_away = False

    def processes(self) -> list[Announcement]:
        self.asked += 1
        if self.is_away:
            raise LayerUnavailable("it is away")
        return super().processes()


@override_settings(DEBUG=True)
def test_misspelt_channel_is_warned_of_on_the_embedded_layer(caplog: pytest.LogCaptureFixture) -> None:
    """In DEBUG, if workers are there; each channel is looked at once."""
    embedded = Embedded()
    layer = layer_of(layer=embedded)
    embedded.announce(Announcement("worker", ("chat-messages",)))
    for name in ("chat-mesages", "chat-mesages", "chat-messages", "answers?1"):
        Channel(name, channel_layer=layer).send({})
    Group("all", channel_layer=layer).send({"text": "x"})
    assert lines(caplog) == ["no worker reads 'chat-mesages' now. Did you mean 'chat-messages'?"]
    assert embedded.asked == 2


@pytest.mark.parametrize(("debug", "is_away"), [(True, False), (True, True), (False, False)])
def test_embedded_layer_is_not_warned_of(debug: bool, is_away: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Without workers one may start; without the layer nothing is known; and without DEBUG nobody is asked."""
    embedded = Embedded()
    embedded.is_away = is_away
    with override_settings(DEBUG=debug):
        Channel("jobs", channel_layer=layer_of(layer=embedded)).send({})
    assert lines(caplog) == []
    assert embedded.asked == int(debug)


def test_raw_layer_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever uses a layer without its alias knows what reads it."""
    warn_if_unread("jobs", MemoryChannelLayer())
    assert lines(caplog) == []


def test_reply_is_not_warned_of(layer: ChannelLayerWrapper, caplog: pytest.LogCaptureFixture) -> None:
    """A reply channel is read by the server that made it."""
    Channel("websocket.send.tests!1", channel_layer=layer).send({"text": "x"})
    assert lines(caplog) == []
