"""What a route says of how its messages are handled, and which values make sense."""

from __future__ import annotations

from typing import Final, NamedTuple

AT_MOST_ONCE: Final = "at-most-once"
AT_LEAST_ONCE: Final = "at-least-once"
RETRIES: Final = 3
"""How often a message is delivered again, unless its route says otherwise."""
MAX_RETRIES: Final = 250

HTTP: Final = "http"
WEBSOCKET: Final = "websocket"
BACKGROUND: Final = "background"
TRAFFIC: Final = (HTTP, WEBSOCKET, BACKGROUND)
"""Classes of traffic, for which slots can be reserved."""


class Handling(NamedTuple):
    """How messages of a route are handled; :class:`~channels.routing.Route` says what each means."""

    ordered: bool = True
    delivery: str = AT_MOST_ONCE
    retries: int | None = None
    traffic: str | None = None
    soft_limit: float | None = None
    hard_limit: float | None = None

    @property
    def is_limited(self) -> bool:
        """Whether a run may take only so long."""
        return self.soft_limit is not None or self.hard_limit is not None

    @property
    def chances(self) -> int:
        """How often a message may be delivered again, or -1: it is lost with the run that has taken it."""
        if self.delivery == AT_MOST_ONCE:
            return -1
        return RETRIES if self.retries is None else self.retries

    def fault(self, channels: tuple[str, ...]) -> str:
        """Return what is wrong with it on ``channels``, or ``""``."""
        if self.delivery not in (AT_MOST_ONCE, AT_LEAST_ONCE):
            return f"delivery is {AT_MOST_ONCE!r} or {AT_LEAST_ONCE!r}, not {self.delivery!r}"
        if self.retries is not None and self.delivery == AT_MOST_ONCE:
            return f"retries={self.retries!r} means nothing without delivery={AT_LEAST_ONCE!r}"
        if self.retries is not None and not 0 <= self.retries <= MAX_RETRIES:
            return f"retries is 0 to {MAX_RETRIES}, not {self.retries!r}"
        if self.traffic not in (None, *TRAFFIC):
            return f"traffic is one of {', '.join(map(repr, TRAFFIC))}, not {self.traffic!r}"
        for name, limit in (("soft_limit", self.soft_limit), ("hard_limit", self.hard_limit)):
            if limit is not None and not limit > 0:
                return f"{name} is more than 0 seconds, not {limit!r}"
        events = [channel for channel in channels if class_of(channel) != BACKGROUND]
        if events and self.delivery == AT_LEAST_ONCE:
            return f"delivery={AT_LEAST_ONCE!r} is for channels of your own: behind {events[0]!r} a client waits"
        return ""


def class_of(channel: str) -> str:
    """Return the class of traffic that a channel belongs to by its name."""
    kind = channel.partition(".")[0]
    return kind if kind in (HTTP, WEBSOCKET) else BACKGROUND
