"""The in-memory layer keeps the contract, and the suite fails a layer that does not."""

from __future__ import annotations

from typing import Any

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance import LayerConformance
from channel_layers.memory import MemoryChannelLayer


class TestMemoryChannelLayer(LayerConformance):
    """The whole suite, with a clock that the tests move."""

    now = 1_000_000.0

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        return MemoryChannelLayer(clock=lambda: self.now, **options)

    def advance(self, seconds: float) -> None:
        self.now += seconds
