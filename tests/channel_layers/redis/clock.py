"""Moving the clock of a Redis server, as far as the layer's scripts look at it."""

from __future__ import annotations

import pytest

from channel_layers.redis import scripts
from tests.channel_layers.redis.server import RedisServer

_MOVED = b"""
local time = redis.call('TIME')
time[1] = time[1] + tonumber(redis.call('GET', 'clock') or 0)
"""


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every script look at a clock that can be moved."""
    for script in scripts.ALL:
        moved = script.source.replace(b"local time = redis.call('TIME')\n", _MOVED)
        monkeypatch.setattr(script, "source", moved)
        monkeypatch.setattr(script, "digest", scripts.digest_of(moved))


def move(server: RedisServer, seconds: float) -> None:
    """Set how many seconds the server's clock is ahead."""
    server.ask("SET", "clock", int(seconds))
