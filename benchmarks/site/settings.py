"""As small as a project can be: what is measured is ours. ``BENCHMARK_LAYER`` says which layer.

``memory:`` if nothing is said, ``local:`` with a directory, or the address of a Redis, which begins ``redis:``.
"""

import os

DEBUG = False
SECRET_KEY = "only for benchmarks"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.site.urls"
INSTALLED_APPS = ["channels"]
MIDDLEWARE: list[str] = []
USE_TZ = True

_name, _, _place = os.environ.get("BENCHMARK_LAYER", "memory:").partition(":")
_backends: dict[str, tuple[str, dict[str, str]]] = {
    "memory": ("channel_layers.memory.MemoryChannelLayer", {}),
    "local": ("channel_layers.local.LocalChannelLayer", {"directory": _place}),
    "redis": ("channel_layers.redis.RedisChannelLayer", {"hosts": f"redis:{_place}"}),
}
_backend, _config = _backends[_name]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": _backend,
        "CONFIG": {**_config, "channel_capacity": {"background": 100_000}},
        "ROUTING": "benchmarks.site.routing.channel_routing",
    },
}
