"""The name that the Redis layer had in 1.x: ``asgi_redis.RedisChannelLayer``, now that of ``channel_layers.redis``.

Part of the distribution channels-relay; ``channel_layers.installation`` looks for this name.
"""

from __future__ import annotations

from typing import Final, NoReturn

from channel_layers.redis import RedisChannelLayer

__all__ = ["RedisChannelLayer"]

_ABSENT: Final = {
    "RedisLocalChannelLayer": (
        "kept messages for workers in the memory of one machine and all else in Redis; RedisChannelLayer does both, "
        "and with a Redis on the same machine over its Unix socket: 'hosts': 'unix:///run/redis/redis.sock'"
    ),
    "RedisSentinelChannelLayer": (
        "asked sentinels where the master is, which this release cannot do yet; use RedisChannelLayer with a name "
        "that always leads to the master, such as that of a proxy or a virtual address"
    ),
}
"""Layers of 1.x that nothing answers to, and what to do instead."""


def __getattr__(name: str) -> NoReturn:
    if name in _ABSENT:
        raise ImportError(f"{__name__}.{name} {_ABSENT[name]}", name=__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
