"""The channel layer on Redis or Valkey, 6.2 or newer."""

from channel_layers.redis.layer import RedisChannelLayer

__all__ = ["RedisChannelLayer"]
