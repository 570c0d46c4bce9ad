from __future__ import annotations

import msgspec

from channel_layers.registry import HEARTBEAT_EXPIRY, HEARTBEAT_INTERVAL, Announcement, alive


def test_a_process_lives_as_long_as_its_heartbeat() -> None:
    """One that is older than the expiry is dead."""
    fresh, old, dead = (
        Announcement(f"w{age}", time=100.0 - age) for age in (0.0, HEARTBEAT_EXPIRY - 1, HEARTBEAT_EXPIRY)
    )
    assert alive([fresh, old, dead], 100.0) == [fresh, old]


def test_one_missed_heartbeat_is_not_a_death() -> None:
    """A process that was held up for a moment is still alive."""
    assert alive([Announcement("w", time=0.0)], 2 * HEARTBEAT_INTERVAL)


def test_an_announcement_travels() -> None:
    """It is equal after encoding, and what a newer release adds at its end is ignored."""
    announcement = Announcement("w1", ("a", "b"), 4, 2, "host", 42, "abc", 1.5)
    encoded = msgspec.msgpack.encode(announcement)
    assert msgspec.msgpack.decode(encoded, type=Announcement) == announcement
    longer = msgspec.msgpack.encode([*msgspec.msgpack.decode(encoded), "new"])
    assert msgspec.msgpack.decode(longer, type=Announcement) == announcement
