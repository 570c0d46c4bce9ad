"""How fast and how seldom the peer of one socket may speak: messages per second, and seconds without any."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

BURST: Final = 1.0
"""Seconds of the allowed rate that may come at once."""


class Rate:
    """Counts messages against ``limit`` per second; what was not used is saved for up to :data:`BURST` seconds."""

    __slots__ = ("_due", "_interval")

    def __init__(self, limit: int) -> None:
        self._interval = 1 / limit
        self._due = 0.0

    def take(self, now: float, number: int) -> float:
        """Count ``number`` messages at ``now``, a clock in seconds; return how many seconds to wait for the next."""
        self._due = max(self._due, now - BURST) + number * self._interval
        return max(0.0, self._due - now)


class IdleLimits:
    """Seconds that a socket may go without a message, by the path of its handshake.

    ``rules`` are pairs of a regular expression and seconds, and the first that is found in the path counts; where
    none is, it is ``default``. 0 is no limit. Raises :exc:`ValueError` for what is no regular expression or time.
    """

    def __init__(self, default: float, rules: Iterable[tuple[str, float]] = ()) -> None:
        self._default = default
        self._rules = [(_compiled(pattern), _checked(pattern, seconds)) for pattern, seconds in rules]

    def of(self, path: str) -> float:
        """Return the limit of a socket at ``path``."""
        return next((seconds for pattern, seconds in self._rules if pattern.search(path)), self._default)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"idle_timeouts: {pattern!r} is no regular expression: {error}") from None


def _checked(pattern: str, seconds: float) -> float:
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or seconds < 0:
        raise ValueError(f"idle_timeouts: the limit of {pattern!r} is a number of seconds, not {seconds!r}")
    return seconds
