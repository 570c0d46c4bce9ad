"""The chat of many rooms, in a real browser against a real ``manage.py runserver``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.examples.conftest import NewTab
from tests.examples.server import ExampleServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExampleServer]:
    """One server for all tests."""
    server = ExampleServer("multichat", tmp_path_factory.mktemp("multichat"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def enter(new_tab: NewTab, server: ExampleServer, name: str) -> Page:
    """Log in as ``name`` in a tab of its own."""
    page = new_tab(server.url)
    page.get_by_role("button", name=name).click()
    expect(page.locator("#state")).to_have_text("Connected")
    return page


def door(page: Page, room: str) -> Locator:
    """Return the button that joins and leaves a room."""
    return page.locator(".door", has_text=room)


def room(page: Page, name: str) -> Locator:
    """Return a room that is open."""
    return page.locator(".room", has_text=name)


def say(page: Page, name: str, text: str) -> None:
    """Say something in a room."""
    page.get_by_label(f"Say something in the {name}").fill(text)
    page.keyboard.press("Enter")


def test_two_people_talk_in_one_of_their_rooms(server: ExampleServer, new_tab: NewTab) -> None:
    """What is said in a room is heard there, by those who have joined, and shown to whoever joins later."""
    ada, grace = enter(new_tab, server, "Ada"), enter(new_tab, server, "Grace")
    door(ada, "Kitchen").click()
    expect(room(ada, "Kitchen").locator(".note")).to_have_text(["Ada has joined"])
    door(grace, "Kitchen").click()
    door(grace, "Library").click()
    expect(room(ada, "Kitchen").locator(".note")).to_have_text(["Ada has joined", "Grace has joined"])
    say(grace, "Kitchen", "Who ate the cake?")
    say(ada, "Kitchen", "<b>Not me</b>")
    for page in (ada, grace):
        expect(room(page, "Kitchen").locator(".saying span")).to_have_text(["Who ate the cake?", "<b>Not me</b>"])
        expect(room(page, "Kitchen").locator(".saying strong")).to_have_text(["Grace", "Ada"])
    expect(room(grace, "Library").locator(".saying")).to_have_count(0)
    alan = enter(new_tab, server, "Alan")
    door(alan, "Kitchen").click()
    expect(room(alan, "Kitchen").locator(".saying strong")).to_have_text(["Grace", "Ada"])


def test_a_room_is_left(server: ExampleServer, new_tab: NewTab) -> None:
    """By its door, or by closing the window; those who stay are told."""
    ada, grace, alan = (enter(new_tab, server, name) for name in ("Ada", "Grace", "Alan"))
    for page in (ada, grace, alan):
        door(page, "Workshop").click()
        expect(room(page, "Workshop").locator(".note")).not_to_have_count(0)
    door(grace, "Workshop").click()
    expect(room(grace, "Workshop")).to_have_count(0)
    notes = room(ada, "Workshop").locator(".note")
    expect(notes.last).to_have_text("Grace has left")
    alan.close()
    expect(notes.last).to_have_text("Alan has left")


def test_staff_have_a_room_of_their_own(server: ExampleServer, new_tab: NewTab) -> None:
    """Others do not see it, and are told so if they ask for it all the same."""
    ada, grace = enter(new_tab, server, "Ada"), enter(new_tab, server, "Grace")
    door(ada, "Office").click()
    expect(room(ada, "Office")).to_be_visible()
    expect(grace.locator(".door")).to_have_count(3)
    [cookie] = [c for c in grace.context.cookies() if c["name"] == "sessionid"]
    headers = {"Cookie": f"sessionid={cookie['value']}"}
    with connect(f"{server.url.replace('http', 'ws')}/socket/", additional_headers=headers, proxy=None) as socket:
        for frame, error in [
            ({"command": "join", "room": 4}, "This room is for staff."),
            ({"command": "say", "room": 1, "text": "hello"}, "Join the room before you speak there."),
            ({"command": "join", "room": 99}, "That is no command, or there is no such room."),
            ({"command": "shout", "room": 1}, "That is no command, or there is no such room."),
            (["join"], "That is no command, or there is no such room."),
        ]:
            socket.send(json.dumps(frame))
            assert json.loads(socket.recv(timeout=10)) == {"error": error}


def test_a_stranger_is_refused(server: ExampleServer) -> None:
    """Without a login there is no socket."""
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{server.url.replace('http', 'ws')}/socket/", proxy=None)


def test_a_restart_is_survived(tmp_path: Path, new_tab: NewTab) -> None:
    """The page comes back by itself, into the rooms that it was in."""
    server = ExampleServer("multichat", tmp_path)
    try:
        server.start()
        ada = enter(new_tab, server, "Ada")
        door(ada, "Kitchen").click()
        say(ada, "Kitchen", "Before")
        expect(room(ada, "Kitchen").locator(".saying")).to_have_count(1)
        server.stop()
        expect(ada.locator("#state")).to_have_attribute("data-state", "away")
        server.start()
        expect(ada.locator("#state")).to_have_attribute("data-state", "connected")
        say(ada, "Kitchen", "After")
        expect(room(ada, "Kitchen").locator(".saying span")).to_have_text(["Before", "After"])
    finally:
        server.stop()
