"""Programs that some tests need and that Python cannot install: skipped without them, except in CI."""

from __future__ import annotations

import os
import shutil

import pytest

OTHER_NAMES = {
    "chromium": ["chromium-browser", "google-chrome"],
    "redis-server": ["valkey-server"],
}


def require(binary: str) -> str:
    """Return the path of ``binary``; without it, skip the test, or fail it where ``CI`` is set."""
    # Debian keeps servers in /usr/sbin, which is not on every user's PATH.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
    for name in [binary, *OTHER_NAMES.get(binary, [])]:
        found = shutil.which(name, path=path)
        if found:
            return found
    return missing(f"{binary} is not installed")


def missing(reason: str) -> str:
    """Skip the test for ``reason``, or fail it where ``CI`` is set, which is to have everything."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI tests everything, so .ci/run has to provide it", pytrace=False)
    pytest.skip(reason)
