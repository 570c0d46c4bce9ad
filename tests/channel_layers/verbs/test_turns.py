"""What a layer without turns says of them; :mod:`channel_layers.conformance.turns` tests those that keep some."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.turns import TurnConformance
from channel_layers.exceptions import ExtensionMissing
from channel_layers.memory import MemoryChannelLayer
from channel_layers.turns import TAKE, Step
from channel_layers.verbs.turns import TurnVerbs


class HastyLayer(MemoryChannelLayer):
    """A layer that keeps no turns."""

    extensions: ClassVar[list[str]] = ["groups", "flush", "notes"]
    turn = TurnVerbs.turn
    aturn = TurnVerbs.aturn


class TestHastyLayer(TurnConformance):
    """The suite for a layer without turns: it says so."""

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        return HastyLayer(**options)

    def test_its_verb_says_where_turns_are_kept(self, layer: BaseChannelLayer) -> None:
        """Whoever calls it learns what to look for, and which layers have it; a coroutine, too."""
        with pytest.raises(ExtensionMissing, match=r"HastyLayer keeps no turns: .*'turns'.*channel_layers\.redis have"):
            layer.turn(Step(TAKE, "x!1", 0))
        with pytest.raises(ExtensionMissing, match="keeps no turns"):
            asyncio.run(layer.aturn(Step(TAKE, "x!1", 0)))
