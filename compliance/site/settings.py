"""An echo behind Redis, with limits above the largest message of the suite, 16 MiB."""

import os

MIB = 1024 * 1024

SECRET_KEY = "only for the suite"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["channels"]
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.redis.RedisChannelLayer",
        "ROUTING": "compliance.site.routing.channel_routing",
        "CONFIG": {"hosts": [os.environ["COMPLIANCE_REDIS"]], "max_message_size": 17 * MIB},
    },
}
CHANNELS = {
    "MAX_FRAME_SIZE": 16 * MIB,
    "MAX_MESSAGE_SIZE": 16 * MIB,
    "MAX_FRAGMENTS": 1024 * 1024,
    "MAX_LANES_SIZE": 256 * MIB,
    "MAX_WRITE_SIZE": 16 * MIB,
}
