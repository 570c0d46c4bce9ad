"""Options that the Redis layer had in 1.x."""

from __future__ import annotations

import pytest

from channel_layers.redis import RedisChannelLayer
from tests.channel_layers.redis.server import RedisServer


def test_all_that_mean_something(server: RedisServer) -> None:
    """A project's CONFIG makes a layer that works."""
    layer = RedisChannelLayer(
        hosts=[server.url],
        prefix="asgi:",
        expiry=30,
        capacity=7,
        channel_capacity={"http.*": 9},
        connection_kwargs={"socket_timeout": 6},
    )
    assert (layer.expiry, layer.capacities["work"], layer.capacities["http.request"]) == (30, 7, 9)
    assert layer.connections.connector.timeout == 6.0
    layer.send("work", {"text": "hello"})
    assert server.ask("EXISTS", "asgi:{work}queue:work") == b":1\r\n"
    assert layer.receive(["work"]) == ("work", {"text": "hello"})
    layer.close()


def test_those_that_mean_nothing_are_noted(caplog: pytest.LogCaptureFixture) -> None:
    """They may stay where they are."""
    RedisChannelLayer(stats_prefix="asgi-meta:", connection_kwargs={"max_connections": 20})
    assert caplog.messages == [
        "stats_prefix='asgi-meta:' has no effect: what is lost is counted in each process",
        "max_connections has no effect: a process has few",
    ]


def test_encryption_is_refused_and_not_left_out() -> None:
    """Whoever asks for it must not take messages for encrypted that are not."""
    for keys in (["a secret"], "a secret"):
        with pytest.raises(ValueError, match=r"does not encrypt messages.*rediss://") as refused:
            RedisChannelLayer(symmetric_encryption_keys=keys)
        assert "a secret" not in str(refused.value)
    RedisChannelLayer(symmetric_encryption_keys=[])


@pytest.mark.parametrize("timeout", [0, -1])
def test_time_that_is_none(timeout: float) -> None:
    """A verb has to wait for an answer."""
    with pytest.raises(ValueError, match=f"timeout is a positive number of seconds, not {timeout}"):
        RedisChannelLayer(timeout=timeout)
