"""What a handshake comes to, heard reply by reply."""

from channel_layers.envelope import RAISED, RETURNED, UNACCEPTED, UNDECIDED
from channels.test.opening import HandshakeRefused, Opening


def test_first_decision_counts() -> None:
    """What is said later changes nothing."""
    opening = Opening()
    opening.hear({"text": "hello"}, from_group=False)
    assert not opening.is_decided
    opening.hear({"accept": True}, from_group=False)
    opening.hear({"accept": False}, from_group=False)
    assert (opening.accepted, opening.refused) == ({"accept": True}, None)


def test_group_message_decides_nothing() -> None:
    """Whatever it says."""
    opening = Opening()
    opening.hear({"close": True}, from_group=True)
    opening.hear({"text": "hello"}, from_group=True)
    assert not opening.is_decided
    opening.end(UNACCEPTED)
    assert opening.refused is not None
    assert opening.refused.status == 403


def test_end_decides() -> None:
    """By the outcome; one that leaves it to others leaves it open."""
    opening = Opening()
    opening.end(UNDECIDED)
    assert not opening.is_decided
    opening.end(RETURNED)
    assert opening.accepted == {}
    failed = Opening()
    failed.end(RAISED)
    assert str(failed.refused) == "the WebSocket was refused with 500: its connect consumer raised"


def test_refusal_is_a_failed_assertion() -> None:
    """A test that expects to connect fails with it."""
    assert issubclass(HandshakeRefused, AssertionError)
