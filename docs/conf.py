"""Sphinx: ``make docs``. MyST Markdown, the furo theme, warnings are errors."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "Channels Relay"
author = "The Channels Relay contributors"
copyright = "2026, The Channels Relay contributors"
release = version_of("channels-relay")
version = release

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Channels Relay {release}"
