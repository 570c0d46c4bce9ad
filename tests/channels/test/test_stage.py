"""Layers of a test's own, and those it asks for by name."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from channel_layers.memory import MemoryChannelLayer
from channels import Channel, channel_layers, route
from channels.test import Client, Stage, apply_routes, configured_layers
from channels.test.stage import RecordingLayer

MEMORY = "channel_layers.memory.MemoryChannelLayer"


class Elsewhere(MemoryChannelLayer):
    """Stands for a layer that other processes use."""

    crosses_processes = True
    flushed = 0

    def flush(self) -> None:
        type(self).flushed += 1
        super().flush()


def layers(**options: Any) -> Any:
    """Return a context whose default layer is one that other processes use."""
    config = {"BACKEND": f"{__name__}.Elsewhere", "ROUTING": [], **options}
    return override_settings(CHANNEL_LAYERS={"default": config})


@pytest.fixture(autouse=True)
def rebuilt() -> Any:
    """The default layer is made anew by each test, and behind it."""
    former = channel_layers.set("default", None)
    yield
    channel_layers.set("default", former)


def test_layers_are_replaced_while_it_runs() -> None:
    """By layers in memory, and put back behind it; one that was not made before is not made by it."""
    with layers():
        before = channel_layers["default"]
        with Stage() as stage:
            assert channel_layers["default"] is stage.layer("default")
            assert isinstance(channel_layers["default"].channel_layer, RecordingLayer)
        assert channel_layers["default"] is before


def test_each_stage_begins_with_nothing() -> None:
    """What one test has sent, no other sees."""
    for _ in range(2):
        with Stage() as stage:
            assert stage.get_next_message("work") is None
            Channel("work").send({})


def test_common_options_are_those_of_the_settings() -> None:
    """Limits are as they will be; what only the real backend knows is left out."""
    with layers(CONFIG={"capacity": 3, "inbox_capacity": 7}), Stage() as stage:
        assert stage.layer("default").capacity == 3
        for _ in range(3):
            Channel("work").send({})
        with pytest.raises(RecordingLayer.ChannelFull):
            Channel("work").send({})


def test_only_some_layers_are_replaced() -> None:
    """Those that are named; a name that is none is told."""
    configs = {alias: {"BACKEND": MEMORY, "ROUTING": []} for alias in ("default", "other")}
    with override_settings(CHANNEL_LAYERS=configs):
        with Stage(["default"]) as stage:
            assert list(stage.layers) == ["default"]
            with pytest.raises(AssertionError, match="'other' is none"):
                Client("other")
        channel_layers.set("other", None)
        with pytest.raises(ImproperlyConfigured, match="Did you mean 'other'"):
            Stage(["othr"])


def test_client_needs_a_stage() -> None:
    """Without one, what to derive from is told."""
    with pytest.raises(AssertionError, match=r"derive the test case from channels\.test\.ChannelTestCase"):
        Client()


def test_next_message_is_taken(stage: Stage) -> None:
    """In order; when there is none, it is ``None``, or a failure where one is required."""
    Channel("work").send({"n": 1})
    Channel("work").send({"n": 2})
    first, second = stage.get_next_message("work"), stage.get_next_message("work", require=True)
    assert first is not None
    assert second is not None
    assert [first["n"], second["n"], second.channel_name, second.lane] == [1, 2, "work", None]
    assert stage.get_next_message("work") is None
    with apply_routes(route("works", print)):
        Channel("works").send({})
        with pytest.raises(AssertionError, match=r"No message waits on 'work'\. .* 1 on 'works'"):
            stage.get_next_message("work", require=True)


# -- real layers -------------------------------------------------------------------------------------------------------


def test_configured_layer_is_used_where_it_is_asked_for() -> None:
    """With its TEST_CONFIG, and emptied before and after."""
    Elsewhere.flushed = 0
    with layers(CONFIG={"capacity": 1}, TEST_CONFIG={"capacity": 5}):
        with configured_layers():
            layer = channel_layers["default"]
            assert isinstance(layer.channel_layer, Elsewhere)
            assert (layer.capacity, Elsewhere.flushed) == (5, 1)
        assert Elsewhere.flushed == 2
        assert channel_layers["default"] is not layer


def test_configured_layer_needs_its_test_config() -> None:
    """A test does not empty what the site uses."""
    Elsewhere.flushed = 0
    with (
        layers(CONFIG={"capacity": 1}),
        pytest.raises(ImproperlyConfigured, match=r"'default'.* has no TEST_CONFIG"),
        configured_layers("default"),
    ):
        pass
    assert Elsewhere.flushed == 0
