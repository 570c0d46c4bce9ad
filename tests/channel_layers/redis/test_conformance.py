"""The Redis layer keeps the contract."""

from __future__ import annotations

import time
from typing import Any

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance import LayerConformance
from channel_layers.redis import RedisChannelLayer
from tests.channel_layers.redis import clock
from tests.channel_layers.redis.server import RedisServer


class TestRedisChannelLayer(LayerConformance):
    """The whole suite, with two clients of one server, whose clock the tests move."""

    @pytest.fixture(autouse=True)
    def _store(self, server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.prefix, self.shift = server, prefix, 0.0
        clock.install(monkeypatch)
        clock.move(server, 0)

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        now = lambda: time.time() + self.shift  # noqa: E731
        return RedisChannelLayer(hosts=self.server.url, prefix=self.prefix, clock=now, **options)

    def make_peer(self, layer: BaseChannelLayer) -> BaseChannelLayer:
        return self.make_layer()

    def advance(self, seconds: float) -> None:
        self.shift += seconds
        clock.move(self.server, self.shift)
