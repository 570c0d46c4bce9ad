"""As small as a project can be: what is measured is ours. ``BENCHMARK_LAYER`` names a Redis server; without, memory."""

import os

DEBUG = False
SECRET_KEY = "only for benchmarks"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.site.urls"
INSTALLED_APPS = ["channels"]
MIDDLEWARE: list[str] = []
USE_TZ = True

_redis = os.environ.get("BENCHMARK_LAYER", "")
_config = {"channel_capacity": {"background": 100_000}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.redis.RedisChannelLayer" if _redis else "channel_layers.memory.MemoryChannelLayer",
        "CONFIG": {"hosts": _redis, **_config} if _redis else _config,
        "ROUTING": "benchmarks.site.routing.channel_routing",
    },
}
