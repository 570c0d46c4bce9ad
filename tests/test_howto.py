"""The how-to guides, done as they say in the project of the tutorial's first chapter."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.chapters import PYTHON, Chapter, finished, run
from tests.chromium import launched
from tests.documents import ROOT
from tests.runserver import PATIENCE, receive, running

LOG_IN = """
from django.contrib.auth.models import User
from django.test import Client

client = Client()
client.force_login(User.objects.create_user("ada"))
print(client.cookies["sessionid"].value)
"""
LOGOUT = """
from django.contrib.auth import logout
from django.http import HttpResponse
from django.urls import path


def leave(request):
    logout(request)
    return HttpResponse()


urlpatterns = [path("leave/", leave)]
"""

Guide = Callable[[str], Chapter]


@pytest.fixture
def guide(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Guide:
    """Begin a guide, in a project that has an app."""

    def begin(name: str) -> Chapter:
        project = finished(1, tmp_path_factory.getbasetemp())
        return Chapter(ROOT / f"docs/howto/{name}.md", shutil.copytree(project, tmp_path / "site"))

    return begin


def test_user_is_known_until_logout(guide: Guide) -> None:
    """A stranger is refused, a user is told their name, and their socket is closed when they log out."""
    project = guide("know-the-user").to_the_end()
    (project / "mysite/urls.py").write_text(LOGOUT)
    key = run([*PYTHON, "manage.py", "shell", "--verbosity", "0"], project, LOG_IN).strip()
    cookie = {"Cookie": f"sessionid={key}"}
    with running(project, "--noreload") as server:
        with pytest.raises(InvalidStatus, match="403"), server.connect("/"):
            pass
        server.wait_for("WS REFUSED / 403 .*: nobody is logged in")
        with server.connect("/", additional_headers=cookie) as client:
            client.send("who am I?")
            assert receive(client) == "You are ada."
            urlopen(Request(f"{server.url}/leave/", headers=cookie), timeout=PATIENCE).close()
            with pytest.raises(ConnectionClosed) as closed:
                receive(client)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "logged out")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; closed with the module, as Playwright's event loop runs until then."""
    expect.set_options(timeout=PATIENCE * 1000)
    with launched() as chromium:
        yield chromium


def test_page_stays_connected(guide: Guide, browser: Browser) -> None:
    """What is said while the server is away is shown when it is back; a consumer's own code is the end."""
    project = guide("javascript-client").until_served()
    page = browser.new_page()
    with running(project, "--noreload") as server:
        port, url = server.port, server.url
        page.goto(url)
        state = page.locator("#state")
        expect(state).to_have_text("Connected")
        expect(page.locator("#now")).to_be_hidden()
    expect(state).to_have_text(re.compile(r"^Back in \d+ s$"))
    expect(page.locator("#now")).to_be_visible()
    say(page, "still here")
    with running(project, "--noreload", port=port):
        page.locator("#now").dispatch_event("click")  # wherever it is: the page may have come back by itself
        expect(state).to_have_text("Connected")
        expect(page.locator("#said li")).to_have_text(["still here"])
        say(page, "bye")
        expect(state).to_have_text("Closed: bye")
        expect(page.locator("#now")).to_be_hidden()
    page.close()


def say(page: Page, text: str) -> None:
    """Enter a text into the form of the page, and send it."""
    page.locator("#say input").fill(text)
    page.locator("#say button").click()


def test_chat_that_was_ported_from_channels_4(guide: Guide) -> None:
    """A stranger is refused, a user enters the room of the path, and is heard there and nowhere else."""
    project = guide("port-from-channels-4").to_the_end()
    key = run([*PYTHON, "manage.py", "shell", "--verbosity", "0"], project, LOG_IN).strip()
    cookie = {"Cookie": f"sessionid={key}"}
    with running(project, "--noreload") as server:
        with pytest.raises(InvalidStatus, match="403"), server.connect("/chat/lobby/"):
            pass
        with pytest.raises(InvalidStatus, match="404"), server.connect("/", additional_headers=cookie):
            pass
        rooms = [server.connect(f"/chat/{room}/", additional_headers=cookie) for room in ("lobby", "lobby", "attic")]
        with rooms[0] as one, rooms[1] as two, rooms[2] as attic:
            one.send("hello")
            assert receive(one) == receive(two) == "ada: hello"
            attic.send("alone")
            assert receive(attic) == "ada: alone"


def test_request_is_answered_later(guide: Guide) -> None:
    """A request that waits is answered by what a socket says."""
    project = guide("answer-later").until_served()
    with running(project, "--noreload") as server, ThreadPoolExecutor() as pool, server.connect("/") as client:
        answer = pool.submit(server.get, "/next/")
        deadline = time.monotonic() + PATIENCE
        while not answer.done() and time.monotonic() < deadline:
            client.send("your turn")  # again, because nothing tells when the request has begun to wait
            client.ping().wait(PATIENCE)
        status, body = answer.result(PATIENCE)
        assert (status, json.loads(body)) == (200, {"text": "your turn"})


def test_page_is_pushed_to(guide: Guide, browser: Browser) -> None:
    """A notice appears; one that was made while the server was away is there when the page has come back."""
    project = guide("server-sent-events").until_served()
    page = browser.new_page()
    with running(project, "--noreload") as server:
        port = server.port
        notice(project, "before")
        page.goto(server.url)
        expect(page.locator("li")).to_have_text(["before"])
    notice(project, "meanwhile")
    with running(project, "--noreload", port=port):
        expect(page.locator("li")).to_have_text(["before", "meanwhile"])
    page.close()


def notice(project: Path, text: str) -> None:
    """Make a notice in the shell."""
    typed = f"from chat.models import Notice; Notice.objects.create(text={text!r})"
    run([*PYTHON, "manage.py", "shell", "--verbosity", "0"], project, typed)


def test_class_handles_its_sockets(guide: Guide) -> None:
    """A room counts what each socket has said, and tells all in it."""
    project = guide("class-consumers").until_served()
    with running(project, "--noreload") as server, server.connect("/rooms/lobby/") as client:
        for number in (1, 2):
            client.send('{"text": "hello"}')
            assert json.loads(receive(client)) == {"text": "hello", "number": number}
        with server.connect("/rooms/lobby/") as other:
            other.send('{"text": "hi"}')
            assert json.loads(receive(client)) == json.loads(receive(other)) == {"text": "hi", "number": 1}


def test_rows_are_bound(guide: Guide) -> None:
    """A client creates a row, and is sent what the guide shows."""
    chapter = guide("bind-data")
    project = chapter.until_served()
    with running(project, "--noreload") as server, server.connect("/tasks/") as client:
        client.send('{"stream": "tasks", "payload": {"action": "create", "data": {"title": "Buy milk"}}}')
        assert json.loads(receive(client)) == json.loads(chapter.output())
        client.send('{"stream": "tasks", "payload": {"action": "delete", "pk": 1}}')
        server.wait_for("TaskBinding refused a client to delete chat.task 1")


def test_tests_pass(guide: Guide) -> None:
    """The tests of the guide are run by its command."""
    chapter = guide("test")
    chapter.to_the_end()
    printed = run([*PYTHON, "manage.py", "test"], chapter.project)
    assert "Ran 3 tests" in printed
