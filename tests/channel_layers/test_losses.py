from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from channel_layers.losses import INTERVAL, Losses


class Drops:
    """Losses with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.losses = Losses(logging.getLogger("channel_layers.tests"), lambda: self.now)


@pytest.fixture
def drops() -> Drops:
    """Losses that nothing was counted in."""
    return Drops()


def test_every_drop_is_counted(drops: Drops) -> None:
    """Counts are kept by cause, whether a line was logged or not."""
    drops.losses.count("expired", "a message expired")
    drops.losses.count("expired", "messages expired", 3)
    drops.losses.raised("channel full")
    assert dict(drops.losses.counts) == {"expired": 4, "channel full": 1}


def test_a_cause_is_logged_once_per_interval(drops: Drops, caplog: pytest.LogCaptureFixture) -> None:
    """The first drop is logged at once; the next line comes after the interval and tells how many there were."""
    for _ in range(3):
        drops.losses.count("expired", "a message expired")
    drops.now = INTERVAL
    drops.losses.count("expired", "another expired", 2)
    assert caplog.messages == [
        "a message expired (expired: 1 since the last such line)",
        "another expired (expired: 4 since the last such line)",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_causes_are_logged_apart(drops: Drops, caplog: pytest.LogCaptureFixture) -> None:
    """One cause does not silence another."""
    drops.losses.count("expired", "a message expired")
    drops.losses.count("inbox full", "an inbox is full")
    assert len(caplog.messages) == 2


def test_what_is_noted_is_logged_by_the_next_report(drops: Drops, caplog: pytest.LogCaptureFixture) -> None:
    """A caller that holds a lock counts now and lets the line be written later, once."""
    drops.losses.note("expired", "a message expired", 2)
    drops.losses.note("expired", "a second one")
    assert drops.losses.counts["expired"] == 3
    assert caplog.messages == []
    drops.losses.report()
    drops.losses.report()
    assert caplog.messages == ["a second one (expired: 3 since the last such line)"]


def test_what_an_exception_tells_is_not_logged(drops: Drops, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal that was raised is counted only."""
    drops.losses.raised("channel full")
    drops.losses.report()
    assert drops.losses.counts["channel full"] == 1
    assert caplog.messages == []


def test_the_rest_of_a_burst_is_told_in_the_end(drops: Drops, caplog: pytest.LogCaptureFixture) -> None:
    """By a report after the interval, once, though nothing more was dropped."""
    for n in range(5):
        drops.losses.count("expired", f"message {n} expired")
    drops.losses.report()
    drops.now = INTERVAL
    drops.losses.report()
    drops.now = 3 * INTERVAL
    drops.losses.report()
    assert caplog.messages == [
        "message 0 expired (expired: 1 since the last such line)",
        "message 4 expired (expired: 4 since the last such line)",
    ]


def test_threads_count_together(drops: Drops, caplog: pytest.LogCaptureFixture) -> None:
    """No drop is missed and no line doubled when threads count at once."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: drops.losses.count("expired", "a message expired"), range(400)))
    assert drops.losses.counts["expired"] == 400
    assert len(caplog.messages) == 1
