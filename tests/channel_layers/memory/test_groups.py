from __future__ import annotations

from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.groups import Groups


def test_a_registration_of_a_dead_inbox_is_swept(layer: MemoryChannelLayer) -> None:
    """It is no member, and the next message to the group removes it."""
    layer.groups["g"] = {"test.dead!": 1.0, "queue": 1.0}
    assert layer.group_channels("g") == ["queue"]
    layer.send_group("g", {})
    assert layer.groups == {"g": {"queue": 1.0}}


def test_a_member_that_has_gone_is_in_no_group() -> None:
    """And a group that reaches nothing takes no memory; who is no member cannot leave."""
    groups = Groups()
    groups.join("g", "one!", 1.0)
    groups.join("g", "queue", 2.0)
    groups.join("h", "one!", 3.0)
    groups.leave_all("one!")
    assert groups == {"g": {"queue": 2.0}}
    assert (groups.joined("g", "queue"), groups.joined("g", "one!"), groups.joined("h", "one!")) == (2.0, None, None)
    groups.leave("h", "one!")
    groups.leave("g", "one!")
    assert groups == {"g": {"queue": 2.0}}
