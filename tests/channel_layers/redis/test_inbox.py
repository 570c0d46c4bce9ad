"""Reading an inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from channel_layers import codec
from channel_layers.exceptions import AnswerLost, LayerUnavailable
from channel_layers.inbox import VACANCY, Delivery
from channel_layers.redis import RedisChannelLayer
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.inbox import LIFETIME, READ_SIZE, RedisInbox
from channel_layers.redis.loop_connection import LoopConnection
from channel_layers.redis.protocol import pack
from channel_layers.redis.remains import MAX_ENTRIES, MAX_SECONDS
from tests.channel_layers.redis.server import RedisServer, auntil, until

PATIENCE = 10.0
NewLayer = Callable[..., RedisChannelLayer]


@pytest.fixture
def inbox(new_layer: NewLayer) -> RedisInbox:
    """The inbox that is read."""
    return new_layer().open_inbox("test.reply")


def bounded(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` in a loop, in bounded time."""

    async def limited() -> None:
        async with asyncio.timeout(PATIENCE):
            await main

    asyncio.run(limited())


def numbers(deliveries: list[Delivery]) -> list[int]:
    """Return the contents of ``deliveries``."""
    return [codec.decode(envelope.content)["n"] for _, envelope in deliveries]


def length(layer: RedisChannelLayer, inbox: RedisInbox) -> int:
    """Return how many entries the server holds for ``inbox``."""
    return int(layer.say([pack("XLEN", layer.keys.stream(inbox.name))])[0])


# -- reading -------------------------------------------------------------------------------------------------------


def test_what_was_read_is_deleted_once_there_is_enough_of_it(layer: RedisChannelLayer, inbox: RedisInbox) -> None:
    """At once by a thread, and in the same turn of its loop by a coroutine that has not read on."""
    channel = inbox.new_channel()

    def send(number: int) -> None:
        for n in range(number):
            layer.send(channel, {"n": n})

    send(MAX_ENTRIES - 1)
    assert numbers(inbox.receive(0)) == [*range(MAX_ENTRIES - 1)]
    assert length(layer, inbox) == MAX_ENTRIES - 1
    send(1)
    assert numbers(inbox.receive(0)) == [0]
    assert length(layer, inbox) == 0
    send(MAX_ENTRIES)

    async def main() -> None:
        assert numbers(await inbox.areceive()) == [*range(MAX_ENTRIES)]
        await auntil(lambda: not length(layer, inbox))

    bounded(main())


def test_a_heartbeat_deletes_what_was_read(layer: RedisChannelLayer, inbox: RedisInbox) -> None:
    """However little it is, and nothing that was not read."""
    channel = inbox.new_channel()
    layer.send(channel, {"n": 1})
    assert numbers(inbox.receive(0)) == [1]
    layer.send(channel, {"n": 2})
    inbox.beat()
    assert length(layer, inbox) == 1
    assert numbers(inbox.receive(0)) == [2]


def test_what_was_read_leaves_a_small_inbox_at_once(new_layer: NewLayer) -> None:
    """So that it takes no room from what waits: a hundredth of the capacity is the most that may remain."""
    layer = new_layer(inbox_capacity=2)
    inbox = layer.open_inbox("test.reply")
    channel = inbox.new_channel()
    for _ in range(3):
        layer.send_many([(channel, {"n": 1})])
        layer.send_many([(channel, {"n": 2})])
        assert numbers(inbox.receive(0)) == [1, 2]


def test_what_was_read_is_not_read_again_from_a_server_that_has_begun_anew(
    layer: RedisChannelLayer, inbox: RedisInbox
) -> None:
    """It has kept its entries and its inboxes are read from their beginning: only what was not read is returned."""
    channel = inbox.new_channel()
    for n in range(READ_SIZE + 5):
        layer.send(channel, {"n": n})
        if n == 4:
            assert numbers(inbox.receive(0)) == [*range(5)]
    assert length(layer, inbox) == READ_SIZE + 5
    connection = inbox._connections.blocking()
    connection.close()
    inbox._run = "another"
    assert numbers(inbox.receive(0)) == [*range(5, READ_SIZE)]
    assert numbers(inbox.receive(0)) == [*range(READ_SIZE, READ_SIZE + 5)]
    assert inbox.receive(0) == []


