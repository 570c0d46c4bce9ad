"""Which consumer handles what: the path of a socket says which list it shows."""

from channels.routing import route_class

from lists.consumers import ListStreams

channel_routing = [
    route_class(ListStreams, path=r"^/(?P<name>[-\w]+)/socket/$"),
]
