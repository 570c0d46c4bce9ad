"""Routing with path filters, as a project has them."""

from benchmarks.site.consumers import (
    background,
    broadcast,
    churn,
    echo,
    echo_to_visitor,
    hand_out,
    join,
    remember,
)
from benchmarks.site.trials import ask, drag, hold_gil, publish, record, work
from channels import include, route
from channels.routing import connect_consumer

rooms = [
    route("websocket.connect", join, path=r"^/(?P<room>\w+)/$"),
    route("websocket.receive", broadcast, path=r"^/(?P<room>\w+)/$"),
]

trials = [
    route("websocket.connect", join, path=r"^/publish/(?P<room>\w+)/$"),
    route("websocket.receive", publish, path=r"^/publish/(?P<room>\w+)/$"),
    route("websocket.connect", connect_consumer, path=r"^/"),
    route("websocket.receive", work, path=r"^/jobs/$"),
    route("websocket.receive", hold_gil, path=r"^/gil/$"),
    route("websocket.receive", ask, path=r"^/ask/$"),
]

channel_routing = [
    route("websocket.connect", connect_consumer, path=r"^/(?:echo|churn|background)/$"),
    route("websocket.receive", echo, path=r"^/echo/$"),
    route("websocket.connect", remember, path=r"^/session/$"),
    route("websocket.receive", echo_to_visitor, path=r"^/session/$"),
    include(rooms, path=r"^/rooms"),
    route("websocket.receive", churn, path=r"^/churn/$"),
    route("websocket.receive", hand_out, path=r"^/background/$"),
    route("background", background),
    include(trials, path=r"^/trials"),
    route("drag", drag),
    route("once", record),
    route("kept", record, delivery="at-least-once", retries=50),
]
