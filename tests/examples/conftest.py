"""A browser, and tabs of it that share nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import launched

PATIENCE = 15_000  # milliseconds: more than the pages' longest wait before they try to connect again

NewTab = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; closed with the module, as Playwright's event loop runs until then."""
    expect.set_options(timeout=PATIENCE)
    with launched() as chromium:
        yield chromium


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[NewTab]:
    """Open tabs with cookies of their own; no script may fail in any of them."""
    contexts, errors = [], []

    def open_tab(url: str, **options: Any) -> Page:
        context = browser.new_context(locale="en-GB", **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(error.message))
        page.goto(url)
        return page

    yield open_tab
    for context in contexts:
        context.close()
    assert errors == []
