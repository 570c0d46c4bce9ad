"""Whether this installation is whole: other distributions write packages of the same names over it.

Looked at by names of files alone: :mod:`importlib.metadata` takes longer to import than all of this to run.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

OURS: Final = "channels-relay"
"""The distribution; its packages say in their docstrings that they belong to it."""
PACKAGES: Final = ("channels", "daphne", "asgi_redis")
"""Those of its packages that other distributions have, too."""
OTHERS: Final = ("channels", "daphne", "asgi_redis", "channels_redis")
"""Distributions that have them, and one that is nothing without them."""


def check() -> None:
    """Raise :exc:`ImportError` if a package is not ours, and warn of distributions that could replace one."""
    installed = distributions()
    found, foreign = others(installed), strangers()
    if foreign:
        raise ImportError(" ".join([_replaced(foreign, found), way_out(found), *_asgiref(installed)]))
    if found:
        warnings.warn(" ".join([beside(found), way_out(found), *_asgiref(installed)]), RuntimeWarning, stacklevel=3)


def distributions() -> dict[str, str]:
    """Return what is installed where Python looks for modules, and in which version."""
    found: dict[str, str] = {}
    for directory in sys.path:
        try:
            with os.scandir(directory or ".") as entries:
                names = [entry.name for entry in entries if entry.name.endswith((".dist-info", ".egg-info"))]
        except OSError:  # an archive, or nothing
            continue
        for name, _, version in (name.rpartition(".")[0].partition("-") for name in names):
            found.setdefault(name.lower(), version.partition("-py")[0])
    return found


def others(installed: Mapping[str, str] | None = None) -> list[str]:
    """Return the distributions that do not go together with this one, such as ``channels 4.3.2``."""
    installed = distributions() if installed is None else installed
    return [f"{name} {installed[name]}" for name in OTHERS if name in installed]


def strangers() -> list[str]:
    """Return the packages that are not ours, and where they are imported from."""
    return [f"{name} ({_origin(name) or 'missing'})" for name in PACKAGES if not _is_ours(_origin(name))]


def beside(found: Sequence[str]) -> str:
    """Return a sentence about distributions whose files ours have replaced."""
    return f"{' and '.join(found)} must not be installed beside {OURS}, which has packages of the same names."


def way_out(found: Sequence[str]) -> str:
    """Return what to do about ``found``: whichever was installed last has replaced files of the other."""
    if not found:
        renamed = "If that is a module of your own, give it another name;"
        return f"{renamed} if not, reinstall ours: pip install --force-reinstall --no-deps {OURS}"
    names = " ".join([*(each.partition(" ")[0] for each in found), OURS])
    return f"Uninstall both, then reinstall ours: pip uninstall --yes {names}; pip install {OURS}"


def _replaced(foreign: Sequence[str], found: Sequence[str]) -> str:
    cause = f": {' and '.join(found)} has replaced it" if found else ""
    return f"{', '.join(foreign)} is not the package of {OURS}{cause}."


def _asgiref(installed: Mapping[str, str]) -> list[str]:
    """Return a sentence about an ``asgiref`` that no Django can use, which ``asgi_redis`` brings along."""
    version = installed.get("asgiref", "")
    is_old = version.startswith(("0.", "1.", "2."))
    return [f"asgiref {version} is too old for Django, too: pip install --upgrade asgiref"] if is_old else []


def _origin(package: str) -> str | None:
    spec = find_spec(package)
    return spec.origin if spec is not None else None


def _is_ours(origin: str | None) -> bool:
    if origin is None or not origin.endswith(".py"):
        return origin is not None  # compiled or frozen: nothing can be read there
    try:
        return OURS.encode() in Path(origin).read_bytes()
    except OSError:
        return True
