"""The 2016 guide, "Routing": filters, includes that are appended, string paths, and what they capture."""

from __future__ import annotations

import pytest
from websockets.exceptions import InvalidStatus

from tests.guide.project import Site
from tests.runserver import RunServer, receive

ROUTING = {
    "talk/consumers.py": """
from django.http import HttpResponse
from channels import Group
from channels.auth import channel_session_user_from_http
from channels.handler import AsgiHandler


def ring(message):
    Group("room-%s" % message.content['query_string'].decode()).send({"text": "The bell rings"})
    for part in AsgiHandler.encode_response(HttpResponse("Rung")):
        message.reply_channel.send(part)


def enter(message, room):
    Group("room-%s" % room).add(message.reply_channel)


def leave(message):
    print("left", message.content['path'])


# Connected to websocket.connect
@channel_session_user_from_http
def enter_club(message, room):
    # Everybody who is signed in gets to the room of the URL
    print("club:", message.user.username or "nobody", "in", room)
    Group("room-%s" % room).add(message.reply_channel)
""",
    "talk/routing.py": """
from channels.routing import route

club_routing = [
    route("websocket.connect", "talk.consumers.enter_club", path=r"^/(?P<room>[a-zA-Z0-9_]+)/$"),
]
""",
    "mysite/routing.py": """
from channels.routing import include, route
from talk.consumers import enter, leave, ring

http_routing = [
    route("http.request", ring, path=r"^/bell/$", method=r"^POST$"),
]

room_routing = [
    route("websocket.connect", enter, path=r"^/(?P<room>[a-zA-Z0-9_]+)/$"),
    route("websocket.disconnect", leave),
]

channel_routing = [
    # A dotted path does as well
    include("talk.routing.club_routing", path=r"^/club"),
    include(room_routing, path=r"^/rooms"),
    include(http_routing),
]
""",
    "mysite/urls.py": """
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path


def sign_in(request, name):
    login(request, User.objects.get_or_create(username=name)[0])
    return HttpResponse(request.session.session_key)


urlpatterns = [
    path("bell/", lambda request: HttpResponse("The view of the bell")),
    path("sign-in/<name>/", sign_in),
]
""",
}


@pytest.fixture(scope="module")
def server(site: Site) -> RunServer:
    """The project of the guide, with tables for sessions and users."""
    return site("routing", ROUTING, "migrate")


def test_a_named_group_becomes_an_argument(server: RunServer) -> None:
    """The part of the path after the include's prefix names the room that the socket is added to."""
    with server.connect("/rooms/kitchen/") as kitchen, server.connect("/rooms/attic/") as attic:
        assert server.get("/bell/?attic", data=b"") == (200, "Rung")
        assert receive(attic) == "The bell rings"
        assert server.get("/bell/?kitchen", data=b"") == (200, "Rung")
        assert receive(kitchen) == "The bell rings"


def test_every_filter_has_to_match(server: RunServer) -> None:
    """A request of another method or path goes on to the views."""
    assert server.get("/bell/") == (200, "The view of the bell")
    assert server.get("/bells/", data=b"")[0] == 404


@pytest.mark.parametrize("path", ["/rooms/no-hyphens/", "/rooms/kitchen", "/rooms/", "/kitchen/", "/rooms/kitchen/x/"])
def test_a_path_that_no_connect_route_matches_is_refused(server: RunServer, path: str) -> None:
    """Prefix and pattern are one expression, from ``^`` to ``$``; the looser disconnect route lets nobody in."""
    with pytest.raises(InvalidStatus) as refusal, server.connect(path):
        pass
    assert refusal.value.response.status_code == 404


def test_the_prefix_filters_routes_without_a_path(server: RunServer) -> None:
    """The disconnect route has no filter of its own and gets the prefix, so sockets of another include pass it by."""
    since = len(server.lines)
    with server.connect("/club/kitchen/"):
        pass
    with server.connect("/rooms/kitchen/"):
        pass
    server.wait_for("^left /rooms/kitchen/$", since)
    assert server.matching("^left ", since) == ["left /rooms/kitchen/"]


@pytest.mark.parametrize("by", ["cookie", "query string"])
def test_the_user_of_the_site_is_the_user_of_the_socket(server: RunServer, by: str) -> None:
    """A decorated consumer takes the argument of its route beside the user of the site's session."""
    status, key = server.get("/sign-in/grace/")
    assert status == 200
    since = len(server.lines)
    query, headers = ("", {"Cookie": f"sessionid={key}"}) if by == "cookie" else (f"?session_key={key}", {})
    with server.connect(f"/club/cellar/{query}", additional_headers=headers) as client:
        assert server.wait_for("^club: grace in cellar$", since)
        assert server.get("/bell/?cellar", data=b"") == (200, "Rung")
        assert receive(client) == "The bell rings"


def test_a_socket_without_a_session_has_an_anonymous_user(server: RunServer) -> None:
    """Nobody signed in: the consumer runs, and its user has no name."""
    since = len(server.lines)
    with server.connect("/club/cellar/"):
        assert server.wait_for("^club: nobody in cellar$", since)
