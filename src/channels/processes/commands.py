"""Command lines of the processes that a management command starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.utils.autoreload import get_child_arguments

OPTIONS: tuple[str, ...] = ("traceback", "no_color", "force_color")
"""Flags of all management commands that those which they start have, too."""


def manage(*arguments: str, as_called: bool = True) -> list[str]:
    """Return the command line that runs a management command.

    With ``as_called`` it is run as this process was: by the project's ``manage.py`` or ``django-admin``, with the
    options of Python. Otherwise by ``python -m django``, which needs ``DJANGO_SETTINGS_MODULE``.
    """
    if not as_called:
        return [sys.executable, "-m", "django", *arguments]
    whole = [str(argument) for argument in get_child_arguments()]
    return [*whole[: len(whole) - len(sys.argv) + 1], *arguments]


def common_options(options: Mapping[str, Any]) -> list[str]:
    """Return those of ``options`` that every management command has, as they are spelt on a command line."""
    given = [f"--{name.replace('_', '-')}" for name in OPTIONS if options.get(name)]
    if options.get("pythonpath"):
        given.append(f"--pythonpath={options['pythonpath']}")
    return given


def import_path() -> str:
    """Return a ``PYTHONPATH`` with which another program finds the modules that this one was started for."""
    return os.pathsep.join(filter(None, [str(Path(sys.path[0]).resolve()), os.environ.get("PYTHONPATH")]))


def inherited_descriptors() -> list[int]:
    """Return the descriptors that this process was given to be passed on, such as bound sockets."""
    return [
        number
        for number in map(int, (path.name for path in Path("/dev/fd").iterdir()))
        if number > 2 and _is_inheritable(number)
    ]


def _is_inheritable(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:  # the one that the directory was listed with
        return False
