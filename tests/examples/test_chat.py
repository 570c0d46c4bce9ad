"""The example chat, in a real browser and over plain sockets, against a real ``manage.py serve``."""

from __future__ import annotations

import json
import re
import shlex
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.chromium import launched
from tests.examples.chat_server import ChatServer
from tests.runserver import manage

PATIENCE = 15_000  # milliseconds: more than the page's longest wait before it tries to connect again
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
Tab = Callable[..., Page]


@contextmanager
def running(directory: Path, processes: int = 1) -> Iterator[ChatServer]:
    """Run the chat in a directory of its own, with so many worker processes."""
    server = ChatServer(directory, processes)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatServer]:
    """One server for the tests that leave it running."""
    with running(tmp_path_factory.mktemp("chat")) as chat:
        yield chat


@pytest.fixture
def restartable(tmp_path: Path) -> Iterator[ChatServer]:
    """A server for one test, which may stop and start it."""
    with running(tmp_path, processes=2) as chat:
        yield chat


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; closed with the module, as Playwright's event loop runs until then."""
    expect.set_options(timeout=PATIENCE)
    with launched() as chromium:
        yield chromium


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room for one test alone."""
    return re.sub("[^a-z0-9]+", "-", request.node.name)[:30].strip("-")


@pytest.fixture
def tab(browser: Browser, room: str) -> Iterator[Tab]:
    """Open rooms in tabs that share nothing; no script may fail in any of them."""
    contexts, errors = [], []

    def open_tab(server: ChatServer, nick: str, *, clock: bool = False, **options: Any) -> Page:
        context = browser.new_context(locale="en-GB", **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(error.message))
        if clock:
            page.clock.install()
        page.goto(f"{server.url}/rooms/{room}/?nick={quote(nick)}")
        expect(connection(page)).to_have_attribute("data-state", "connected")
        return page

    yield open_tab
    for context in contexts:
        context.close()
    assert errors == []


def connection(page: Page) -> Locator:
    """Return the part of the status bar that tells whether we are connected."""
    return page.locator("#connection")


def saved(page: Page) -> Locator:
    """Return the texts that the server has sent, without those that are still on their way to it."""
    return page.locator(".message:not(.pending) .text")


def say(page: Page, text: str) -> None:
    """Type a message and send it with the Enter key."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def socket(server: ChatServer, room: str, nick: str = "ada") -> ClientConnection:
    """Open a room's socket without a page."""
    path = f"/rooms/{room}/socket/?nick={quote(nick)}"
    return connect(server.url.replace("http", "ws", 1) + path, proxy=None)


def receive(client: ClientConnection) -> dict[str, Any]:
    """Return the next frame of a socket."""
    frame: dict[str, Any] = json.loads(client.recv(timeout=PATIENCE / 1000))
    return frame


def message(text: str) -> str:
    """Return the frame of a new message."""
    return json.dumps({"type": "message", "key": uuid.uuid4().hex, "text": text})


def announce(page: Page, server: ChatServer, room: str, text: str, token: str) -> int:
    """Post an announcement as the curl line on the page does; return the status of the answer."""
    url, headers = f"{server.url}/rooms/{room}/announce/", {"Authorization": f"Bearer {token}"}
    return page.request.post(url, headers=headers, form={"text": text}).status


def token_on(page: Page) -> str:
    """Return the token in the page's curl line."""
    found = re.search(r"Bearer ([\w-]+)", page.locator("#announce-line").inner_text())
    assert found is not None
    return found[1]


# The conversation


def test_two_tabs_chat(server: ChatServer, tab: Tab) -> None:
    """What one tab says is shown in both, in the same order."""
    ada, grace = tab(server, "ada"), tab(server, "grace")
    say(ada, "Hello, Grace")
    expect(saved(grace)).to_have_text(["Hello, Grace"])
    say(grace, "Hello, Ada")
    for page in (ada, grace):
        expect(saved(page)).to_have_text(["Hello, Grace", "Hello, Ada"])
        expect(page.locator(".message .nick")).to_have_text(["ada", "grace"])


