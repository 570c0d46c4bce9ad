"""Which consumer handles what: one class, one socket."""

from channels.routing import route_class

from rooms.consumers import ChatConsumer

channel_routing = [
    route_class(ChatConsumer, path=r"^/socket/$"),
]