def test_more_than_one_read_holds_comes_in_several(layer: RedisChannelLayer, inbox: RedisInbox) -> None:
    """A reader that was away for long is not handed everything at once."""
    channel = inbox.new_channel()
    for n in range(READ_SIZE + 5):
        layer.send(channel, {"n": n})
    assert [len(inbox.receive(0)) for _ in range(3)] == [READ_SIZE, 5, 0]


def test_threads_and_coroutines_may_take_turns(layer: RedisChannelLayer, inbox: RedisInbox) -> None:
    """What a thread reads while a cancelled coroutine's read is under way is not read twice."""
    channel = inbox.new_channel()

    async def main() -> None:
        waiting = asyncio.create_task(inbox.areceive())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        layer.send(channel, {"n": 1})
        assert numbers(inbox.receive(0)) == [1]
        layer.send(channel, {"n": 2})
        found: list[int] = []
        while not found:
            found += numbers(await inbox.areceive())
        assert found == [2]

    bounded(main())


def test_each_loop_reads_with_connections_of_its_own(layer: RedisChannelLayer, inbox: RedisInbox) -> None:
    """An inbox outlives the loop that read it, also one that ended in the middle of a read."""
    channel = inbox.new_channel()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await inbox.areceive()

    async def read() -> None:
        layer.send(channel, {"n": 1})
        assert numbers(await inbox.areceive()) == [1]

    bounded(give_up())
    bounded(read())
    inbox.close()


def test_an_entry_that_is_no_envelope_is_counted(layer: RedisChannelLayer, inbox: RedisInbox) -> None:
    """What nobody can read ends no delivery: those behind it arrive."""
    channel = inbox.new_channel()
    layer.say([pack("XADD", layer.keys.stream(inbox.name), "*", "d", b"\xc1")])
    layer.send(channel, {"n": 1})
    assert numbers(inbox.receive(0)) == [1]
    assert inbox._layer.losses.counts == {"entry unreadable": 1}


def test_a_read_without_a_server_gives_up_in_time(own_server: RedisServer, new_layer: NewLayer) -> None:
    """A thread that waits up to some time is told when it is over."""
    inbox = new_layer(hosts=own_server.url, timeout=0.05).open_inbox("test.reply")
    own_server.kill()
    for timeout in (0, 0.1):
        with pytest.raises(LayerUnavailable):
            inbox.receive(timeout)


def test_a_server_that_refuses_is_asked_again(own_server: RedisServer, new_layer: NewLayer) -> None:
    """A reader in a loop outlasts errors, which are counted; one in a thread is told."""
    layer = new_layer(hosts=own_server.url)
    inbox = layer.open_inbox("test.reply")
    channel = inbox.new_channel()
    stream = layer.keys.stream(inbox.name)
    layer.say([pack("DEL", stream), pack("SET", stream, "x")])
    with pytest.raises(LayerUnavailable, match="WRONGTYPE"):
        inbox.receive(0)

    async def main() -> None:
        reading = asyncio.create_task(inbox.areceive())
        await auntil(lambda: layer.losses.counts["inbox not read"])
        await layer.connections.arun(mending())
        await layer.asend(channel, {"n": 1})
        assert numbers(await reading) == [1]

    def mending() -> Exchange[None]:
        yield Request([pack("DEL", stream), inbox.opening()])

    bounded(main())


# -- living --------------------------------------------------------------------------------------------------------


def test_an_inbox_lives_as_long_as_its_process(layer: RedisChannelLayer, inbox: RedisInbox) -> None:
    """Each heartbeat lets it live on, and a read that comes a while after the last one."""
    stream = layer.keys.stream(inbox.name)
    channel = inbox.new_channel()

    def read() -> None:
        layer.send(channel, {})
        inbox._remains._deleted_at -= MAX_SECONDS
        inbox.receive(0)

    for renew in (inbox.beat, inbox.reannounce, read):
        layer.say([pack("EXPIRE", stream, 5)])
        renew()
        assert LIFETIME - 5 < layer.say([pack("TTL", stream)])[0] <= LIFETIME


