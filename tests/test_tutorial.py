"""The tutorial, followed to the letter: its files written, its commands run, its scripts pasted into a browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from channel_layers.exceptions import InvalidContent
from channel_layers.messages import check_reply
from tests.chapters import PAGES, Chapter, finished
from tests.chromium import launched
from tests.runserver import PATIENCE, running

Read = Callable[[int], Chapter]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_next_and_the_last_chapter_are_those(page: Path) -> None:
    """A link that names a chapter by its place leads there, and every page but the last names what comes next."""
    following = PAGES[PAGES.index(page) + 1 :]
    links = re.findall(r"\[(next|last) chapter\]\((.+?)\)", page.read_text())
    for place, target in links:
        assert target == (following[0] if place == "next" else PAGES[-1]).name
    assert not following or f"]({following[0].name})" in page.read_text()


@pytest.fixture
def read(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Read:
    """Begin a chapter, with the project as the chapter before has left it."""

    def begin(number: int) -> Chapter:
        project = finished(number - 1, tmp_path_factory.getbasetemp())
        return Chapter(PAGES[number - 1], shutil.copytree(project, tmp_path / "site"))

    return begin


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    expect.set_options(timeout=PATIENCE * 1000)
    with launched() as chromium:
        yield chromium


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab of the browser."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE * 1000)
    yield context.new_page()
    context.close()


def enter(url: str, tab: Page) -> Page:
    """Open the chat at ``url`` in another tab beside ``tab``, and return that once its socket is open."""
    page = tab.context.new_page()
    page.goto(url)
    until_open(page)
    return page


def until_open(tab: Page) -> None:
    """Wait until the socket of the page is open."""
    tab.wait_for_function("socket.readyState == WebSocket.OPEN")


def paste(script: str, tab: Page) -> None:
    """Paste ``script`` into the console."""
    tab.evaluate(script + "\nundefined")  # Playwright calls what it gets if that is a function


def say(form: str, text: str, tab: Page) -> None:
    """Enter ``text`` into a form of the page, and send it."""
    tab.locator(f"#{form} input[name=text]").fill(text)
    tab.locator(f"#{form} button").click()


def expect_said(tab: Page, *texts: str) -> None:
    """Wait until the chat shows exactly ``texts``, whatever the time before each."""
    expect(tab.locator("#said li")).to_have_text([re.compile(rf"^(\d\d:\d\d )?{re.escape(text)}$") for text in texts])


def test_first_chapter_makes_a_socket_that_greets(read: Read, tab: Page) -> None:
    """A new project with the lines of chapter 1 greets a browser, and the terminal shows what the page shows."""
    chapter = read(1)
    with running(chapter.until_served()) as server:
        assert chapter.output() in server.lines
        tab.goto(server.url)
        with tab.expect_console_message(lambda message: message.text == "Hello from Django."):
            paste(chapter.next("browser"), tab)
        server.wait_for(r"\] WS OPEN / \[127\.0\.0\.1:\d+\]")


def test_second_chapter_answers_a_request(read: Read) -> None:
    """The HTTP consumer answers with the text that the page shows."""
    chapter = read(2)
    with running(chapter.until_served(), "--noreload") as server:
        assert server.get("/any/page/you/like/") == (200, chapter.next("output"))


def test_second_chapter_makes_an_echo(read: Read, tab: Page) -> None:
    """The echo echoes, prints what it got, and goes on after an exception."""
    chapter = read(2)
    chapter.until_served()
    with running(chapter.until_served(), "--noreload") as server:
        tab.goto(server.url)
        with tab.expect_console_message(lambda message: message.text == "hello"):
            paste(chapter.next("browser"), tab)
        server.wait_for(r"\{'text': 'hello', 'reply_channel': 'websocket\.send\..+', 'path': '/echo/', 'order': 1\}")
        with tab.expect_console_message(lambda message: message.text == "still here"):
            paste(chapter.next("browser"), tab)
        server.wait_for(r"chat\.consumers\.ws_receive raised on websocket\.receive /echo/")
        server.wait_for("^KeyError: 'text'")


def test_second_chapter_shows_the_error_of_a_misspelt_key(read: Read) -> None:
    """The sentence about the key ``txt`` is the one that is raised."""
    chapter = read(2)
    chapter.until_served()
    chapter.until_served()
    with pytest.raises(InvalidContent) as raised:
        check_reply("websocket.send.process!key", {"txt": "hello"})
    assert str(raised.value) == chapter.output()


def test_third_chapter_makes_a_chat_between_tabs(read: Read, tab: Page) -> None:
    """What one tab says, both show, as text; a tab that is loaded again has forgotten it."""
    chapter = read(3)
    with running(chapter.until_served(), "--noreload") as server:
        one, other = (enter(f"{server.url}/chat/", tab) for _ in range(2))
        say("say", "hello, tabs", one)
        expect_said(one, "hello, tabs")
        expect_said(other, "hello, tabs")
        other.reload()
        until_open(other)
        say("say", "<b>again</b>", other)
        expect_said(one, "hello, tabs", "<b>again</b>")
        expect_said(other, "<b>again</b>")


def test_fourth_chapter_shows_what_includes_make(read: Read) -> None:
    """The flattened routes are as the page shows them."""
    chapter = read(4)
    routes = chapter.shell()
    assert routes == chapter.next("output")


def test_fourth_chapter_keeps_rooms_apart(read: Read, tab: Page) -> None:
    """A room hears itself only, and a path without a route is refused as the page says."""
    chapter = read(4)
    with running(chapter.until_served(), "--noreload") as server:
        tea, more_tea, coffee = (enter(f"{server.url}/rooms/{name}/", tab) for name in ("tea", "tea", "coffee"))
        say("say", "tea, please", tea)
        expect_said(tea, "tea, please")
        expect_said(more_tea, "tea, please")
        say("say", "coffee, please", coffee)
        expect_said(coffee, "coffee, please")
        expect_said(tea, "tea, please")
        paste(chapter.next("browser"), coffee)
        server.wait_for(re.escape(chapter.output()).replace("51234", r"\d+"))


def test_fifth_chapter_remembers(read: Read, tab: Page) -> None:
    """Texts are saved, shown after a reload, and announced by a view; another process reaches all tabs."""
    chapter = read(5)
    with running(chapter.until_served(), "--noreload") as server:
        one, other = (enter(f"{server.url}/rooms/tea/", tab) for _ in range(2))
        say("say", " one lump ", one)
        expect_said(one, "one lump")
        expect_said(other, "one lump")
        say("announce", "tea is ready", one)
        expect_said(other, "one lump", "Announcement: tea is ready")
        expect_said(one, "one lump", "Announcement: tea is ready")
        chapter.to_the_end()
        for tab_of_tea in (one, other):
            expect_said(tab_of_tea, "one lump", "Announcement: tea is ready", "from afar")


def log_in(url: str, name: str, tab: Page) -> Page:
    """Log in as ``name`` on the way to the page at ``url``, and return that."""
    tab.goto(url)
    tab.fill("[name=username]", name)
    tab.fill("[name=password]", "open sesame")
    tab.get_by_role("button", name="Log in").click()
    expect(tab.locator("#say")).to_be_visible()
    return tab


def test_sixth_chapter_knows_the_user(read: Read, tab: Page, browser: Browser) -> None:
    """Who logs in is named, a room of one letter is for those who begin with it, and a logout closes the socket."""
    chapter = read(6)
    chapter.shell()
    with running(chapter.until_served(), "--noreload") as server:
        anna = log_in(f"{server.url}/rooms/a/", "anna", tab)
        until_open(anna)
        with browser.new_context() as context:
            berta = log_in(f"{server.url}/rooms/a/", "berta", context.new_page())
            server.wait_for("WS REFUSED /rooms/a/ 403 .*: berta does not begin with a")
            say("say", "good morning", anna)
            expect_said(anna, "anna: good morning")
            expect_said(berta)
            berta.goto(f"{server.url}/rooms/tea/")
            until_open(berta)
            say("say", "tea?", berta)
            expect_said(berta, "from afar", "berta: tea?")
        other = enter(f"{server.url}/rooms/tea/", tab)
        expect_said(other, "from afar", "berta: tea?")
        paste(chapter.next("browser"), anna)
        script, expected = chapter.next("browser"), chapter.output()
        with anna.expect_console_message(lambda message: message.text == expected):
            paste(script, other)
