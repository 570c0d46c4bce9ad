"""How many messages may wait: in a queue, and for an interface server."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from functools import lru_cache

DEFAULT_CAPACITY = 100
"""Messages in a queue; the value of 1.x's networked layers."""
HTTP_CAPACITY = 1000
"""Requests in ``http.request``: a burst is better answered late than refused."""

INBOX_CAPACITY = 50_000
"""Entries of one inbox; a direct send then waits, a group send skips the inbox and marks the gap."""
SEND_TIMEOUT = 5.0
"""Seconds a direct send waits for room in an inbox before it raises ChannelFull."""


class Capacities:
    """Capacity by channel name: exact names, shell globs or compiled patterns; the first that matches wins.

    A name with a key (``http.request.body?x1``) is matched without the key, so that ``http.request.body?*`` and
    ``http.request.body?`` both speak of it. Raises :exc:`ValueError` for a capacity that is not a positive integer.
    """

    def __init__(self, default: int, overrides: Mapping[str | re.Pattern[str], int] | None = None) -> None:
        self._default = _positive("capacity", default)
        self._overrides = [(_compiled(name), _positive(str(name), n)) for name, n in (overrides or {}).items()]
        self._overrides.append((re.compile(r"http\.request\Z"), max(default, HTTP_CAPACITY)))
        self._known = lru_cache(maxsize=4096)(self._find)

    def __getitem__(self, channel: str) -> int:
        return self._known(_without_key(channel))

    def _find(self, name: str) -> int:
        return next((n for pattern, n in self._overrides if pattern.match(name)), self._default)


def _without_key(channel: str) -> str:
    for marker in "?!":
        name, found, _ = channel.partition(marker)
        if found:
            return name + marker
    return channel


def _compiled(name: str | re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(name)) if isinstance(name, str) else name


def _positive(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"the capacity of {name!r} must be a positive whole number, not {value!r}")
    return value