def test_round_trip_is_shown_to_the_sender(server: ChatServer, tab: Tab) -> None:
    """The sender sees the milliseconds of each message and of the last one; others see none."""
    ada, grace = tab(server, "ada"), tab(server, "grace")
    say(ada, "How long?")
    expect(ada.locator(".message .badge")).to_have_text(re.compile(r"^\d+(\.\d)? ms$"))
    expect(ada.locator("#round-trip")).to_have_text(ada.locator(".message .badge").inner_text())
    expect(saved(grace)).to_have_text(["How long?"])
    expect(grace.locator(".message .badge")).to_have_text("")


def test_typing_is_shown_until_the_message_comes(server: ChatServer, tab: Tab) -> None:
    """Others see who is typing, until what was typed is said; who types does not."""
    ada, grace = tab(server, "ada"), tab(server, "grace")
    grace.get_by_label("Message", exact=True).press_sequentially("Hel")
    expect(ada.locator("#typing")).to_have_text("grace is typing…")
    expect(grace.locator("#typing")).to_be_empty()
    grace.keyboard.press("Enter")
    expect(saved(ada)).to_have_text(["Hel"])
    expect(ada.locator("#typing")).to_be_empty()


def test_typing_expires(server: ChatServer, tab: Tab) -> None:
    """Somebody who stops typing is forgotten after a few seconds."""
    ada, grace = tab(server, "ada", clock=True), tab(server, "grace")
    grace.get_by_label("Message", exact=True).press_sequentially("Hel")
    expect(ada.locator("#typing")).to_have_text("grace is typing…")
    ada.clock.fast_forward(5000)
    expect(ada.locator("#typing")).to_be_empty()


def test_markup_is_shown_as_text(server: ChatServer, tab: Tab) -> None:
    """A message that looks like HTML is text to the page."""
    ada = tab(server, "ada")
    say(ada, "<img src=x onerror=alert(1)>")
    expect(saved(ada)).to_have_text(["<img src=x onerror=alert(1)>"])
    expect(ada.locator(".message img")).to_have_count(0)


def test_rooms_are_apart(server: ChatServer, tab: Tab, room: str) -> None:
    """What is said in one room is not shown in another."""
    ada = tab(server, "ada")
    with socket(server, f"{room}-2") as elsewhere:
        elsewhere.send(message("Not here"))
        assert receive(elsewhere)["type"] == "hello"
        assert receive(elsewhere)["message"]["text"] == "Not here"
    say(ada, "Here")
    expect(saved(ada)).to_have_text(["Here"])


def test_newcomers_see_the_last_fifty_messages(server: ChatServer, tab: Tab, room: str) -> None:
    """History comes with the greeting, oldest first."""
    with socket(server, room) as client:
        receive(client)
        for number in range(52):
            client.send(message(str(number)))
        assert {receive(client)["message"]["text"] for _ in range(52)} == {str(n) for n in range(52)}
    ada = tab(server, "ada")
    expect(saved(ada)).to_have_count(50)
    ids = ada.locator(".message").evaluate_all("items => items.map(item => Number(item.dataset.id))")
    assert ids == sorted(ids)


def test_a_message_sent_twice_is_saved_once(server: ChatServer, room: str) -> None:
    """The sender's key makes a resend harmless."""
    twice = message("Once")
    with socket(server, room) as client:
        receive(client)
        client.send(twice)
        client.send(twice)
        assert receive(client)["message"] == receive(client)["message"]
    with socket(server, room) as client:
        assert [said["text"] for said in receive(client)["history"]] == ["Once"]


# Input that is refused


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 8000, "not JSON"),
        ("[]", "Send an object"),
        ('"' + "x" * 8192 + '"', "at most 8192 characters, not 8194"),
        (b"{}", "binary"),
        ("{}", "type None"),
        ('{"type": ["message"]}', "type ['message']"),
        ('{"type": "shout"}', "type 'shout'"),
        ('{"type": "message", "text": "x"}', "key: This field is required."),
        ('{"type": "message", "key": "x", "text": "x"}', "key: "),
        (message("   "), "text: This field is required."),
        (message("x" * 501), "at most 500 characters (it has 501)"),
        (message("\ud800"), "surrogate"),
        (message("\0"), "text: Null characters are not allowed."),
    ],
    # Ids of their own: a message has a new key each time.
    ids=[
        "not JSON",
        "deep",
        "list",
        "long",
        "bytes",
        "no type",
        "type list",
        "type",
        "no key",
        "key",
        "blank",
        "501",
        "half a pair",
        "NUL",
    ],
)
def test_a_bad_frame_is_answered_to_its_sender_alone(server: ChatServer, frame: str | bytes, reason: str) -> None:
    """The sender reads what was wrong, nobody else hears of it, and the socket goes on."""
    room = uuid.uuid4().hex
    with socket(server, room) as sender, socket(server, room, "grace") as other:
        assert receive(sender)["type"] == receive(other)["type"] == "hello"
        sender.send(frame)
        answer = receive(sender)
        assert answer["type"] == "error"
        assert reason in " ".join(answer["reasons"])
        sender.send(message("Better"))
        assert receive(sender)["message"]["text"] == receive(other)["message"]["text"] == "Better"


