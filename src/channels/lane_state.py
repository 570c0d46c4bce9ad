"""The connection session of a lane while a worker has one of its events."""

from __future__ import annotations


class LaneState:
    """``session`` is signed bytes, or ``None`` for none; ``changed`` is whether a consumer has changed it."""

    __slots__ = ("changed", "session")

    def __init__(self, session: bytes | None) -> None:
        self.session = session
        self.changed = False
