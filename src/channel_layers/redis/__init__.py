"""The channel layer on Redis 7.0 or newer, or Valkey."""

try:
    from channel_layers.redis.layer import RedisChannelLayer
except ModuleNotFoundError as error:
    if error.name != "hiredis":
        raise
    message = "the Redis layer needs the extra redis: pip install 'channels-relay[redis]'"
    raise ModuleNotFoundError(message, name="hiredis") from error

__all__ = ["RedisChannelLayer"]
