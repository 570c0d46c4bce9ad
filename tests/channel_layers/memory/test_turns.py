from __future__ import annotations

from channel_layers.memory import MemoryChannelLayer
from channel_layers.registry import Announcement
from channel_layers.turns import END, LIFETIME, NOW, PAST, TAKE, Step
from tests.channel_layers.memory.waiting import Clock


def test_turns_of_silent_connections_are_forgotten(layer: MemoryChannelLayer, clock: Clock) -> None:
    """With a heartbeat, after an hour; those of others are known."""
    for channel in ("x!1", "x!2"):
        layer.turn(Step(TAKE, channel, 0))
        layer.turn(Step(END, channel, 0))
    clock.now += LIFETIME - 1
    layer.turn(Step(TAKE, "x!2", 1))
    clock.now += 1
    layer.announce(Announcement("w1"))
    assert layer.turn(Step(TAKE, "x!1", 0)).verdict == NOW
    assert layer.turn(Step(TAKE, "x!2", 0)).verdict == PAST
