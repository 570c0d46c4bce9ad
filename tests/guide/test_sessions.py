"""The 2016 guide, "Persisting Data", "Authentication" and "Enforcing Ordering": rooms, and chats by first letter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import InvalidStatus

from tests.chromium import launched
from tests.guide.project import Site, over_redis, prepared
from tests.runserver import PATIENCE, RunServer, receive, running, working

VARIANTS = {"authentication": "", "slight": "@enforce_ordering(slight=True)\n", "strict": "@enforce_ordering\n"}
"""What is above each consumer of the chat by first letter: in the section "Authentication", and in the last one."""
ROUTING = """
from channels.routing import include, route


def routes(module):
    return [
        route("websocket.connect", f"talk.{module}.enter"),
        route("websocket.receive", f"talk.{module}.say"),
        route("websocket.disconnect", f"talk.{module}.leave"),
    ]


channel_routing = [
    include(routes("authentication"), path="^/authentication/"),
    include(routes("slight"), path="^/slight/"),
    include(routes("strict"), path="^/strict/"),
    *routes("persisting"),
]
"""
PERSISTING = """
from channels import Group
from channels.sessions import channel_session


# For websocket.connect
@channel_session
def enter(message):
    # The path without its slashes is the room
    room = message.content['path'].strip("/")
    # Remember it for the messages that follow
    message.channel_session['room'] = room
    Group("room-%s" % room).add(message.reply_channel)


# For websocket.receive
@channel_session
def say(message):
    Group("room-%s" % message.channel_session['room']).send(message.content)


# For websocket.disconnect
@channel_session
def leave(message):
    Group("room-%s" % message.channel_session['room']).discard(message.reply_channel)
    print("left", message.channel_session['room'])
"""
LETTERS = """
from channels import Channel, Group
from channels.sessions import channel_session, enforce_ordering
from channels.auth import http_session_user, channel_session_user, channel_session_user_from_http


# For websocket.connect
<ordering>@channel_session_user_from_http
def enter(message):
    # Those whose names begin alike share a group
    Group("letter-%s" % message.user.username[0]).add(message.reply_channel)


# For websocket.receive
<ordering>@channel_session_user
def say(message):
    Group("letter-%s" % message.user.username[0]).send(message.content)


# For websocket.disconnect
<ordering>@channel_session_user
def leave(message):
    Group("letter-%s" % message.user.username[0]).discard(message.reply_channel)
    print("left", message.user.username)
"""
PEOPLE = ("anna", "albert", "berta")
PROJECT = {
    "talk/management/__init__.py": "",
    "talk/management/commands/__init__.py": "",
    "talk/management/commands/people.py": f"""
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    def handle(self, **options):
        for name in {PEOPLE}:
            password = PBKDF2PasswordHasher().encode("sesame", "salt", iterations=1)  # quick to check
            User.objects.create(username=name, is_staff=True, password=password)
""",
    "talk/templates/talk/page.html": """
<p id="who">{{ request.user.username }}</p>
<ul id="said"></ul>
<script>
socket = new WebSocket(
    {% if port %}"ws://127.0.0.1:{{ port }}{{ request.path }}?session_key={{ request.session.session_key }}"
    {% else %}"ws://" + location.host + location.pathname{% endif %}
);
socket.onmessage = function(e) {
    document.getElementById("said").append(Object.assign(document.createElement("li"), {textContent: e.data}));
};
socket.onopen = function() { document.title = "open"; };
socket.onclose = function(e) { document.title = "closed " + e.code; };
</script>
""",
    "talk/views.py": """
from django.shortcuts import render


def page(request, **kwargs):
    return render(request, "talk/page.html", {"port": request.GET.get("port")})
""",
    "mysite/urls.py": """
from django.contrib import admin
from django.urls import path
from talk.views import page

urlpatterns = [path("admin/", admin.site.urls), path("<variant>/", page)]
""",
    "mysite/routing.py": ROUTING,
    "talk/persisting.py": PERSISTING,
    **{f"talk/{name}.py": LETTERS.replace("<ordering>", ordering) for name, ordering in VARIANTS.items()},
}


COMMANDS = ("migrate", "people")


@pytest.fixture(scope="module")
def server(site: Site) -> RunServer:
    """A project with the examples of the three sections."""
    return site("sessions", PROJECT, *COMMANDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    expect.set_options(timeout=PATIENCE * 1000)
    with launched() as chromium:
        yield chromium


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Make visits, each in a window with cookies of its own."""
    with ExitStack() as stack:
        yield Visit(browser, stack)


