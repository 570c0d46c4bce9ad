"""How the tests start Chromium: Debian's, as root, without what it does in the background."""

from __future__ import annotations

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
