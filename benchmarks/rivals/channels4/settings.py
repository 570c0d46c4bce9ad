"""``BENCHMARK_LAYER`` is ``core`` or ``pubsub``, or empty for no layer; ``BENCHMARK_REDIS`` is where Redis is."""

import os
from typing import Any

DEBUG = False
SECRET_KEY = "only for benchmarks"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.rivals.channels4.urls"
ASGI_APPLICATION = "benchmarks.rivals.channels4.asgi.application"
INSTALLED_APPS = ["channels"]
MIDDLEWARE: list[str] = []
USE_TZ = True

# redis-py 8 allows 100 connections, which as many handshakes at once use up, and gives up reading after 5 seconds, as
# long as the layer lets Redis wait for a message.
_hosts = [os.environ.get("BENCHMARK_REDIS", "") + "?max_connections=20000&socket_timeout=60"]
_layers: dict[str, Any] = {
    "core": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": _hosts, "capacity": 1000, "channel_capacity": {"background": 100_000}},
    },
    "pubsub": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": _hosts}},
}
_layer = _layers.get(os.environ.get("BENCHMARK_LAYER", ""))
CHANNEL_LAYERS = {"default": _layer} if _layer else {}
