"""Whether this process runs a project's tests: then its layers reach no other process, unless asked otherwise.

A test that sends would otherwise reach whatever the settings name, which may be what the site itself uses.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import PurePath
from typing import Final

_COMMANDS: Final = ("manage.py", "django-admin", "__main__.py")


class _Announced:
    """Whether a test runner has said so."""

    by_plugin = False


def announce() -> None:
    """Say that this process runs tests; called by the pytest plugin before it imports anything of the project."""
    _Announced.by_plugin = True


def is_test_run() -> bool:
    """Return whether tests run here: under our pytest plugin, Django's ``test`` command, or what sets up as it does."""
    if _Announced.by_plugin or _is_test_command():
        return True
    # Looked up, not imported: a process that runs no tests does not need it, and importing it takes a while.
    utils = sys.modules.get("django.test.utils")
    return utils is not None and "saved_data" in vars(utils._TestState)


@cache
def _is_test_command() -> bool:
    # The command sets Django up before it says that it runs tests: a Group made when models are imported is earlier.
    program, *arguments = sys.argv or [""]
    return arguments[:1] == ["test"] and PurePath(program).name in _COMMANDS
