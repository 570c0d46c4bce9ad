"""As small as a project can be: what is measured is ours."""

DEBUG = False
SECRET_KEY = "only for benchmarks"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.site.urls"
INSTALLED_APPS = ["channels"]
MIDDLEWARE: list[str] = []
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.memory.MemoryChannelLayer",
        "ROUTING": "benchmarks.site.routing.channel_routing",
    },
}
