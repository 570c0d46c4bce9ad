"""What one write says to the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from channel_layers import codec
from channel_layers.envelope import DONE, EVENT, GAP, GROUP, MESSAGE, Envelope, done
from channel_layers.exceptions import ChannelFull
from channel_layers.inbox import Inbox
from channel_layers.redis import RedisChannelLayer
from channel_layers.redis.entries import LONG_ENTRY
from channel_layers.redis.exchange import Request
from channel_layers.redis.protocol import Replies, pack
from channel_layers.redis.routing import MAX_PARCEL_SIZE
from tests.channel_layers.redis.server import RedisServer, until

PATIENCE = 10.0
NewLayer = Callable[..., RedisChannelLayer]


@pytest.fixture
def writes(layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands each write of the layer had."""
    found: list[int] = []
    ask = layer.connections._writing.ask

    def counting(request: Request, patience: float | None = None) -> Replies:
        found.append(len(request.said_in("")))
        return ask(request, patience)

    monkeypatch.setattr(layer.connections._writing, "ask", counting)
    return found


def arrived(inbox: Inbox) -> list[tuple[int, Any]]:
    """Return kind and content of what is in ``inbox``."""
    return [(e.kind, codec.decode(e.content) if e.content else None) for _, e in inbox.receive(0)]


# -- how much is said ------------------------------------------------------------------------------------------------


def test_a_write_is_one_command_for_each_target(layer: RedisChannelLayer, writes: list[int]) -> None:
    """What goes to one queue or inbox goes in one command, and all of it in one write."""
    channel = layer.new_channel("test.reply!")
    writes.clear()
    envelopes = [layer.message("a", {}), layer.message(channel, {}), layer.message("a", {}), done(channel, 1)]
    layer.write(envelopes)
    assert writes == [2]


def test_a_group_costs_one_question(layer: RedisChannelLayer, new_layer: NewLayer, writes: list[int]) -> None:
    """However many members an inbox holds; and what is beside the group message leaves with it."""
    inbox = new_layer().inbox("test.reply")
    for _ in range(20):
        layer.group_add("g", inbox.new_channel())
    writes.clear()
    layer.write([layer.group_message("g", {}), layer.message("a", {})])
    assert writes == [1, 2]


def test_nothing_is_said_about_nothing(layer: RedisChannelLayer, writes: list[int]) -> None:
    """A group without members is asked for them; an empty write is none."""
    layer.send_group("g", {})
    assert layer.write([]) == []
    assert layer.find_lost([]) == []
    assert writes == [1]


# -- order ---------------------------------------------------------------------------------------------------------


def test_a_write_keeps_the_order_of_each_inbox(layer: RedisChannelLayer, new_layer: NewLayer) -> None:
    """Joins, messages to the group and to the member, and what settles an event arrive as they were given."""
    inbox = new_layer().inbox("test.reply")
    channel = inbox.new_channel()
    layer.write(
        [
            layer.message(channel, {"n": 1}),
            layer.joining("g", channel),
            layer.group_message("g", {"n": 2}),
            layer.message(channel, {"n": 3}),
            layer.leaving("g", channel),
            layer.group_message("g", {"n": 4}),
            done(channel, 1),
        ]
    )
    assert arrived(inbox) == [(MESSAGE, {"n": 1}), (GROUP, {"n": 2}), (MESSAGE, {"n": 3}), (DONE, None)]


def test_a_done_waits_for_room_elsewhere(new_layer: NewLayer) -> None:
    """What settles an event is not sent before a message of its run has found room in another inbox."""
    layer, other = new_layer(inbox_capacity=1, send_timeout=PATIENCE), new_layer()
    full, own = other.inbox("test.full"), other.inbox("test.own")
    slow, owner = full.new_channel(), own.new_channel()
    layer.send(slow, {"n": 0})
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(layer.write, [layer.message(slow, {"n": 1}), done(owner, 1)])
        until(lambda: other.say([pack("EXISTS", other.keys.waiting(full.name))]) == [1])
        assert arrived(own) == []
        assert arrived(full) == [(MESSAGE, {"n": 0})]
        assert writing.result(PATIENCE) == []
    assert arrived(full) == [(MESSAGE, {"n": 1})]
    assert arrived(own) == [(DONE, None)]


