from __future__ import annotations

import pytest

from channel_layers.memory import MemoryChannelLayer


def test_what_had_to_go_for_others_is_logged_with_the_way_out(caplog: pytest.LogCaptureFixture) -> None:
    """The oldest goes; the line names the limit and the option that raises it."""
    layer = MemoryChannelLayer(max_dead_letters=1)
    with layer.lock:
        for n in range(2):
            layer.bury(layer.message("jobs", {"n": n}), "it was bad")
    layer.losses.report()
    assert [letter.decoded() for letter in layer.dead_letters()] == [{"n": 1}]
    assert "the oldest of more than 1 dead letters were dropped: raise max_dead_letters in CONFIG" in caplog.text
