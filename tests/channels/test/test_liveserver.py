"""A server for browsers in the process of the tests, which shares the database in memory."""

import os
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from channels import Group, channel_layers, route
from channels.generic.async_websockets import AsyncWebsocketConsumer
from channels.generic.websockets import WebsocketConsumer
from channels.message import Message
from channels.test import ChannelLiveServerTestCase
from channels.test.liveserver import LiveServer
from tests.channels.test.cases import run
from tests.chromium import launched
from tests.services import require

PATIENCE = 10.0
PAGE = """<!doctype html><title>Users</title><ul></ul><script>
  const socket = new WebSocket("/users/")
  socket.onmessage = (event) => { document.querySelector("ul").innerHTML += `<li>${event.data}</li>` }
</script>"""


def page(request: HttpRequest) -> HttpResponse:
    """A page that lists what its socket says."""
    return HttpResponse(PAGE)


urlpatterns = [path("page/", page)]


def ws_connect(message: Message) -> None:
    """Say who is there."""
    assert message.reply_channel is not None
    Group("users").add(message.reply_channel)
    names = User.objects.order_by("username").values_list("username", flat=True)
    message.reply_channel.send({"text": ",".join(names) or "nobody"})


def ws_receive(message: Message) -> None:
    """Make a user, and tell all."""
    user = User.objects.create(username=message["text"])
    Group("users").send({"text": f"{user.username} is here"})


class AsyncCount(AsyncWebsocketConsumer):
    """Counts users."""

    async def receive(self, text: str | None = None, **kwargs: Any) -> None:
        await self.send(text=str(await sync_to_async(User.objects.count)()))


class Silent(WebsocketConsumer):
    """Does not accept."""

    def connect(self, message: Message, **kwargs: Any) -> None:
        pass


channel_routing = [
    Silent.as_route(path="^/silent/"),
    AsyncCount.as_route(path="^/count/"),
    route("websocket.connect", ws_connect),
    route("websocket.receive", ws_receive),
]


@pytest.fixture(autouse=True)
def routed(database: None) -> Iterator[None]:
    """The routing and the page of this module."""
    config = {"BACKEND": "channel_layers.memory.MemoryChannelLayer", "ROUTING": f"{__name__}.channel_routing"}
    former = channel_layers.set("default", None)
    with override_settings(CHANNEL_LAYERS={"default": config}, ROOT_URLCONF=__name__):
        yield
    channel_layers.set("default", former)


def receive(socket: Any) -> Any:
    """Return the next frame."""
    return socket.recv(timeout=PATIENCE)


def test_sockets_are_served() -> None:
    """On a free port, by a server and a worker that see what the test has written, and the test what they write."""

    def test(case: Any) -> None:
        User.objects.create(username="ada")
        with connect(f"{case.live_server_ws_url}/users/", proxy=None) as socket:
            assert receive(socket) == "ada"
            socket.send("grace")
            assert receive(socket) == "grace is here"
            assert User.objects.filter(username="grace").exists()
            Group("users").send({"text": "from the test"})
            assert receive(socket) == "from the test"

    run(test, ChannelLiveServerTestCase)
    assert not User.objects.exists()


def test_views_and_static_files_are_served() -> None:
    """By the same server, unless files are not wanted."""

    def test(case: Any) -> None:
        assert _get(f"{case.live_server_url}/page/").startswith("<!doctype html>")
        assert "body" in _get(f"{case.live_server_url}/static/admin/css/base.css")

    def without(case: Any) -> None:
        with pytest.raises(urllib.request.HTTPError, match="404"):
            _get(f"{case.live_server_url}/static/admin/css/base.css")

    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "django.contrib.admin"]):
        run(test, ChannelLiveServerTestCase)
        run(without, ChannelLiveServerTestCase, serve_static=False)


def test_browser_is_served() -> None:
    """Playwright runs a loop in the thread of the test, which may use the database all the same."""
    require("chromium")

    def test(case: Any) -> None:
        User.objects.create(username="ada")
        with launched() as browser:
            tab = browser.new_page()
            tab.goto(f"{case.live_server_url}/page/")
            tab.get_by_text("ada", exact=True).wait_for()
            User.objects.create(username="grace")
            Group("users").send({"text": "grace is here"})
            tab.get_by_text("grace is here").wait_for()
            browser.close()

    run(test, ChannelLiveServerTestCase)


def test_async_consumers_are_served() -> None:
    """They use the database in a thread of their own, whose connection is closed at the end, though that lives on."""
    found: list[BaseDatabaseWrapper] = []

    def their_connections() -> list[BaseDatabaseWrapper]:
        asked = SyncToAsync.single_thread_executor.submit(connections.all, initialized_only=True)
        return list(asked.result(PATIENCE))

    def test(case: Any) -> None:
        with connect(f"{case.live_server_ws_url}/count/", proxy=None) as socket:
            socket.send("how many?")
            assert receive(socket) == "0"
        found.extend(their_connections())
        assert found[0].connection is not None

    run(test, ChannelLiveServerTestCase)
    assert found[0].connection is None
    assert their_connections() == []


def test_class_that_does_not_accept_is_refused_at_once() -> None:
    """By the server, when the worker says that its connect has ended."""
    with LiveServer() as server, pytest.raises(InvalidStatus, match="403"):
        connect(f"{server.ws_url}/silent/", proxy=None, open_timeout=PATIENCE)


def test_everything_is_put_back() -> None:
    """The layer, the settings, the environment, and the connection."""
    layer = channel_layers["default"]
    with LiveServer(host="127.0.0.1") as server:
        assert channel_layers["default"] is server.layer
        assert "127.0.0.1" in settings.ALLOWED_HOSTS
        assert (server.url, server.ws_url) == (f"http://127.0.0.1:{server.port}", f"ws://127.0.0.1:{server.port}")
    assert channel_layers["default"] is layer
    assert "127.0.0.1" not in settings.ALLOWED_HOSTS
    assert "DJANGO_ALLOW_ASYNC_UNSAFE" not in os.environ
    assert not connection.allow_thread_sharing


def test_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A permission that was there before stays."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with LiveServer():
        assert os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] == "true"
    assert os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] == "1"


def test_busy_port_is_told() -> None:
    """What keeps the server from starting is raised, and nothing is left running."""
    with LiveServer() as first, pytest.raises(OSError, match="in use"):
        LiveServer(port=first.port).__enter__()
    assert not connection.allow_thread_sharing


def test_work_that_does_not_end_is_told() -> None:
    """A message that nobody handles in time keeps the tables from being emptied."""
    with LiveServer() as server:
        server.layer.channel_layer.send("http.request", {"reply_channel": "x"})
        server._worker.stop(PATIENCE)
        server.layer.channel_layer.send("websocket.receive", {"text": "x"})
        with pytest.raises(TimeoutError, match="after 0 s consumers still had something to do"):
            server.wait_until_idle(0)


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        text: str = response.read().decode()
        return text
