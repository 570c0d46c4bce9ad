"""Worker processes of a process that has something else to do."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.test import override_settings

from channels.layers import ChannelLayerWrapper
from channels.processes.background import BackgroundWorkers, ServerSettings
from channels.processes.child import Launch
from channels.processes.workers import WorkerOptions
from tests.channels.processes.children import PATIENCE, launch
from tests.channels.processes.test_workers import Layer


class Scripts(WorkerOptions):
    """Starts scripts in place of workers; the first says that the settings are as they are here."""

    def launch(self, name: str, is_new: bool) -> Launch:
        return launch(self.others[0])


def background(behaviour: str, changed: Any = lambda: None) -> BackgroundWorkers:
    """Return workers that behave like that."""
    options = Scripts(others=[behaviour], stop_timeout=PATIENCE, reload=True)
    return BackgroundWorkers(ChannelLayerWrapper(Layer(), "default", []), options, changed)


@pytest.mark.parametrize("behaviour", ["works", "fails"])
def test_they_begin_and_end_beside_other_work(behaviour: str) -> None:
    """Whoever waits for them is not left waiting where they do not start."""
    workers = background(behaviour)
    workers.start()
    workers.wait_until_begun(PATIENCE)
    assert workers._begun.is_set()
    assert workers.stop(PATIENCE)
    assert workers.stop(PATIENCE)
    assert not any(thread.name == "channels-supervisor" for thread in threading.enumerate())


def test_other_settings_are_told_of() -> None:
    """Once there are others than those that this process has read."""
    told: list[bool] = []
    workers = background("works", lambda: told.append(True))
    own = ServerSettings()._own
    workers._compare(own)
    assert told == []
    workers._compare("other")
    assert told == [True]


def test_settings_are_compared_with_those_of_now() -> None:
    """What an interface server reads of them, and nothing else."""
    settings = ServerSettings()
    own = settings._own
    assert not settings.are_old(own)
    layers = {"default": {"BACKEND": "channel_layers.memory.MemoryChannelLayer", "ROUTING": ["other"]}}
    with override_settings(CHANNEL_LAYERS=layers, ROOT_URLCONF="other.urls"):
        assert ServerSettings()._own == own
    with override_settings(CHANNELS={"PING_INTERVAL": 7.0}):
        assert settings.are_old(ServerSettings()._own)


def test_settings_that_never_look_the_same_are_not_compared() -> None:
    """The first process that runs the same code tells something else already."""
    settings = ServerSettings()
    assert not settings.are_old("something")
    assert not settings.are_old("something else")


def test_an_object_looks_the_same_wherever_it_is() -> None:
    """Its place in the memory says nothing."""
    digests = set()
    for _ in range(2):
        configs = {"default": {"BACKEND": "b", "ROUTING": [], "CONFIG": {"clock": object()}}}
        with override_settings(CHANNEL_LAYERS=configs):
            digests.add(ServerSettings()._own)
    assert len(digests) == 1
