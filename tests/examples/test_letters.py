"""Rooms for those whose names begin alike, and for two, in a real browser against a real ``manage.py runserver``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.examples.conftest import NewTab
from tests.examples.server import ExampleServer

PASSWORD = "correct horse battery"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ExampleServer]:
    """A server with a database of its own."""
    server = ExampleServer("letters", tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def sign_up(new_tab: NewTab, server: ExampleServer, name: str) -> Page:
    """Make an account in a tab of its own."""
    page = new_tab(f"{server.url}/sign-up/")
    page.fill("[name=username]", name)
    page.fill("[name=password1]", PASSWORD)
    page.fill("[name=password2]", PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator("#state")).to_have_text("Connected")
    return page


def say(page: Page, text: str) -> None:
    """Say something in the room that is open."""
    page.get_by_label("Say something").fill(text)
    page.keyboard.press("Enter")


def heard(page: Page, *texts: str) -> None:
    """See that this, and nothing else, was said where the page is."""
    expect(page.locator("#said li")).to_have_text(list(texts))


def test_letters_and_private_rooms(server: ExampleServer, new_tab: NewTab) -> None:
    """Each hears who begins alike; two have a room for themselves; a logout closes every page of that browser."""
    anna, albert, berta = (sign_up(new_tab, server, name) for name in ("anna", "Albert", "berta"))
    say(anna, "to all with A")
    heard(albert, "annato all with A")
    say(berta, "to all with B")
    heard(berta, "bertato all with B")
    heard(anna, "annato all with A")

    berta.goto(f"{server.url}/with/anna/")
    expect(berta.locator("#state")).to_have_text("Connected")
    anna.goto(f"{server.url}/with/berta/")
    expect(anna.locator("#state")).to_have_text("Connected")
    say(berta, "between us")
    heard(anna, "bertabetween us")
    heard(albert, "annato all with A")

    other = anna.context.new_page()
    other.goto(server.url)
    expect(other.locator("#state")).to_have_text("Connected")
    other.get_by_role("button", name="Log out").click()
    expect(anna).to_have_title("Log in")
    say(berta, "still here")
    heard(berta, "bertabetween us", "bertastill here")


@pytest.mark.parametrize("path", ["/letter/", "/with/anna/"])
def test_strangers_stay_outside(server: ExampleServer, path: str) -> None:
    """Whoever is not logged in is refused."""
    with pytest.raises(InvalidStatus, match="403"):
        connect(server.url.replace("http", "ws") + path, proxy=None)
