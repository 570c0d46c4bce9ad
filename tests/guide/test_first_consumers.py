"""The 2016 guide, "First Consumers": an HTTP consumer, then an echo, both on the layer as it is spelt there."""

from __future__ import annotations

import pytest

from tests.guide.project import Site
from tests.runserver import RunServer, echoes

HTTP_CONSUMER = {
    "talk/consumers.py": """
from django.http import HttpResponse
from channels.handler import AsgiHandler


def answer(message):
    # The path is text, also in a raw message
    response = HttpResponse("Nothing but an echo of %s" % message.content['path'])
    for part in AsgiHandler.encode_response(response):
        message.reply_channel.send(part)
""",
    "mysite/routing.py": """
from channels.routing import route

channel_routing = [
    route("http.request", "talk.consumers.answer"),
]
""",
}

ECHO = {
    "talk/consumers.py": """
from channels import Group


def echo(message):
    print("heard", message.content['text'])
    message.reply_channel.send({
        "text": message.content['text'],
    })
""",
    "mysite/routing.py": """
from channels.routing import route
from talk.consumers import echo

channel_routing = [
    route("websocket.receive", echo),
]
""",
    "mysite/urls.py": """
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("hello/", lambda request: HttpResponse("Hello from a view"))]
""",
}


@pytest.fixture(scope="module")
def http(site: Site) -> RunServer:
    """The project whose consumer answers every request."""
    return site("http", HTTP_CONSUMER)


@pytest.fixture(scope="module")
def echo(site: Site) -> RunServer:
    """The project whose consumer sends back what it gets."""
    return site("echo", ECHO)


@pytest.mark.parametrize(
    ("path", "shown"), [("/", "/"), ("/some/where/?a=b", "/some/where/"), ("/caf%C3%A9/", "/café/"), ("/a%20b", "/a b")]
)
def test_a_consumer_answers_every_request(http: RunServer, path: str, shown: str) -> None:
    """The HTTP consumer stands before Django's views; its message has the path as decoded text."""
    assert http.get(path) == (200, f"Nothing but an echo of {shown}")


def test_a_post_reaches_the_same_consumer(http: RunServer) -> None:
    """The route has no filter, so the method does not matter."""
    assert http.get("/form/", data=b"a=b") == (200, "Nothing but an echo of /form/")


def test_a_socket_is_echoed(echo: RunServer) -> None:
    """What a client sends comes back to it, in order, and to nobody else."""
    with echo.connect("/chat/") as one, echo.connect("/chat/") as other:
        for number in range(20):
            one.send(f"one {number}")
        assert [one.recv(timeout=15) for _ in range(20)] == [f"one {number}" for number in range(20)]
        assert echoes(other, "mine alone")


@pytest.mark.parametrize("path", ["/", "/chat/", "/any/where/else"])
def test_the_path_does_not_matter(echo: RunServer, path: str) -> None:
    """Without a filter the route takes sockets of every path."""
    with echo.connect(path) as client:
        assert echoes(client, "hello")


@pytest.mark.parametrize("text", ["", "héllo wörld ✓", "x" * 100_000, "two\nlines"])
def test_any_text_is_echoed(echo: RunServer, text: str) -> None:
    """Empty, non-ASCII and long texts make the round trip as well."""
    with echo.connect("/chat/") as client:
        assert echoes(client, text)


def test_print_reaches_the_console(echo: RunServer) -> None:
    """What a consumer prints stands in the terminal of runserver."""
    with echo.connect("/chat/") as client:
        assert echoes(client, "is this on")
        assert echo.wait_for("^heard is this on$")


def test_ordinary_views_are_unaffected(echo: RunServer) -> None:
    """Requests that no route wants go to Django's views, its 404 page included."""
    assert echo.get("/hello/") == (200, "Hello from a view")
    status, page = echo.get("/nowhere/")
    assert status == 404
    assert "Using the URLconf defined in <code>mysite.urls</code>" in page


def test_static_files_are_unaffected(echo: RunServer) -> None:
    """Static files of apps are served as Django's own runserver does, and those that are missing are 404."""
    status, style = echo.get("/static/admin/css/base.css")
    assert status == 200
    assert "DJANGO Admin styles" in style
    assert echo.get("/static/admin/css/none.css")[0] == 404
