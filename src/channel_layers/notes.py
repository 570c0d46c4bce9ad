"""Notes: what the layer keeps of a connection beside the queues, for messages that did not come through its lane.

A note is bytes that begin with their version, in decimal digits up to a colon. A newer one replaces an older one and
never the other way round, whoever writes first. Notes end with their connection.
"""

from __future__ import annotations

from typing import Final

SESSION: Final = "session"
"""The connection session, as its lane holds it."""
HANDSHAKE: Final = "handshake"
"""What the handshake was like."""

EXTENSION: Final = "notes"
"""What a layer that keeps notes has among its ``extensions``."""

_MAX_VERSION_DIGITS: Final = 15
"""As many as a double holds exactly: a store may compare versions as such."""


def lost_change(channel: str, why: object) -> str:
    """Return what is said of a change of the session of ``channel`` that was not kept."""
    return f"what a consumer changed in the channel session of {channel!r} is lost: {why}"


def version_of(note: bytes | None) -> int:
    """Return the version that ``note`` begins with: 0 for none, and for bytes of another format."""
    digits = note.partition(b":")[0] if note else b""
    return int(digits) if digits.isdigit() and len(digits) <= _MAX_VERSION_DIGITS else 0


def replaces(note: bytes, kept: bytes | None) -> bool:
    """Return whether ``note`` is to be kept in place of ``kept``; the same note again is, too."""
    return version_of(note) > version_of(kept) or note == kept
