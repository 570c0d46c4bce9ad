"""Where the envelopes of one write go, and in what order."""

from __future__ import annotations

from channel_layers.envelope import DONE, EVENT, GROUP, JOIN, LEAVE, MESSAGE, Envelope, done
from channel_layers.redis import entries, routing
from channel_layers.redis.keys import Keys
from channel_layers.redis.routing import Item

KEYS = Keys("channels:")


def item(target: str, kind: int = MESSAGE, token: int = 0) -> Item:
    """Return what goes to ``target``."""
    envelope = Envelope(kind, target, token=token)
    return Item(target, b"", envelope, routing._letter(envelope))


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
    first, second = routing.items(envelope, [b"a", b"1.0", b"b", b"2.0", b"x!", b"3.0"])
    copy = entries.read_element(first.data)
    assert (first.target, copy.kind, copy.target, copy.without) == ("a", MESSAGE, "a", ())
    assert (second.target, second.registered, entries.decode(second.data)) == ("x!", b"3.0", envelope)
    assert first.envelope is second.envelope is envelope


def test_queues_join_and_leave_without_an_entry() -> None:
    """What the group knows of them is all there is."""
    assert list(routing.items(Envelope(JOIN, "g", owner="a"), b"1.0")) == []
    assert list(routing.items(Envelope(LEAVE, "g", owner="a"), 1)) == []


def test_a_batch_stands_where_its_last_item_stood() -> None:
    """What goes to one target leaves together, and what settles an event behind all before it."""
    found = [item("x!1"), item("a"), item("x!1", DONE, 1), item("b")]
    assert [(target, len(batch)) for target, batch in routing.batched(found).items()] == [
        ("a", 1),
        ("x!1", 2),
        ("b", 1),
    ]


def test_one_stage_is_enough_for_most() -> None:
    """Replies to the own connection, queues, groups and events never have to wait for each other."""
    for found in (
        [item("x!"), item("x!", token=1)],
        [item("a"), item("x!", DONE, 1)],
        [item("x!", token=1), item("y!", token=2)],
        [item("x!"), item("a", EVENT, 1)],
    ):
        assert routing.stages(found) == [found]


def test_what_settles_waits_for_messages_to_other_inboxes() -> None:
    """A done is sent when the messages that may lack room were acknowledged; the rest keeps its order."""
    other, answer, queued = item("y!"), item("x!", token=1), item("a")
    settled = item("y!", DONE, 2)
    assert routing.stages([answer, other, queued, settled]) == [[other, queued, settled], [answer]]


def test_long_entries_get_a_key_of_their_own() -> None:
    """Short ones do not, and one that has its key keeps it."""
    short, long = item("x!")._replace(data=b"x" * 10), item("x!")._replace(data=b"x" * 11)
    assert routing.stored(short, KEYS, 10) is short
    stored = routing.stored(long, KEYS, 10)
    assert stored.key.startswith("channels:{inbox:x!}entry:")
    assert routing.stored(stored, KEYS, 10) is stored


def test_letters() -> None:
    """Only direct messages wait for room."""
    envelopes = [Envelope(MESSAGE, "x!1"), Envelope(JOIN, "g", owner="x!1"), Envelope(LEAVE, "g"), done("x!1", 1)]
    assert [routing._letter(envelope) for envelope in envelopes] == ["m", "j", "a", "a"]
