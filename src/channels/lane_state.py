"""The connection session of a lane while a worker has one of its events."""

from __future__ import annotations

import msgspec


class LaneState(msgspec.Struct, gc=False):
    """``session`` is signed bytes, or ``None`` for none; ``changed`` is whether a consumer has changed it."""

    session: bytes | None
    changed: bool = False
