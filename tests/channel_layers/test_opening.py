"""What a reply to a connect, or the end of its consumer, decides."""

from typing import Any

import pytest

from channel_layers.envelope import AGAIN, LOST, RAISED, RETURNED, UNACCEPTED, UNDECIDED, UNROUTED
from channel_layers.opening import REFUSALS, accepts, accepts_in_the_end, has_data, refuses


@pytest.mark.parametrize(
    ("content", "decision"),
    [
        ({"accept": True}, "accepts"),
        ({"accept": True, "close": True}, "accepts"),
        ({"text": "hi", "close": 4000}, "accepts"),
        ({"bytes": b"hi", "close": True}, "accepts"),
        ({"accept": False}, "refuses"),
        ({"accept": False, "text": "hi"}, "refuses"),
        ({"close": True}, "refuses"),
        ({"close": 4000, "text": ""}, "refuses"),
        ({"text": "hi"}, "waits"),
        ({"accept": None, "close": None}, "waits"),
        ({}, "waits"),
    ],
)
def test_reply_decides(content: dict[str, Any], decision: str) -> None:
    """``accept`` and ``close`` decide, and no reply does both; data alone wait for the decision."""
    assert (accepts(content), refuses(content)) == (decision == "accepts", decision == "refuses")


def test_empty_frames_are_no_data() -> None:
    """As in 1.x only what is not empty answers a connect."""
    assert [has_data(content) for content in ({"text": "x"}, {"bytes": b"x"}, {"text": "", "bytes": None})] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("outcome", [RETURNED, RAISED, UNROUTED, AGAIN, UNDECIDED, LOST, UNACCEPTED])
def test_end_decides(outcome: int, answered: bool) -> None:
    """Returning accepts; where it does not, an answer does; every other end but an open one has a refusal."""
    accepted = accepts_in_the_end(outcome, answered)
    assert accepted == (outcome == RETURNED or (answered and outcome in (UNDECIDED, UNACCEPTED)))
    assert (outcome in REFUSALS) == (outcome not in (RETURNED, AGAIN, UNDECIDED))