def test_a_refused_message_says_why(server: ChatServer, tab: Tab) -> None:
    """A message that the server refuses stays on its sender's page with the reason beside it."""
    ada = tab(server, "ada")
    ada.locator("#id_text").evaluate("field => field.removeAttribute('maxlength')")
    say(ada, "x" * 501)
    expect(ada.locator(".message.refused .badge")).to_contain_text("at most 500 characters")
    say(ada, "short")
    expect(ada.locator(".message .text")).to_have_text(["x" * 501, "short"])
    expect(ada.locator(".pending")).to_have_count(0)


@pytest.mark.parametrize(("room_name", "nick", "status"), [("Lobby", "ada", 404), ("lobby", "<b>", 403)])
def test_a_bad_room_or_name_is_refused(server: ChatServer, room_name: str, nick: str, status: int) -> None:
    """A room that the routing does not know is not found; a name that the form refuses is denied."""
    with pytest.raises(InvalidStatus) as refusal:
        socket(server, room_name, nick)
    assert refusal.value.response.status_code == status


# From outside the sockets


def test_an_announcement_reaches_every_tab(server: ChatServer, tab: Tab, room: str) -> None:
    """A Django view sends to the room's group."""
    ada, grace = tab(server, "ada"), tab(server, "grace")
    assert announce(ada, server, room, "Tea is ready", token_on(ada)) == 200
    for page in (ada, grace):
        expect(page.locator(".announcement .text")).to_have_text(["Tea is ready"])


def test_announcements_need_the_token_of_their_room(server: ChatServer, tab: Tab, room: str) -> None:
    """Without the token, with another room's, without a text, or by GET nothing is announced."""
    ada = tab(server, "ada")
    token = token_on(ada)
    assert announce(ada, server, room, "Boo", "") == 401
    assert announce(ada, server, f"{room}-2", "Boo", token) == 401
    assert announce(ada, server, room, "", token) == 400
    assert ada.request.get(f"{server.url}/rooms/{room}/announce/").status == 405
    assert announce(ada, server, room, "Hear, hear", token) == 200
    expect(ada.locator(".announcement .text")).to_have_text(["Hear, hear"])


# The connection


def test_a_restart_is_survived(restartable: ChatServer, tab: Tab) -> None:
    """The page says that it is away, keeps what is typed, comes back by itself and sends it once."""
    ada, grace = tab(restartable, "ada"), tab(restartable, "grace")
    say(ada, "Before")
    expect(saved(grace)).to_have_text(["Before"])
    restartable.stop()
    for page in (ada, grace):
        expect(connection(page)).to_have_attribute("data-state", "away")
    say(ada, "While away")
    expect(ada.locator(".pending .badge")).to_have_text("waiting")
    expect(ada.locator("#banner")).to_contain_text("One message waits for it.")
    restartable.start()
    for page in (ada, grace):
        expect(connection(page)).to_have_attribute("data-state", "connected")
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator("#reconnects")).to_have_text("1")
        expect(saved(page)).to_have_text(["Before", "While away"])


