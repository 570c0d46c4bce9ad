"""Routing with path filters, as a project has them."""

from benchmarks.site.consumers import broadcast, echo, join
from channels import include, route

rooms = [
    route("websocket.connect", join, path=r"^/(?P<room>\w+)/$"),
    route("websocket.receive", broadcast, path=r"^/(?P<room>\w+)/$"),
]

channel_routing = [
    route("websocket.connect", "channels.routing.connect_consumer", path=r"^/echo/$"),
    route("websocket.receive", echo, path=r"^/echo/$"),
    include(rooms, path=r"^/rooms"),
]
