"""The embedded layer keeps the contract."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance import LayerConformance
from channel_layers.local import LocalChannelLayer
from channel_layers.redis.protocol import pack
from tests.channel_layers.redis import clock


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """A directory for one server."""
    with tempfile.TemporaryDirectory(prefix="local-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def user(base: Path) -> Iterator[LocalChannelLayer]:
    """A user that keeps the server alive from test to test."""
    layer = LocalChannelLayer(project="conformance", directory=str(base))
    yield layer
    layer.close()


class TestLocalChannelLayer(LayerConformance):
    """The whole suite, with two clients of one server, whose clock the tests move."""

    @pytest.fixture(autouse=True)
    def _store(self, base: Path, user: LocalChannelLayer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.base, self.user, self.shift = base, user, 0.0
        user.say([pack("FLUSHALL")])
        clock.install(monkeypatch)

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        clock = lambda: time.time() + self.shift  # noqa: E731
        return LocalChannelLayer(project="conformance", directory=str(self.base), clock=clock, **options)

    def make_peer(self, layer: BaseChannelLayer) -> BaseChannelLayer:
        return self.make_layer()

    def advance(self, seconds: float) -> None:
        self.shift += seconds
        self.user.say([pack("SET", "clock", int(self.shift))])
