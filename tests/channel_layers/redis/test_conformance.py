"""The Redis layer keeps the contract."""

from __future__ import annotations

import time
from typing import Any

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance import LayerConformance
from channel_layers.redis import RedisChannelLayer, scripts
from tests.channel_layers.redis.server import RedisServer

CLOCK = b"""
local time = redis.call('TIME')
time[1] = time[1] + tonumber(redis.call('GET', 'clock') or 0)
"""


def move_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the scripts read the time of the server and what the key ``clock`` adds to it."""
    for script in scripts.ALL:
        moved = script.source.replace(b"local time = redis.call('TIME')\n", CLOCK)
        monkeypatch.setattr(script, "source", moved)
        monkeypatch.setattr(script, "digest", scripts.digest_of(moved))


class TestRedisChannelLayer(LayerConformance):
    """The whole suite, with two clients of one server, whose clock the tests move."""

    @pytest.fixture(autouse=True)
    def _store(self, server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.prefix, self.shift = server, prefix, 0.0
        server.ask("DEL", "clock")
        move_clock(monkeypatch)

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        clock = lambda: time.time() + self.shift  # noqa: E731
        return RedisChannelLayer(hosts=self.server.url, prefix=self.prefix, clock=clock, **options)

    def make_peer(self, layer: BaseChannelLayer) -> BaseChannelLayer:
        return self.make_layer()

    def advance(self, seconds: float) -> None:
        self.shift += seconds
        self.server.ask("SET", "clock", int(self.shift))