def test_claims_are_kept_while_answers_wait_for_room(new_layer: NewLayer) -> None:
    """An event whose answer finds no room yet is not lost, and it is done in the end."""
    layer, server = new_layer(inbox_capacity=1, send_timeout=PATIENCE), new_layer()
    inbox = server.inbox("test.reply")
    owner = inbox.new_channel()
    sent = Envelope(EVENT, "a", codec.encode({}), owner, 1)
    server.write([sent])
    server.send(owner, {"n": 0})
    with layer.open_slot() as slot, ThreadPoolExecutor(1) as pool:
        slot.take({"a": 1}, 1, 0)
        answer = layer.message(owner, {"n": 1})
        answer.token = 1
        settling = pool.submit(slot.settle, [answer])
        until(lambda: server.say([pack("EXISTS", server.keys.waiting(inbox.name))]) == [1])
        until(lambda: server.find_lost([sent]) == [])
        assert arrived(inbox) == [(MESSAGE, {"n": 0})]
        assert settling.result(PATIENCE) == []
        assert server.find_lost([sent]) == [sent]
    assert [envelope.token for _, envelope in inbox.receive(0)] == [1]


# -- full inboxes --------------------------------------------------------------------------------------------------


def test_many_senders_find_room_one_after_the_other(new_layer: NewLayer) -> None:
    """A reader that makes room wakes all who wait for it, and nobody waits in vain."""
    layer = new_layer()
    inbox = layer.inbox("test.reply")
    channel = inbox.new_channel()
    senders = [new_layer(inbox_capacity=1, send_timeout=PATIENCE) for _ in range(4)]
    found: list[Any] = []
    with ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(sender.send_many, [(channel, {"n": n})] * 5) for n, sender in enumerate(senders)]
        while len(found) < 20:
            found += [codec.decode(envelope.content)["n"] for _, envelope in inbox.receive(PATIENCE)]
        for future in sending:
            future.result(PATIENCE)
    assert sorted(found) == sorted([0, 1, 2, 3] * 5)


def test_a_gap_is_marked_again_for_a_member_that_joined_after_it(new_layer: NewLayer) -> None:
    """Who joins behind a mark and misses a message has a mark of its own."""
    layer = new_layer(inbox_capacity=1, send_timeout=0)
    inbox = layer.inbox("test.reply")
    one, other = inbox.new_channel(), inbox.new_channel()
    layer.group_add("g", one)
    layer.send_group("g", {})
    layer.group_add("g", other)
    layer.send_group("g", {})
    deliveries = [(set(channels), envelope.kind) for channels, envelope in inbox.receive(0)]
    assert deliveries == [({one}, GAP), ({one, other}, GAP)]


def test_the_error_of_a_full_inbox_tells_the_age_of_its_oldest_entry(new_layer: NewLayer) -> None:
    """By the server's clock, in seconds."""
    layer = new_layer(inbox_capacity=1, send_timeout=0)
    channel = layer.new_channel("test.reply!")
    layer.send(channel, {})
    with pytest.raises(ChannelFull) as refused:
        layer.send(channel, {})
    assert 0 <= refused.value.oldest < PATIENCE


# -- long entries --------------------------------------------------------------------------------------------------


