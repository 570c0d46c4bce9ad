"""The old name of the Redis layer."""

from __future__ import annotations

import pytest

import asgi_redis
from channel_layers.redis import RedisChannelLayer


def test_layer_of_1x_is_ours() -> None:
    """It is the same class under another name."""
    assert asgi_redis.RedisChannelLayer is RedisChannelLayer


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("RedisLocalChannelLayer", "RedisChannelLayer does both"),
        ("RedisSentinelChannelLayer", "use RedisChannelLayer with a name that always leads to the master"),
    ],
)
def test_layers_that_are_no_more_say_what_to_use(name: str, way_out: str) -> None:
    """Whoever imports one reads its name and what to do."""
    with pytest.raises(ImportError, match=rf"^asgi_redis\.{name} .*{way_out}"):
        getattr(asgi_redis, name)


def test_other_names_are_absent() -> None:
    """In the words of Python."""
    with pytest.raises(AttributeError, match="module 'asgi_redis' has no attribute 'BaseChannelLayer'"):
        asgi_redis.BaseChannelLayer  # noqa: B018