def test_a_deploy_shows_in_the_code_version_and_nowhere_else(
    restartable: ChatServer, tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``make deploy`` replaces the workers: the status bar shows another version at once, and no reconnect."""
    monkeypatch.syspath_prepend(SCRIPTS)
    deploy = import_module("deploy")
    monkeypatch.setattr(deploy, "CHAT", restartable.project)
    monkeypatch.setattr(deploy.environment, "PYTHON", sys.executable)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    ada = tab(restartable, "ada")
    version = ada.locator("#code-version")
    expect(version).to_have_text(re.compile("^[0-9a-f]{7}$"))
    before = version.inner_text()
    deploy.main()
    expect(version).not_to_have_text(before)
    expect(version).to_have_class(re.compile("changed"))
    say(ada, "Still here")
    expect(saved(ada)).to_have_text(["Still here"])
    expect(ada.locator("#reconnects")).to_have_text("0")
    expect(connection(ada)).to_have_attribute("data-state", "connected")


def test_the_time_of_the_connection_is_counted(server: ChatServer, tab: Tab) -> None:
    """The status bar shows how long the connection has lasted."""
    ada = tab(server, "ada", clock=True)
    expect(connection(ada)).to_have_text(re.compile(r"^Connected for 00:0\d$"))
    ada.clock.fast_forward("01:02:03")
    expect(connection(ada)).to_have_text(re.compile(r"^Connected for 01:02:0\d$"))


# The pages


def test_the_entrance_leads_into_a_room(server: ChatServer, browser: Browser, tab: Tab, room: str) -> None:
    """Somebody gives a name and enters: by the form, or by one of the rooms in use."""
    say(tab(server, "ada"), "Anybody here?")
    page = tab(server, "grace")
    expect(saved(page)).to_have_text(["Anybody here?"])
    page.get_by_role("link", name="Rooms").click()
    expect(page.get_by_label("Your name")).to_have_value("grace")
    page.get_by_role("button", name=re.compile(f"^{room} 1 message, the last ")).click()
    expect(page).to_have_url(f"{server.url}/rooms/{room}/?nick=grace")
    expect(saved(page)).to_have_text(["Anybody here?"])


def test_a_name_is_asked_for(server: ChatServer, tab: Tab, room: str) -> None:
    """A link without a name leads to the entrance, with the room filled in; a bad name is explained there."""
    page = tab(server, "ada")
    page.goto(f"{server.url}/rooms/{room}/")
    expect(page.get_by_label("Room")).to_have_value(room)
    page.get_by_label("Your name").fill("<b>")
    page.get_by_role("button", name="Enter").click()
    expect(page.locator(".error")).to_have_text("Use letters, digits, spaces, dots and hyphens.")
    page.get_by_label("Your name").fill("Ada L.")
    page.keyboard.press("Enter")
    expect(page.locator(".you")).to_have_text("You are Ada L.")
    expect(connection(page)).to_have_attribute("data-state", "connected")


def test_the_whole_source_stands_beside_the_conversation(server: ChatServer, tab: Tab) -> None:
    """The page shows consumers.py to the letter."""
    shown = tab(server, "ada").locator(".code pre").text_content()
    assert shown == (server.project / "chat" / "consumers.py").read_text()


def test_the_shell_line_can_be_copied(server: ChatServer, tab: Tab, room: str) -> None:
    """A button copies the line, which names the room; what it says there is heard here."""
    ada = tab(server, "ada", permissions=["clipboard-read", "clipboard-write"])
    ada.get_by_role("button", name="Copy the shell line").click()
    expect(ada.locator("[data-copies=shell-line]")).to_have_text("Copied")
    copied = ada.evaluate("navigator.clipboard.readText()")
    assert f"'room': '{room}'" in copied
    program, *arguments = shlex.split(copied)
    assert program == "python"
    manage(server.project, *arguments[1:], environment=server.environment)
    expect(saved(ada)).to_have_text(["Hello from a shell"])
    expect(ada.locator(".note")).to_have_count(0)


def test_a_phone_shows_the_conversation_without_scrolling_sideways(server: ChatServer, tab: Tab) -> None:
    """At 360 pixels nothing sticks out, and the field to write in is in view."""
    ada = tab(server, "ada", viewport={"width": 360, "height": 740})
    say(ada, "word" * 100)
    expect(saved(ada)).to_have_count(1)
    assert ada.evaluate("document.documentElement.scrollWidth") == 360
    expect(ada.get_by_label("Message", exact=True)).to_be_in_viewport()


# Its own tests


def test_the_example_s_own_tests_pass(server: ChatServer) -> None:
    """What a project would test of it fits on a page, and needs neither server nor browser."""
    assert "Ran 4 tests" in server.manage("test", "chat")
    assert len((server.project / "chat" / "tests.py").read_text().splitlines()) <= 60
