"""Which consumer handles what: two ways in, and one thing to do inside."""

from channels import route

from hall.consumers import enter_letter, enter_private, say

channel_routing = [
    route("websocket.connect", enter_letter, path=r"^/letter/$"),
    route("websocket.connect", enter_private, path=r"^/with/(?P<name>[\w.@+-]+)/$"),
    route("websocket.receive", say),
]
