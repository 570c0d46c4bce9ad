"""The 2016 guide, "Groups": the chat of all who are connected, over plain sockets and in a browser's console."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Dialog, Page

from tests.chromium import launched
from tests.guide.project import Site
from tests.runserver import RunServer, receive

GROUPS = {
    "talk/consumers.py": """
from channels import Group


# For websocket.connect
def enter(message):
    print("entering", message.content['path'])
    Group("hall").add(message.reply_channel)


# For websocket.receive
def say(message):
    Group("hall").send({
        "text": "(somebody) %s" % message.content['text'],
    })


# For websocket.disconnect
def leave(message):
    Group("hall").discard(message.reply_channel)
    print("left", message.content['path'])
""",
    "mysite/routing.py": """
from channels.routing import route
from talk.consumers import enter, say, leave

channel_routing = [
    route("websocket.connect", enter),
    route("websocket.receive", say),
    route("websocket.disconnect", leave),
]
""",
}

CONSOLE = """
socket = new WebSocket("ws://127.0.0.1:PORT/hall/");
socket.onmessage = function(e) {
    alert(e.data);
}
socket.onopen = function() {
    socket.send("good evening");
}
"""
# A person is asked whether a blank page may reach this machine; without a window the answer would be no.
NO_QUESTIONS = "--disable-features=LocalNetworkAccessChecks"


@pytest.fixture(scope="module")
def server(site: Site) -> RunServer:
    """The project of the guide."""
    return site("groups", GROUPS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with launched(NO_QUESTIONS) as chromium:
        yield chromium


class Tab:
    """A tab and the texts that it has shown in alerts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.alerts: list[str] = []
        page.on("dialog", self._confirm)

    def _confirm(self, dialog: Dialog) -> None:
        self.alerts.append(dialog.message)
        dialog.accept()


def test_everybody_hears_what_is_said(server: RunServer) -> None:
    """A message to the group reaches every socket that was added to it, its sender included."""
    with server.connect("/hall/") as one, server.connect("/hall/") as two, server.connect("/elsewhere/") as three:
        one.send("hello")
        two.send("hi")
        for client in (one, two, three):
            assert {receive(client), receive(client)} == {"(somebody) hello", "(somebody) hi"}


def test_one_speaker_is_heard_in_order(server: RunServer) -> None:
    """What one socket says arrives everywhere in the order it was said."""
    with server.connect("/hall/") as speaker, server.connect("/hall/") as listener:
        for number in range(50):
            speaker.send(str(number))
        expected = [f"(somebody) {number}" for number in range(50)]
        assert [receive(speaker) for _ in expected] == expected
        assert [receive(listener) for _ in expected] == expected


def test_who_has_left_hears_nothing_and_is_heard_of(server: RunServer) -> None:
    """A closed socket runs the disconnect consumer; for those who stay the group goes on."""
    since = len(server.lines)
    with server.connect("/hall/") as stays:
        with server.connect("/leaving/"):
            server.wait_for("^entering /leaving/$", since)
        server.wait_for("^left /leaving/$", since)
        stays.send("alone")
        assert receive(stays) == "(somebody) alone"
    assert server.matching("Traceback", since) == []


def test_a_member_can_speak_the_moment_it_is_connected(server: RunServer) -> None:
    """Nothing is sent before the connect consumer is done, so no first message misses its sender."""
    for number in range(20):
        with server.connect("/hall/") as client:
            client.send(str(number))
            assert receive(client) == f"(somebody) {number}"


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "about:blank"])
def test_the_console_of_a_browser(server: RunServer, browser: Browser, address: str) -> None:
    """The guide's lines, typed into the console of two tabs, raise an alert in each; the page may be a blank one."""
    console = f"() => {{ {CONSOLE.replace('PORT', str(server.port))} }}"
    with ExitStack() as stack:
        context = stack.enter_context(browser.new_context())
        first, second = (Tab(context.new_page()) for _ in range(2))
        for tab in (first, second):
            tab.page.goto(address.format(port=server.port))
        with first.page.expect_event("dialog"):
            first.page.evaluate(console)
        assert (first.alerts, second.alerts) == (["(somebody) good evening"], [])
        with first.page.expect_event("dialog"), second.page.expect_event("dialog"):
            second.page.evaluate(console)
        assert (first.alerts, second.alerts) == (["(somebody) good evening"] * 2, ["(somebody) good evening"])
