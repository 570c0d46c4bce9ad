"""Lanes: order, batches, and what comes back, against a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_layers import codec
from channel_layers.envelope import AGAIN, EVENT, LOST, RAISED, Done, Envelope
from daphne.config import KIB, Config
from daphne.lane import CONNECT, DISCONNECT, RECEIVE, Lane

CHANNEL = "websocket.send.tests!1"


def new_lane(**options: Any) -> Lane:
    """Return an empty lane."""
    return Lane(CHANNEL, "/chat", Config(**options))


def take(lane: Lane, attempt: int = 0) -> Envelope:
    """Take what must be there."""
    envelope = lane.take(attempt)
    assert envelope is not None
    return envelope


def orders(envelope: Envelope) -> list[int]:
    """Return which events an entry holds."""
    content = codec.decode(envelope.content)
    return [event["order"] for event in (content if isinstance(content, list) else [content])]


def test_an_event_carries_the_keys_of_its_connection() -> None:
    """Reply channel, path and order are added to every event, whatever its content said."""
    lane = new_lane()
    lane.push(CONNECT, {"scheme": "ws"})
    envelope = take(lane)
    expected = {"scheme": "ws", "reply_channel": CHANNEL, "path": "/chat", "order": 0}
    assert codec.decode(envelope.content) == expected
    assert (envelope.kind, envelope.target, envelope.owner) == (EVENT, CONNECT, CHANNEL)


def test_only_one_entry_is_under_way() -> None:
    """What was pushed while a worker is busy leaves when it has finished, in order."""
    lane = new_lane()
    lane.push(CONNECT, {})
    first = take(lane)
    lane.push(RECEIVE, {"text": "a"})
    lane.push(RECEIVE, {"text": "b"})
    assert lane.take() is None
    assert (lane.waiting, lane.under_way) == (2, first)
    assert lane.settle(first.token, Done(), None)
    assert orders(take(lane)) == [1, 2]


def test_a_single_event_is_not_wrapped() -> None:
    """One event travels as its dict, several as a list of dicts."""
    lane = new_lane()
    lane.push(RECEIVE, {"text": "a"})
    assert isinstance(codec.decode(take(lane).content), dict)


def test_a_batch_holds_events_of_one_channel() -> None:
    """Events leave together only as far as they are for one channel."""
    lane = new_lane()
    for event in (CONNECT, RECEIVE, RECEIVE, DISCONNECT):
        lane.push(event, {})
    sent = []
    while (envelope := lane.take()) is not None:
        sent.append((envelope.target, orders(envelope)))
        lane.settle(envelope.token, Done(), None)
    assert sent == [(CONNECT, [0]), (RECEIVE, [1, 2]), (DISCONNECT, [3])]


def test_a_batch_has_at_most_32_events() -> None:
    """The default limit of a batch counts events."""
    lane = new_lane()
    for _ in range(40):
        lane.push(RECEIVE, {})
    envelope = take(lane)
    assert orders(envelope) == list(range(32))
    lane.settle(envelope.token, Done(), None)
    assert orders(take(lane)) == list(range(32, 40))


def test_a_batch_has_at_most_64_kib() -> None:
    """The default limit of a batch in bytes is never passed by several events; one alone may be longer."""
    lane = new_lane()
    for size in (100 * KIB, 30 * KIB, 30 * KIB, 30 * KIB):
        lane.push(RECEIVE, {"bytes": bytes(size)})
    sent = []
    while (envelope := lane.take()) is not None:
        sent.append(orders(envelope))
        assert len(envelope.content) <= 64 * KIB or len(sent[-1]) == 1
        lane.settle(envelope.token, Done(), None)
    assert sent == [[0], [1, 2], [3]]


@pytest.mark.parametrize(
    ("options", "size"), [({"max_lane_messages": 2}, 0), ({"max_lane_size": 1000}, 450)], ids=["messages", "bytes"]
)
def test_a_lane_is_full_in_messages_or_bytes(options: dict[str, int], size: int) -> None:
    """Waiting events and bytes are limited, each by its own setting; what leaves and is done makes room."""
    lane = new_lane(**options)
    lane.push(RECEIVE, {"bytes": bytes(size)})
    assert not lane.is_full
    lane.push(RECEIVE, {"bytes": bytes(size)})
    assert lane.is_full
    lane.settle(take(lane).token, Done(), None)
    assert not lane.is_full


def test_a_late_or_doubled_answer_is_ignored() -> None:
    """Only the token of the entry under way settles it, and only once."""
    lane = new_lane()
    lane.push(RECEIVE, {})
    lane.push(CONNECT, {})
    first = take(lane)
    assert not lane.settle(first.token + 1, Done(), b"forged")
    assert lane.settle(first.token, Done(), None)
    assert not lane.settle(first.token, Done(), b"late")
    second = take(lane)
    assert not lane.settle(first.token, Done(), b"late")
    assert (lane.under_way, lane.session, second.session) == (second, None, None)


def test_the_session_is_kept_until_it_changes() -> None:
    """Each entry carries the session that a worker returned last."""
    lane = new_lane()
    carried = []
    for returned in (b"1:one", None, b"2:two", None):
        lane.push(RECEIVE, {})
        envelope = take(lane)
        carried.append(envelope.session)
        lane.settle(envelope.token, Done(), returned)
    assert carried == [None, b"1:one", b"1:one", b"2:two"]


def test_what_is_wanted_again_comes_alone_and_before_all_others() -> None:
    """Events that were handled are gone, the next comes back alone with its attempt, the others in order behind it."""
    lane = new_lane()
    for _ in range(4):
        lane.push(RECEIVE, {})
    lane.settle(take(lane).token, Done(AGAIN, 1), None)
    lane.push(RECEIVE, {})
    again = take(lane, 1)
    assert (orders(again), again.attempt) == ([1], 1)
    lane.settle(again.token, Done(AGAIN), None)
    again = take(lane, 2)
    assert (orders(again), again.attempt) == ([1], 2)
    lane.settle(again.token, Done(), None)
    others = take(lane)
    assert (orders(others), others.attempt) == ([2, 3, 4], 0)
    lane.settle(others.token, Done(), None)
    assert (lane.size, lane.idle) == (0, True)


def test_nothing_passes_an_event_that_is_wanted_again() -> None:
    """A new event neither hastens the next attempt nor takes its number away."""
    lane = new_lane()
    lane.push(RECEIVE, {})
    lane.settle(take(lane).token, Done(AGAIN), None)
    lane.push(RECEIVE, {})
    assert lane.take() is None
    assert not lane.idle
    assert take(lane, 1).attempt == 1


def test_more_handled_than_there_were_stalls_nothing() -> None:
    """The last event of the entry is taken for the one that is wanted again."""
    lane = new_lane()
    lane.push(RECEIVE, {})
    lane.push(RECEIVE, {})
    lane.settle(take(lane).token, Done(AGAIN, 9), None)
    assert orders(take(lane, 1)) == [1]


Step = tuple[str, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([CONNECT, RECEIVE, DISCONNECT]), st.integers(0, 300)),
        st.tuples(st.sampled_from(["take", "late"]), st.just(0)),
        st.tuples(st.sampled_from(["returned", "raised", "lost", "again"]), st.integers(0, 4)),
    ),
    max_size=60,
)


@given(STEPS)
def test_every_event_leaves_in_order_and_all_bytes_are_released(steps: list[Step]) -> None:
    """Whatever happens in whatever order, a lane agrees with a list of events of which a prefix is under way."""
    lane = new_lane(max_batch_messages=3, max_batch_size=400, max_lane_messages=4, max_lane_size=2000)
    model = Model(lane)
    for name, number in steps:
        model.step(name, number)
        model.check()
    model.drain()
    assert (lane.size, lane.idle, lane.is_full, model.events) == (0, True, False, [])


class Model:
    """What a lane should hold: ``events`` as (order, channel, size), the first ``gone`` of them under way."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.events: list[tuple[int, str, int]] = []
        self.gone = 0
        self.attempt = 0
        self.pushed = 0
        self.outcomes: dict[str, Callable[[int], None]] = {"take": self.take, "late": self.late, "again": self.again}

    def step(self, name: str, number: int) -> None:
        """Do one thing to the lane and to the model."""
        if "." in name:
            size = self.lane.push(name, {"bytes": bytes(number)})
            self.events.append((self.pushed, name, size))
            self.pushed += 1
        elif name in self.outcomes:
            self.outcomes[name](number)
        else:
            self.settle({"returned": 0, "raised": RAISED, "lost": LOST}[name])

    def take(self, _number: int) -> None:
        """Take what may leave."""
        envelope = self.lane.take(self.attempt)
        if self.gone or not self.events:
            assert envelope is None or not self.gone
            assert self.gone or envelope is None
            return
        assert envelope is not None
        taken = orders(envelope)
        self.gone = len(taken)
        batch = self.events[: self.gone]
        assert taken == [order for order, _, _ in batch]
        assert {channel for _, channel, _ in batch} == {envelope.target}
        assert self.gone <= (1 if self.attempt else 3)
        assert self.gone == 1 or sum(size for _, _, size in batch) <= 400
        assert envelope.attempt == self.attempt

    def late(self, _number: int) -> None:
        """Settle what is not under way."""
        token = self.lane.under_way.token if self.lane.under_way else 0
        assert not self.lane.settle(token - 1, Done(), None)

    def again(self, handled: int) -> None:
        """Ask again for the event behind those that were handled."""
        envelope = self.lane.under_way
        if envelope is not None:
            handled = min(handled, self.gone - 1)
            assert self.lane.settle(envelope.token, Done(AGAIN, handled), None)
            del self.events[:handled]
            self.gone, self.attempt = 0, envelope.attempt + 1

    def settle(self, outcome: int) -> None:
        """End what is under way."""
        envelope = self.lane.under_way
        if envelope is not None:
            assert self.lane.settle(envelope.token, Done(outcome), None)
            del self.events[: self.gone]
            self.gone = self.attempt = 0

    def check(self) -> None:
        """Compare what the lane says of itself."""
        lane, waiting = self.lane, len(self.events) - self.gone
        assert lane.size == sum(size for _, _, size in self.events)
        assert lane.waiting == waiting
        assert lane.idle == (not self.events)
        assert lane.is_full == (waiting >= 4 or lane.size >= 2000)

    def drain(self) -> None:
        """Handle everything."""
        while self.events:
            self.settle(0)
            self.take(0)
