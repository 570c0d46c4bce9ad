"""Which consumer handles what."""

from channels.routing import include, route

from chat.consumers import save_message, ws_connect, ws_receive
from chat.models import ROOM

room_routing = [
    route("websocket.connect", ws_connect, path=r"^/socket/$"),
    route("websocket.receive", ws_receive, path=r"^/socket/$"),
]

channel_routing = [
    include(room_routing, path=rf"^/rooms/(?P<room>{ROOM})"),
    route("chat-messages", save_message),
]
