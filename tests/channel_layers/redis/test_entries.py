"""Envelopes as bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from channel_layers.envelope import EVENT, MESSAGE, Envelope
from channel_layers.redis import entries

envelopes = st.builds(
    Envelope,
    kind=st.sampled_from([MESSAGE, EVENT]),
    target=st.text(max_size=20),
    content=st.binary(max_size=50),
    owner=st.text(max_size=20),
    token=st.integers(0, 2**40),
    session=st.none() | st.binary(max_size=20),
    time=st.floats(0, 2**40),
    without=st.lists(st.text(max_size=5), max_size=3).map(tuple),
)


@given(envelopes)
def test_an_envelope_comes_back_from_a_queue(envelope: Envelope) -> None:
    """An element holds all of an envelope, and the same envelope always gives the same bytes."""
    element = entries.queue_element(envelope)
    assert entries.read_element(element) == envelope
    assert entries.queue_element(entries.read_element(element)) == element


@given(st.lists(envelopes))
def test_envelopes_come_back_from_an_inbox(found: list[Envelope]) -> None:
    """An entry holds any number of them, in order."""
    assert entries.decode_entry(entries.encode_entry(found)) == found


@given(st.lists(envelopes), st.floats(0, 2**40))
def test_elements_are_found_by_their_bytes(found: list[Envelope], now: float) -> None:
    """What was written is what the sender of an event looks for; an event tells the run it was written in."""
    assert entries.queue_elements(found, now, "run 1") == [entries.queue_element(envelope) for envelope in found]
    assert all((envelope.time, envelope.run) == (now, "run 1" if envelope.owner else "") for envelope in found)


def test_the_server_can_set_the_time_of_an_element() -> None:
    """The time is where a script can change it without knowing the envelope."""
    element = entries.queue_element(Envelope(MESSAGE, "a", time=1.0))
    later = entries.queue_element(Envelope(MESSAGE, "a", time=2.0))
    assert entries.read_element(element[:1] + later[1:9] + element[9:]).time == 2.0
    assert (element[:1], entries.queue_element(Envelope(EVENT, "a"))[:1]) == (b"m", b"e")
    assert entries.queue_element(Envelope(MESSAGE, "a", owner="b"))[:1] == b"r", "its sender looks for these bytes"


def test_ids_of_entries() -> None:
    """An id tells the server's time, and which id is the next."""
    assert entries.entry_time(b"1700000000123-5") == 1700000000.123
    assert entries.following("17-9") == "17-10"
    assert entries.order(b"17-10") > entries.order(b"17-9") > entries.order(b"9-99")
