"""Which consumer handles what: the path of a socket says which blog it follows."""

from channels.routing import route_class

from blog.consumers import Reader

channel_routing = [
    route_class(Reader, path=r"^/(?P<slug>[-\w]+)/socket/$"),
]
