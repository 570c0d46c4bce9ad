from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from channel_layers import envelope as kinds
from channel_layers.envelope import DONE, MESSAGE, RETURNED, Done, Envelope, done, read_done

TEXT = st.text(max_size=10)
INTEGERS = st.integers(0, 2**40)
ENVELOPES = st.builds(
    Envelope,
    kind=st.integers(0, 6),
    target=TEXT,
    content=st.binary(max_size=20),
    owner=TEXT,
    token=INTEGERS,
    session=st.none() | st.binary(max_size=20),
    route=TEXT,
    time=st.floats(0, 2e9),
    run=TEXT,
    trace=TEXT,
    without=st.lists(TEXT, max_size=3).map(tuple),
    attempt=INTEGERS,
)


@given(ENVELOPES)
def test_an_envelope_travels(sent: Envelope) -> None:
    """What a networked layer encodes it decodes to the same."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Envelope) == sent


@given(st.integers(0, 5), st.integers(0, 32), INTEGERS, st.none() | st.binary())
def test_done_says_how_an_event_ended(outcome: int, handled: int, token: int, session: bytes | None) -> None:
    """Outcome and count are read back; owner, token and session stand in the envelope."""
    envelope = done("p!1", token, outcome, handled, session)
    expected = Done() if outcome == RETURNED else Done(outcome, handled)
    assert read_done(envelope) == expected
    assert (envelope.kind, envelope.target, envelope.owner) == (DONE, "p!1", "p!1")
    assert (envelope.token, envelope.session) == (token, session)


def test_the_usual_end_of_an_event_has_no_content() -> None:
    """A consumer that returned is what a done means by itself."""
    assert done("p!1", 1).content == b""
    assert read_done(done("p!1", 1)) == Done(RETURNED, 0)


def test_a_message_with_a_token_says_that_its_event_returned() -> None:
    """Its content is the user's and is not read as an outcome."""
    assert read_done(Envelope(MESSAGE, "p!1", b"\x92\x01\x00", token=1)) == Done(RETURNED, 0)


def test_kinds_and_outcomes_are_distinct() -> None:
    """No two kinds share a number, and no two outcomes."""
    for names in (
        ["MESSAGE", "EVENT", "GROUP", "JOIN", "LEAVE", "DONE", "GAP"],
        ["RETURNED", "RAISED", "UNROUTED", "AGAIN", "UNDECIDED", "LOST"],
    ):
        assert sorted(getattr(kinds, name) for name in names) == list(range(len(names)))