def test_a_group_is_not_withdrawn_before_the_inbox_is_read_to_its_end(
    layer: RedisChannelLayer, new_layer: NewLayer
) -> None:
    """In a loop: not while what came is being handled, and then with the next heartbeat."""
    now = 1000.0
    inbox = new_layer(clock=lambda: now).open_inbox("test.reply")
    inbox._vacant["g"] = now

    async def main() -> None:
        nonlocal now
        layer.say([pack("HSET", layer.keys.group("g"), inbox.name, "1.0")])
        now += VACANCY
        inbox.beat()
        assert inbox._vacant == {"g": 1000.0}
        reading = asyncio.create_task(inbox.areceive())
        await auntil(lambda: blocked_clients_of(layer))
        inbox.beat()
        await auntil(lambda: layer.say([pack("EXISTS", layer.keys.group("g"))]) == [0])
        reading.cancel()

    def blocked_clients_of(layer: RedisChannelLayer) -> bool:
        return b"cmd=xread" in layer.say([pack("CLIENT", "LIST")])[0]

    bounded(main())


def test_what_is_posted_without_a_server_is_logged(
    own_server: RedisServer, new_layer: NewLayer, caplog: pytest.LogCaptureFixture
) -> None:
    """A heartbeat in a loop raises nothing: what it said is said again after the reconnect."""
    layer = new_layer(hosts=own_server.url, timeout=0.05)
    inbox = layer.open_inbox("test.reply")

    async def main() -> None:
        own_server.kill()
        inbox.beat()
        await auntil(lambda: "cannot be reached, tried for" in caplog.text)

    bounded(main())
    assert "cannot be reached, tried for" in caplog.text


def test_a_waiting_reader_uses_one_connection(server: RedisServer, inbox: RedisInbox) -> None:
    """And the server does the waiting."""

    async def main() -> None:
        reading = asyncio.create_task(inbox.areceive())
        await asyncio.to_thread(until, server.blocked)
        reading.cancel()

    bounded(main())


@pytest.mark.parametrize("error", [LayerUnavailable("it is away"), AnswerLost("the connection was cut")])
def test_a_read_that_fails_at_once_is_tried_again(
    layer: RedisChannelLayer, inbox: RedisInbox, monkeypatch: pytest.MonkeyPatch, error: LayerUnavailable
) -> None:
    """A connection that was cut may say so before anybody waits for what is read."""
    channel, say, failures = inbox.new_channel(), LoopConnection.say, [error, error]

    def failing(connection: LoopConnection, request: Request, answer: Callable[[Any], None]) -> None:
        if failures:
            answer(failures.pop())
        else:
            say(connection, request, answer)

    async def main() -> None:
        monkeypatch.setattr(LoopConnection, "say", failing)
        layer.send(channel, {"n": 1})
        assert numbers(await inbox.areceive()) == [1]

    bounded(main())


def test_a_read_that_is_declined_is_counted_and_tried_again(
    own_server: RedisServer, new_layer: NewLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer answers with an error where its key is something else."""
    layer = new_layer(hosts=own_server.url)
    inbox = layer.open_inbox("test.reply")
    channel = inbox.new_channel()
    stream = layer.keys.stream(inbox.name)
    own_server.ask("DEL", stream)
    own_server.ask("SET", stream, "x")

    async def main() -> None:
        reading = asyncio.create_task(inbox.areceive())
        await auntil(lambda: layer.losses.counts["inbox not read"])
        own_server.ask("DEL", stream)
        inbox.reannounce()
        await auntil(lambda: own_server.ask("EXISTS", stream) == b":1\r\n")
        await layer.asend(channel, {"n": 1})
        assert numbers(await reading) == [1]

    bounded(main())
