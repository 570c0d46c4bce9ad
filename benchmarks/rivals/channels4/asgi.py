"""The ASGI application for Channels 4."""
# mypy: disable-error-code="misc, import-not-found, import-untyped, attr-defined, arg-type"
# The types of Channels 4 are not there: in the project's own environment "channels" is the project.

from django.core.asgi import get_asgi_application
from django.urls import path, re_path

http = get_asgi_application()  # sets Django up, which what follows needs

from channels.routing import ChannelNameRouter, ProtocolTypeRouter, URLRouter  # noqa: E402 - needs settings

from benchmarks.rivals.channels4 import consumers  # noqa: E402 - needs settings

application = ProtocolTypeRouter(
    {
        "http": URLRouter(
            [
                path("news/", consumers.News.as_asgi()),
                path("publish/", consumers.Publish.as_asgi()),
                re_path(r"", http),
            ]
        ),
        "websocket": URLRouter(
            [
                path("echo/", consumers.Echo.as_asgi()),
                path("rooms/<room>/", consumers.Room.as_asgi()),
                path("churn/", consumers.Churn.as_asgi()),
                path("background/", consumers.HandOut.as_asgi()),
            ]
        ),
        "channel": ChannelNameRouter({"background": consumers.Background.as_asgi()}),
    }
)
