"""The start of a process that is nothing without its layer."""

from __future__ import annotations

import pytest

from channel_layers.exceptions import LayerUnavailable, LayerUnusable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.problems import Kind, Problem
from channel_layers.readiness import INTERVAL, wait_until_usable

AWAY = Problem(Kind.AWAY, "redis://a cannot be reached", "start it")
UNUSABLE = Problem(Kind.UNUSABLE, "redis://a is Redis 2.6, which is too old", "use another")
RISK = Problem(Kind.RISK, "redis://a drops keys", "let it not")


class Troubled(MemoryChannelLayer):
    """Finds other problems each time."""

    def __init__(self, *found: list[Problem]) -> None:
        super().__init__()
        self.found = list(found)

    def problems(self) -> list[Problem]:
        return self.found.pop(0)


def waited(layer: MemoryChannelLayer) -> tuple[list[str], list[float]]:
    """Return what was said and how long was waited each time."""
    said: list[str] = []
    pauses: list[float] = []
    wait_until_usable(layer, said.append, pauses.append)
    return said, pauses


def test_a_layer_that_is_there_is_not_waited_for() -> None:
    """Nothing is said."""
    assert waited(MemoryChannelLayer()) == ([], [])


def test_a_layer_that_is_away_is_waited_for() -> None:
    """With one line when that begins and one when it ends."""
    said, pauses = waited(Troubled([AWAY], [AWAY], [AWAY], []))
    begin, end = said
    assert begin == "waiting for the channel layer: redis://a cannot be reached; start it"
    assert end.startswith("the channel layer is there after ")
    assert pauses == [INTERVAL] * 3


def test_risks_are_said() -> None:
    """And the process starts."""
    assert waited(Troubled([RISK, RISK])) == (["redis://a drops keys; let it not"] * 2, [])


@pytest.mark.parametrize("found", [[[UNUSABLE]], [[RISK, UNUSABLE]], [[AWAY], [UNUSABLE]]])
def test_what_waiting_does_not_mend_is_an_error(found: list[list[Problem]]) -> None:
    """At once, or as soon as the layer says so; it is a case of a layer that cannot be had."""
    with pytest.raises(LayerUnusable, match=r"^redis://a is Redis 2\.6, which is too old; use another$"):
        waited(Troubled(*found))
    assert issubclass(LayerUnusable, LayerUnavailable)
