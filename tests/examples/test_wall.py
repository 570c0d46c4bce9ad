"""The wall, in a real browser against a real ``manage.py runserver``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.examples.conftest import NewTab
from tests.examples.server import ExampleServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ExampleServer]:
    """A server whose wall is empty."""
    server = ExampleServer("wall", tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def look(new_tab: NewTab, server: ExampleServer) -> Page:
    """Open the wall, and wait until it is followed."""
    page = new_tab(server.url)
    expect(page.locator("#live")).to_have_text("Live")
    return page


def leave(page: Page, text: str) -> None:
    """Leave a note."""
    page.get_by_placeholder("Leave a note").fill(text)
    page.get_by_role("button", name="Put it up").click()


def test_a_note_is_seen_by_all(server: ExampleServer, new_tab: NewTab) -> None:
    """As text, at once, and by those who come later; the field is free for another."""
    one, other = look(new_tab, server), look(new_tab, server)
    leave(one, "<b>hello</b>")
    for page in (one, other, look(new_tab, server)):
        expect(page.locator("#notes li")).to_have_text(["<b>hello</b>"])
    expect(one.get_by_placeholder("Leave a note")).to_have_value("")


def test_a_page_resumes_after_a_restart(server: ExampleServer, new_tab: NewTab) -> None:
    """It comes back by itself, has what it missed, once, and goes on."""
    page = look(new_tab, server)
    leave(page, "before")
    expect(page.locator("#notes li")).to_have_text(["before"])
    server.stop()
    expect(page.locator("#live")).to_have_text("Away")
    server.manage("shell", "-c", "from notes.models import Note; Note(text='meanwhile').save()")
    server.start()
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("#notes li")).to_have_text(["before", "meanwhile"])
    leave(page, "after")
    expect(page.locator("#notes li")).to_have_text(["before", "meanwhile", "after"])
