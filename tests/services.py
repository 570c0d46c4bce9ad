"""Programs and limits that some tests need and that Python cannot install: skipped without them."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def many_files(number: int) -> Iterator[None]:
    """Allow so many open files, or skip where the system does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number:
        pytest.skip(f"this needs {number} open files, and {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