def test_long_entries_are_put_beside_the_stream(
    server: RedisServer, layer: RedisChannelLayer, new_layer: NewLayer, prefix: str
) -> None:
    """They arrive in order with the others, and nothing of them is left when they were read."""
    inbox = new_layer().inbox("test.reply")
    channel = inbox.new_channel()
    layer.group_add("g", channel)
    long = {"bytes": bytes(LONG_ENTRY)}
    layer.write([layer.message(channel, {"n": 1}), layer.message(channel, long), layer.group_message("g", long)])
    layer.send(channel, {"n": 2})
    assert len(layer.say([pack("KEYS", f"{prefix}*entry:*")])[0]) == 2
    contents = [content for _, content in arrived(inbox)]
    assert contents == [{"n": 1}, long, long, {"n": 2}]
    assert layer.say([pack("KEYS", f"{prefix}*entry:*")]) == [[]]


def test_a_long_entry_that_is_refused_leaves_nothing(
    layer: RedisChannelLayer, new_layer: NewLayer, prefix: str
) -> None:
    """A message that found no room takes none beside the stream either."""
    full = new_layer(inbox_capacity=1, send_timeout=0)
    channel = full.new_channel("test.reply!")
    full.send(channel, {})
    with pytest.raises(ChannelFull):
        full.send(channel, {"bytes": bytes(LONG_ENTRY)})
    assert layer.say([pack("KEYS", f"{prefix}*entry:*")]) == [[]]


def test_a_long_entry_that_vanished_is_counted(layer: RedisChannelLayer, new_layer: NewLayer, prefix: str) -> None:
    """The entries beside it are delivered."""
    reader = new_layer()
    inbox = reader.inbox("test.reply")
    channel = inbox.new_channel()
    layer.send_many([(channel, {"bytes": bytes(MAX_PARCEL_SIZE)}), (channel, {"n": 1})])
    ((key,),) = layer.say([pack("KEYS", f"{prefix}*entry:*")])
    layer.say([pack("DEL", key)])
    assert arrived(inbox) == [(MESSAGE, {"n": 1})]
    assert reader.losses.counts == {"entry unreadable": 1}


# -- dead inboxes --------------------------------------------------------------------------------------------------


def test_registrations_of_dead_inboxes_are_swept(layer: RedisChannelLayer, new_layer: NewLayer) -> None:
    """By the next message to the group, and by the join itself that came too late."""
    dead = new_layer().inbox("test.reply")
    channel = dead.new_channel()
    layer.group_add("g", channel)
    layer.say([pack("UNLINK", layer.keys.stream(dead.name))])
    layer.send_group("g", {})
    layer.group_add("h", channel)
    assert layer.say([pack("EXISTS", layer.keys.group("g"), layer.keys.group("h"))]) == [0]


def test_a_registration_made_since_is_not_swept(layer: RedisChannelLayer, new_layer: NewLayer) -> None:
    """A sweep deletes the value that its sender has read, and no newer one."""
    inbox = new_layer().open_inbox("test.reply")
    layer.group_add("g", inbox.new_channel())
    writing = layer.writer.write([layer.group_message("g", {})])
    request = next(writing)
    answers = layer.say(request.said_in(""))
    layer.say([pack("UNLINK", layer.keys.stream(inbox.name))])
    request = writing.send(answers)
    sweep = writing.send(layer.say(request.said_in("")))
    inbox.reannounce()
    inbox._register("g")
    layer.say(inbox._due)
    assert layer.say(sweep.said_in("")) == [0]
    assert layer.say([pack("HEXISTS", layer.keys.group("g"), inbox.name)]) == [1]


# -- under way -----------------------------------------------------------------------------------------------------


def test_writes_from_a_loop_and_from_threads_meet_in_one_queue(layer: RedisChannelLayer) -> None:
    """Both halves use the same scripts, and nobody's message is lost."""

    async def main() -> None:
        await asyncio.gather(*(layer.asend("a", {"n": n}) for n in range(50)))

    def send() -> None:
        for n in range(50, 100):
            layer.send("a", {"n": n})

    thread = threading.Thread(target=send)
    thread.start()
    asyncio.run(main())
    thread.join(PATIENCE)
    assert layer.depth("a") == 100
