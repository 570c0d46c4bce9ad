"""Where the envelopes of one write go, and in what order."""

from __future__ import annotations

from channel_layers.envelope import DONE, EVENT, GROUP, JOIN, LEAVE, MESSAGE, Envelope, done
from channel_layers.redis import routing
from channel_layers.redis.keys import Keys
from channel_layers.redis.routing import MAX_PARCEL_SIZE, Batches

KEYS = Keys("channels:")


def parcels(batches: Batches) -> dict[str, list[tuple[str, int]]]:
    """Return letter and number of envelopes of each parcel, by target."""
    return {target: [(p.letter, len(p.envelopes)) for p in found] for target, found in batches.parcels.items()}


def test_what_is_asked_first() -> None:
    """Groups are asked for whom they reach, joins are registered, queues leave at once; the rest needs no answer."""
    questions = {
        "group": Envelope(GROUP, "g"),
        "join of a queue": Envelope(JOIN, "g", owner="a"),
        "join": Envelope(JOIN, "g", owner="x!1"),
        "leave of a queue": Envelope(LEAVE, "g", owner="a"),
        "leave": Envelope(LEAVE, "g", owner="x!1"),
        "message": Envelope(MESSAGE, "a"),
    }
    found = {name: routing.question(envelope, KEYS) for name, envelope in questions.items()}
    assert [name for name, question in found.items() if question is None] == ["leave", "message"]
    assert b"$2\r\nx!\r\n" in (found["join"] or b"")


def test_a_group_message_goes_to_inboxes_once_and_to_queues_as_a_copy() -> None:
    """Members that are left out get nothing; an inbox resolves that itself."""
    envelope = Envelope(GROUP, "g", b"content", without=("b", "x!1"))
    answer = [b"a", b"1.0", b"b", b"2.0", b"x!", b"3.0"]
    batches = routing.batched([envelope], {id(envelope): answer})
    ((queued,), (sent,)) = batches.parcels.values()
    (copy,) = queued.envelopes
    assert list(batches.parcels) == ["a", "x!"]
    assert (copy.kind, copy.target, copy.without, queued.group) == (MESSAGE, "a", (), "g")
    assert (sent.envelopes, sent.letter, sent.group, sent.registered) == ([envelope], "g", "g", b"3.0")


def test_queues_join_and_leave_without_an_entry() -> None:
    """What the group knows of them is all there is."""
    moves = [Envelope(JOIN, "g", owner="a"), Envelope(LEAVE, "g", owner="a")]
    assert routing.batched(moves, {id(moves[0]): b"1.0", id(moves[1]): 1}).parcels == {}


def test_a_target_stands_where_its_last_envelope_stood() -> None:
    """What goes to one target leaves together, and what settles an event behind all before it."""
    envelopes = [Envelope(MESSAGE, "x!1"), Envelope(MESSAGE, "a"), done("x!1", 1), Envelope(MESSAGE, "b")]
    assert parcels(routing.batched(envelopes, {})) == {"a": [("m", 1)], "x!": [("m", 2)], "b": [("m", 1)]}


def test_what_shares_its_fate_is_one_parcel() -> None:
    """Messages and ends of events wait for room together; joins and messages of other groups are judged alone."""
    join, first, second = Envelope(JOIN, "g", owner="x!1"), Envelope(GROUP, "g"), Envelope(GROUP, "h")
    answers = {id(join): b"1.0", id(first): [b"x!", b"1.0"], id(second): [b"x!", b"1.0"]}
    envelopes = [
        done("x!2", 1),
        Envelope(LEAVE, "h", owner="x!2"),
        join,
        first,
        first,
        second,
        Envelope(MESSAGE, "x!1"),
        done("x!1", 1),
    ]
    expected = [("a", 2), ("j", 1), ("g", 2), ("g", 1), ("m", 2)]
    assert parcels(routing.batched(envelopes, answers)) == {"x!": expected}
    assert parcels(routing.batched([done("x!1", 1), Envelope(MESSAGE, "x!1")], {})) == {"x!": [("m", 2)]}


def test_a_parcel_is_bounded() -> None:
    """What would make it too large begins another; a message that is too large by itself is alone."""
    half, whole = (
        Envelope(MESSAGE, "x!1", bytes(MAX_PARCEL_SIZE // 2)),
        Envelope(MESSAGE, "x!1", bytes(MAX_PARCEL_SIZE)),
    )
    envelopes = [half, half, half, whole, Envelope(MESSAGE, "x!1", b"1")]
    assert parcels(routing.batched(envelopes, {})) == {"x!": [("m", 2), ("m", 1), ("m", 1), ("m", 1)]}


def test_nothing_settles_before_messages_that_may_lack_room() -> None:
    """An event is settled when what its run sends to other inboxes was acknowledged."""
    other, answer, queued = Envelope(MESSAGE, "y!1"), Envelope(MESSAGE, "x!1", token=1), Envelope(MESSAGE, "a")
    settled = Envelope(DONE, "y!2", token=2)
    assert routing.settling([answer, other, queued, settled]) == [answer]


def test_most_writes_settle_at_once() -> None:
    """Replies to the own connection, queues, groups and events never have to wait for each other."""
    for envelopes in (
        [Envelope(MESSAGE, "x!1"), Envelope(MESSAGE, "x!1", token=1)],
        [Envelope(MESSAGE, "a"), Envelope(DONE, "x!1", token=1)],
        [Envelope(MESSAGE, "x!1", token=1), Envelope(MESSAGE, "y!1", token=2)],
        [Envelope(MESSAGE, "x!1"), Envelope(EVENT, "a", token=1)],
    ):
        assert routing.settling(envelopes) == []
