"""The lane of a test's client: one event at a time, with the session as it was left."""

import pytest

from channel_layers import codec
from channel_layers.envelope import AGAIN, Done
from channels.test.lane import Lane


@pytest.fixture
def lane() -> Lane:
    """A lane with two events."""
    lane = Lane("websocket.send.tests!1")
    lane.push("a", {"n": 1})
    lane.push("b", {"n": 2})
    return lane


def test_events_leave_one_after_another(lane: Lane) -> None:
    """The next one when the one before is done, with the session that was returned."""
    first = lane.take()
    assert first is not None
    assert (first.target, codec.decode(first.content)) == ("a", {"n": 1, "reply_channel": "websocket.send.tests!1"})
    assert lane.take() is None
    assert lane.settle(first.token, Done(), b"1:session") is None
    second = lane.take()
    assert second is not None
    assert (second.target, second.session) == ("b", b"1:session")
    lane.settle(second.token, Done(), None)
    assert (lane.take(), lane.session) == (None, b"1:session")


def test_event_that_is_wanted_again_stays_at_the_head(lane: Lane) -> None:
    """Its next attempt is given back, and nothing passes it."""
    first = lane.take()
    assert first is not None
    again = lane.settle(first.token, Done(AGAIN), b"1:session")
    assert again is not None
    assert (again.attempt, again.content, again.session) == (1, first.content, b"1:session")
    assert lane.take() is None


def test_answer_to_another_event_is_ignored(lane: Lane) -> None:
    """One that is late or doubled settles nothing."""
    first = lane.take()
    assert first is not None
    assert lane.settle(first.token + 1, Done(), b"other") is None
    assert (lane.under_way, lane.session) == (first, None)
