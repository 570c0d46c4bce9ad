"""Conformance of the registry: which processes are alive."""

from __future__ import annotations

from msgspec import structs

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import Harness
from channel_layers.registry import HEARTBEAT_EXPIRY, HEARTBEAT_INTERVAL, Announcement

WORKER = Announcement("w1", ("http.request", "websocket.receive"), 4, 0, "host", 42, "abc")


class RegistryConformance(Harness):
    """Heartbeats."""

    def test_an_announced_process_is_known(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """What a process says of itself is read by all others, with the time the layer heard it."""
        peer.announce(WORKER)
        (found,) = layer.processes()
        assert found.time > 0
        assert structs.replace(found, time=0.0) == WORKER

    def test_an_announcement_replaces_the_one_before(self, layer: BaseChannelLayer) -> None:
        """A process is listed once, as it described itself last; others are listed beside it."""
        layer.announce(WORKER)
        layer.announce(structs.replace(WORKER, slots=8))
        layer.announce(Announcement("server", connections=10))
        known = {process.process: (process.slots, process.connections) for process in layer.processes()}
        assert known == {"w1": (8, 0), "server": (0, 10)}

    def test_changing_an_announcement_announces_nothing(self, layer: BaseChannelLayer) -> None:
        """The registry holds what was said, not the object it was said with."""
        announcement = Announcement("w1", slots=1)
        layer.announce(announcement)
        announcement.slots = 2
        assert [process.slots for process in layer.processes()] == [1]
        assert announcement.time == 0.0

    def test_a_withdrawn_process_is_gone(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """A process that ends says so; to withdraw one nobody knows is no error."""
        layer.announce(WORKER)
        peer.withdraw("w1")
        peer.withdraw("w1")
        assert layer.processes() == []

    def test_a_silent_process_is_dead(self, layer: BaseChannelLayer) -> None:
        """A process that missed some heartbeats is not listed any more, and until then it is."""
        layer.announce(WORKER)
        layer.announce(Announcement("w2"))
        self.advance(HEARTBEAT_EXPIRY - HEARTBEAT_INTERVAL)
        layer.announce(Announcement("w2"))
        assert {process.process for process in layer.processes()} == {"w1", "w2"}
        self.advance(HEARTBEAT_INTERVAL)
        assert [process.process for process in layer.processes()] == ["w2"]
        layer.announce(WORKER)
        assert {process.process for process in layer.processes()} == {"w1", "w2"}
