"""How an outage is told, and how long is waited between attempts."""

from __future__ import annotations

from itertools import islice

import pytest

from channel_layers.redis.outage import FIRST_DELAY, LONGEST_DELAY, Outage, delays


def test_an_outage_is_told_once_each_way(caplog: pytest.LogCaptureFixture) -> None:
    """However many attempts fail, there is one line when the layer goes and one when it is back."""
    now = 10.0
    outage = Outage("redis://a:1/0", clock=lambda: now)
    outage.end()
    outage.begin(ConnectionRefusedError("refused"))
    now = 12.5
    outage.begin(ConnectionRefusedError("refused again"))
    now = 13.0
    outage.end()
    outage.end()
    assert [record.getMessage() for record in caplog.records] == [
        "the layer at redis://a:1/0 cannot be reached (refused); trying again",
        "the layer at redis://a:1/0 is back after 3.0 s",
    ]


def test_delays_grow_up_to_a_limit() -> None:
    """Each delay is at most twice the one planned before it, shortened by up to half, and never beyond the longest."""
    planned = [min(FIRST_DELAY * 2**n, LONGEST_DELAY) for n in range(12)]
    for delay, longest in zip(islice(delays(), 12), planned, strict=True):
        assert longest / 2 <= delay <= longest