class Visit:
    """Opens pages as somebody who has logged in by a form."""

    def __init__(self, browser: Browser, stack: ExitStack) -> None:
        self._browser = browser
        self._stack = stack

    def __call__(self, url: str, path: str, name: str) -> Page:
        """Return the page at ``url`` and ``path``, where ``name`` has logged in, once its socket is open."""
        page = self._stack.enter_context(self._browser.new_context()).new_page()
        page.goto(f"{url}/admin/login/?{urlencode({'next': path})}")
        page.fill("[name=username]", name)
        page.fill("[name=password]", "sesame")
        page.click("[type=submit]")
        return opened(page, name)


def opened(page: Page, name: str) -> Page:
    """Return the page of ``name``, once its socket is open."""
    expect(page.locator("#who")).to_have_text(name)
    expect(page).to_have_title("open")
    return page


def say(page: Page, text: str) -> None:
    """Send a frame from the page."""
    page.evaluate("text => socket.send(text)", text)


def test_a_room_is_that_of_the_path(server: RunServer) -> None:
    """What is said in a room is heard there and nowhere else; a message is sent on as it is."""
    with server.connect("/red/") as one, server.connect("/red/") as two, server.connect("/blue/") as three:
        one.send("hello")
        three.send("goodbye")
        assert [receive(client) for client in (one, two, three)] == ["hello", "hello", "goodbye"]
        two.send(b"\x00\x01")
        assert receive(one) == b"\x00\x01"


def test_the_room_is_known_at_the_end(server: RunServer) -> None:
    """A disconnect finds what the connect has stored."""
    since = len(server.lines)
    with server.connect("/green/"):
        pass
    server.wait_for("^left green$", since)
    assert server.matching("Traceback", since) == []


def test_only_those_with_the_same_first_letter_hear_each_other(server: RunServer, visit: Visit) -> None:
    """Three people who have logged in, each in a browser of their own, with each of the decorators."""
    pages = [visit(server.url, "/authentication/", name) for name in PEOPLE]
    for variant in VARIANTS:
        for page, name in zip(pages, PEOPLE, strict=True):
            page.goto(f"{server.url}/{variant}/")
            opened(page, name)
        check(*pages)
    since = len(server.lines)
    pages[0].close()
    server.wait_for("^left anna$", since)


def check(anna: Page, albert: Page, berta: Page) -> None:
    """See who hears whom, and that one is heard in order."""
    for page, text in ((anna, "from anna"), (berta, "from berta"), (albert, "from albert")):
        say(page, text)
    expect(berta.locator("#said li")).to_have_text(["from berta"])
    for page in (anna, albert):
        expect(page.locator("#said li")).to_have_count(2)
        assert sorted(page.locator("#said li").all_text_contents()) == ["from albert", "from anna"]
    for number in range(30):
        say(albert, str(number))
    expect(anna.locator("#said li")).to_have_count(32)
    assert anna.locator("#said li").all_text_contents()[2:] == [str(number) for number in range(30)]


def test_who_is_not_logged_in_is_not_let_in(server: RunServer) -> None:
    """Nobody has no first letter."""
    with pytest.raises(InvalidStatus, match="HTTP 500"), server.connect("/authentication/"):
        pass


def test_a_log_in_reaches_a_socket_on_another_port(tmp_path: Path, visit: Visit) -> None:
    """The page is one server's, the socket another's on a host that gets no cookie: the address has the key."""
    with over_redis(tmp_path, PROJECT) as project:
        prepared(project, COMMANDS)
        options = ("--noreload", "--noworker")
        with running(project, *options) as pages, running(project, *options) as sockets, working(project):
            page = visit(f"http://localhost:{pages.port}", f"/authentication/?port={sockets.port}", "anna")
            say(page, "from afar")
            expect(page.locator("#said li")).to_have_text(["from afar"])
            keys = [str(cookie.get("value")) for cookie in page.context.cookies() if cookie.get("name") == "sessionid"]
            assert len(keys) == 1
            assert keys[0] not in pages.output + sockets.output
