"""Take the README's pictures of the example chat: ``python -m scripts.screenshots``, from the root of a checkout.

Needs Chromium and the packages of the tests. Writes docs/images/chat-*.png.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.examples.chat_server import ChatServer

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
WINDOW = {"width": 1280, "height": 820}
PHONE = {"width": 390, "height": 780}
LIMIT = 200 * 1024  # bytes, so that the README stays quick to load

CONVERSATION = [
    ("ada", "Is this thing on?"),
    ("grace", "It is. What you said went from your socket to a worker, and from there to both of us."),
    ("ada", "And how long did that take?"),
    ("ada", "Oh, it says so beside it."),
    ("grace", "There is a model in between, too. What we say is saved first, so latecomers can read it."),
    ("ada", "Where is all that?"),
    ("grace", "In save_message. Whatever the server does for this page is in consumers.py, all of it."),
]


def main() -> None:
    """Run the chat, have a conversation in it, and take the pictures."""
    chromium = shutil.which("chromium") or sys.exit("Chromium is not installed: apt-get install chromium")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        server = ChatServer(Path(directory))
        try:
            server.start()
            take_pictures(server, browser)
        finally:
            server.stop()


def take_pictures(server: ChatServer, browser: Browser) -> None:
    """Take them in the order of a visit: a conversation, the same at night, on a phone, and without a server."""
    tabs = {nick: enter(server, browser, nick, WINDOW) for nick in ("ada", "grace")}
    ada, grace = tabs.values()
    for nick, text in CONVERSATION:
        say(tabs[nick], text)
        expect(ada.locator(".message:not(.pending) .text").last).to_have_text(text)
    announce(server, ada)
    phone = enter(server, browser, "ada", PHONE)
    grace.get_by_label("Message", exact=True).press_sequentially("Put")
    for page in (ada, phone):
        expect(page.locator("#typing")).to_have_text("grace is typing…")
    picture(ada, "chat-light")
    picture(phone, "chat-phone")
    ada.emulate_media(color_scheme="dark")
    picture(ada, "chat-dark")
    server.stop()
    say(ada, "Hello?")
    expect(ada.locator("#banner")).to_contain_text("One message waits for it.")
    ada.emulate_media(color_scheme="light")
    picture(ada, "chat-away")


def enter(server: ChatServer, browser: Browser, nick: str, size: dict[str, int]) -> Page:
    """Open the lobby in a window of its own, in the light scheme."""
    context = browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="light",
        reduced_motion="reduce",
        locale="en-GB",
    )
    page = context.new_page()
    page.goto(f"{server.url}/rooms/lobby/?nick={nick}")
    expect(page.locator("#connection")).to_have_attribute("data-state", "connected")
    return page


def say(page: Page, text: str) -> None:
    """Send a message from a page."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def announce(server: ChatServer, page: Page) -> None:
    """Speak into the lobby as the curl line on the page does."""
    token = page.locator("#announce-line").inner_text().rpartition("Bearer ")[2].rstrip('"')
    text = "Tea is ready. This line came from a Django view."
    page.request.post(
        f"{server.url}/rooms/lobby/announce/",
        headers={"Authorization": f"Bearer {token}"},
        form={"text": text},
    )
    expect(page.locator(".announcement .text")).to_have_text(text)


def picture(page: Page, name: str) -> None:
    """Save what the window shows; exits with a sentence if the file is too large for a README."""
    path = IMAGES / f"{name}.png"
    page.locator(".code pre").evaluate("source => (source.scrollTop = source.scrollHeight)")
    page.screenshot(path=path)
    if path.stat().st_size > LIMIT:
        sys.exit(f"{path} has {path.stat().st_size} bytes, more than {LIMIT}: make its window smaller.")
    print(path)


if __name__ == "__main__":
    main()
