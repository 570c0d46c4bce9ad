"""The to-do list by data binding, in a real browser against a real ``manage.py runserver``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from websockets.sync.client import ClientConnection, connect

from tests.examples.conftest import NewTab
from tests.examples.server import ExampleServer

GROCERIES = ["Milk", "Two lemons", "Something for dinner"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ExampleServer]:
    """A server whose lists are as the example has them."""
    server = ExampleServer("todo", tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def look_at(new_tab: NewTab, server: ExampleServer, name: str = "groceries") -> Page:
    """Open a list, and wait until it is connected."""
    page = new_tab(f"{server.url}/{name}/")
    expect(page.locator("#state")).to_have_attribute("data-state", "connected")
    return page


def item(page: Page, text: str) -> Locator:
    """Return the item with ``text``."""
    return page.locator("#items li", has=page.get_by_label(f"Text of {text}", exact=True))


def texts(page: Page) -> Any:
    """Return what is on the list."""
    return page.locator("#items input[type=text]").evaluate_all("fields => fields.map(field => field.value)")


def socket(server: ExampleServer, name: str) -> ClientConnection:
    """Open the socket of a list without a page."""
    return connect(f"{server.url.replace('http', 'ws')}/{name}/socket/", proxy=None)


def ask(client: ClientConnection, action: str, pk: int | None, **data: Any) -> None:
    """Ask for a change as the page does."""
    client.send(json.dumps({"stream": "items", "payload": {"action": action, "pk": pk, "data": data}}))


def test_pages_show_the_same(server: ExampleServer, new_tab: NewTab) -> None:
    """What one page adds, ticks, rewords or deletes, every page of the list shows, and no other."""
    one, two, other = look_at(new_tab, server), look_at(new_tab, server), look_at(new_tab, server, "moving-house")
    assert texts(one) == texts(two) == GROCERIES
    one.get_by_label("What else?").fill("<b>Bread</b>")
    one.keyboard.press("Enter")
    expect(item(two, "<b>Bread</b>")).to_be_visible()
    two.get_by_label("Done: Milk").check()
    expect(item(one, "Milk")).to_have_class("done")
    expect(one.locator("#progress")).to_have_text("2 of 4 done")
    two.get_by_label("Text of Milk").fill("Oat milk")
    two.keyboard.press("Enter")
    expect(item(one, "Oat milk")).to_be_visible()
    one.get_by_role("button", name="Delete Two lemons").click()
    expect(item(two, "Two lemons")).to_have_count(0)
    assert texts(two) == ["Oat milk", "Something for dinner", "<b>Bread</b>"]
    assert texts(other) == ["Find the screwdriver", "Label the boxes"]
    expect(other.locator("#progress")).to_have_text("0 of 2 done")


def test_an_empty_list_is_begun(server: ExampleServer, new_tab: NewTab) -> None:
    """A list is there as soon as something is on it."""
    page = look_at(new_tab, server, "holiday")
    expect(page.get_by_text("Nothing to do.")).to_be_visible()
    page.get_by_label("What else?").fill("Find the passport")
    page.keyboard.press("Enter")
    expect(item(page, "Find the passport")).to_be_visible()
    expect(look_at(new_tab, server).get_by_role("link", name="holiday")).to_be_visible()


def test_a_page_that_was_away_catches_up(server: ExampleServer, new_tab: NewTab) -> None:
    """It says so, lets nothing be changed meanwhile, and shows what has happened when it comes back."""
    page = look_at(new_tab, server)
    server.stop()
    expect(page.locator("#state")).to_have_attribute("data-state", "away")
    expect(page.get_by_label("What else?")).to_be_disabled()
    server.manage("shell", "-c", "from lists.models import Item; Item.objects.all().delete()")
    server.start()
    expect(page.get_by_text("Nothing to do.")).to_be_visible()
    expect(page.get_by_label("What else?")).to_be_enabled()


def test_a_page_changes_its_own_list_alone(server: ExampleServer) -> None:
    """Neither items of other lists nor the list of an item can be changed, nor can the text be anything."""
    with socket(server, "groceries") as page, socket(server, "moving-house") as other:
        ask(other, "update", 1, text="stolen")
        ask(other, "delete", 1)
        ask(page, "update", 1, list="moving-house", id=99)
        ask(page, "update", 1, text="x" * 121)
        ask(page, "create", None, text="", done=True)
        ask(page, "create", None, text="Bread", list="moving-house")
        sent = [json.loads(page.recv(timeout=10))["payload"] for _ in range(2)]
    assert [(change["action"], change["data"]) for change in sent] == [
        ("update", {"text": "Milk", "done": False}),
        ("create", {"text": "Bread", "done": False}),
    ]
