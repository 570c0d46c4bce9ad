"""A project as the guide has its readers make one: ``startproject``, ``startapp``, and what they then write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.core.management import call_command

from tests.runserver import write_files

SETTINGS = """
INSTALLED_APPS += ["channels", "talk"]

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgiref.inmemory.ChannelLayer",
        "ROUTING": "mysite.routing.channel_routing",
    },
}
"""


def start_project(directory: Path, files: Mapping[str, str]) -> Path:
    """Make the project ``mysite`` with the app ``talk`` in ``directory``, then write ``files``; return where."""
    call_command("startproject", "mysite", str(directory))
    (directory / "talk").mkdir()
    call_command("startapp", "talk", str(directory / "talk"))
    with (directory / "mysite" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    return write_files(directory, files)
