"""A connection for threads, while others close it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from channel_layers import codec
from channel_layers.envelope import Envelope
from channel_layers.redis import RedisChannelLayer
from channel_layers.redis.connection import Connection
from channel_layers.redis.exchange import Request
from tests.channel_layers.redis.server import until

PATIENCE = 10.0


def test_what_is_under_way_ends_before_its_connection(
    layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A slot that waits gets its message over the connection it waits on, which is closed behind that."""
    dropped: list[Connection] = []
    drop = Connection._drop

    def noting(connection: Connection) -> None:
        dropped.append(connection)
        drop(connection)

    taken: list[Envelope] = []
    with layer.open_slot() as slot:
        thread = threading.Thread(target=lambda: taken.extend(slot.take({"jobs": 1}, 1, PATIENCE)))
        thread.start()
        until(lambda: b"cmd=blpop" in layer.say([b"*2\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n"])[0])
        monkeypatch.setattr(Connection, "_drop", noting)
        layer.close()
        waiting = layer_connection(slot)
        assert waiting not in dropped
        layer.send("jobs", {"n": 1})
        thread.join(PATIENCE)
        assert [codec.decode(envelope.content) for envelope in taken] == [{"n": 1}]
        assert waiting in dropped
        slot.settle([])
    assert caplog.text == ""


def layer_connection(slot: object) -> Connection:
    """Return the connection of a slot."""
    connection: Connection = slot._connections._blocking  # type: ignore[attr-defined]  # no other way to tell it
    return connection


def test_a_connection_that_comes_back_late_is_closed(new_layer: Callable[..., RedisChannelLayer]) -> None:
    """All were closed while it was lent."""
    layer = new_layer()
    with layer.connections.lent() as connection:
        connection.ask(_ping())
        layer.close()
        connection.ask(_ping())
        assert connection.run
    assert connection.run is None


def _ping() -> Request:
    return Request([b"*1\r\n$4\r\nPING\r\n"])
