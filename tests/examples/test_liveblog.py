"""The live blog, in a real browser against a real ``manage.py runserver``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.examples.conftest import NewTab
from tests.examples.server import ExampleServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ExampleServer]:
    """A server whose blogs are empty."""
    server = ExampleServer("liveblog", tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def read(new_tab: NewTab, server: ExampleServer, slug: str = "launch") -> Page:
    """Open a blog, and wait until it is followed."""
    page = new_tab(f"{server.url}/{slug}/")
    expect(page.locator("#live")).to_have_text("Live")
    return page


def publish(desk: Page, text: str) -> None:
    """Write a post."""
    desk.get_by_label("Write a post").fill(text)
    desk.get_by_role("button", name="Publish").click()


def test_readers_see_what_is_written(server: ExampleServer, new_tab: NewTab) -> None:
    """A post appears at the top, changes where it stands, and disappears, without a reload; other blogs stay apart."""
    reader, other = read(new_tab, server), read(new_tab, server, "derby")
    expect(reader.get_by_text("Nothing has been written yet.")).to_be_visible()
    desk = new_tab(f"{server.url}/launch/desk/")
    publish(desk, "The <b>count</b> has begun.")
    publish(desk, "Lift-off!\n\nAnd what a sound.")
    posts = reader.locator(".post div")
    expect(posts).to_have_text(["Lift-off! And what a sound.", "The <b>count</b> has begun."], use_inner_text=False)
    expect(reader.locator(".post").first.locator("p")).to_have_count(2)
    desk.get_by_role("link", name="Edit").last.click()
    desk.get_by_label("Edit the post").fill("The count was held.")
    desk.get_by_role("button", name="Save").click()
    expect(posts.last).to_have_text("The count was held.")
    desk.get_by_role("button", name="Delete").first.click()
    expect(posts).to_have_text(["The count was held."])
    expect(other.locator(".post")).to_have_count(0)
    expect(read(new_tab, server).locator(".post")).to_have_count(1)


def test_a_reader_who_was_away_catches_up(server: ExampleServer, new_tab: NewTab) -> None:
    """What was written while the socket was away is there when it comes back."""
    reader = read(new_tab, server)
    server.stop()
    expect(reader.locator("#live")).to_have_attribute("data-state", "away")
    server.manage(
        "shell",
        "-c",
        "from blog.models import Blog, Post; Post(blog=Blog.objects.get(slug='launch'), text='Meanwhile').save()",
    )
    server.start()
    expect(reader.locator(".post div")).to_have_text(["Meanwhile"])
    expect(reader.locator("#live")).to_have_text("Live")


def test_the_front_page_leads_to_both(server: ExampleServer, new_tab: NewTab) -> None:
    """To each blog, and to its desk."""
    page = new_tab(server.url)
    page.get_by_role("link", name="The derby").click()
    expect(page.get_by_role("heading")).to_contain_text("The derby")
    page.get_by_role("link", name="Live blogs").click()
    page.get_by_role("link", name="The desk").first.click()
    publish(page, "x")
    expect(page.locator(".written .text")).to_have_text(["x"])


def test_a_blog_that_is_none_has_no_socket(server: ExampleServer) -> None:
    """The consumer refuses."""
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{server.url.replace('http', 'ws')}/nowhere/socket/", proxy=None)
