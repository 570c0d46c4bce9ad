"""Which processes are alive, and what each of them does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

HEARTBEAT_INTERVAL: Final = 5.0
"""Seconds between two announcements of a process."""
HEARTBEAT_EXPIRY: Final = 15.0
"""Seconds after which a process that was not heard of is dead; three missed heartbeats, not one."""


class Announcement(msgspec.Struct, array_like=True):
    """A heartbeat: what one process says of itself.

    ``channels`` are those a worker reads, ``slots`` how many messages it can run at once, ``connections`` how many
    sockets an interface server holds, ``code`` a fingerprint of the code it runs, ``time`` the layer's clock, ``kept``
    those of the channels on which a message waits until it is taken, however long that takes.
    """

    process: str
    channels: tuple[str, ...] = ()
    slots: int = 0
    connections: int = 0
    host: str = ""
    pid: int = 0
    code: str = ""
    time: float = 0.0
    kept: tuple[str, ...] = ()


def alive(announcements: Iterable[Announcement], now: float) -> list[Announcement]:
    """Return the processes whose last heartbeat is recent enough."""
    return [a for a in announcements if now - a.time < HEARTBEAT_EXPIRY]
