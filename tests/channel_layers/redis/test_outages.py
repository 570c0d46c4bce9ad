"""The layer on Redis while its server crashes, restarts, forgets and cuts connections."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from channel_layers import codec
from channel_layers.envelope import EVENT, GROUP, MESSAGE, Envelope, done
from channel_layers.exceptions import AnswerLost, LayerUnavailable
from channel_layers.inbox import Inbox
from channel_layers.redis import RedisChannelLayer, connection, connector
from channel_layers.redis.protocol import pack
from channel_layers.redis.slot_commands import end_of
from channel_layers.registry import Announcement
from channel_layers.slot import Slot
from tests.channel_layers.redis.server import RedisServer, auntil, until

PATIENCE = 20.0
KIND = "test.reply"
LINES = "channel_layers"

NewLayer = Callable[..., RedisChannelLayer]


@pytest.fixture
def new_layer(own_server: RedisServer) -> Iterator[NewLayer]:
    """Layers on a server that the test may end."""
    made: list[RedisChannelLayer] = []

    def new(**options: Any) -> RedisChannelLayer:
        made.append(RedisChannelLayer(hosts=own_server.url, prefix="test:", **options))
        return made[-1]

    yield new
    for layer in made:
        layer.close()


@pytest.fixture(autouse=True)
def _every_link_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little time has passed between two requests of a test."""
    monkeypatch.setattr(connection, "IDLE", 0.0)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for what waits."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def contents(inbox: Inbox, n: int) -> list[Any]:
    """Return the contents of the next messages in ``inbox``, at least ``n`` of them."""
    found: list[Any] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < n:
        assert time.monotonic() < deadline
        found += [codec.decode(e.content) for _, e in inbox.receive(PATIENCE) if e.kind in (MESSAGE, GROUP)]
    return found


def take(slot: Slot, channel: str) -> list[Any]:
    """Return the contents of what a slot takes from ``channel``, and settle it."""
    deadline = time.monotonic() + PATIENCE
    while not (taken := slot.take({channel: 16}, 16, PATIENCE)):
        assert time.monotonic() < deadline
    slot.settle([])
    return [codec.decode(envelope.content) for envelope in taken]


# -- verbs ---------------------------------------------------------------------------------------------------------


def test_a_send_without_a_server_fails_after_a_bounded_time(own_server: RedisServer, new_layer: NewLayer) -> None:
    """LayerUnavailable names the address and how long was tried."""
    layer = new_layer(timeout=0.2)
    own_server.kill()
    begun = time.monotonic()
    with pytest.raises(LayerUnavailable, match=rf"{own_server.url}\S+ cannot be reached, tried for 0\.\d s"):
        layer.send("a", {})
    assert time.monotonic() - begun < PATIENCE
    with pytest.raises(LayerUnavailable, match="cannot be reached"):
        asyncio.run(layer.asend("a", {}))


def test_a_send_whose_answer_is_lost_is_not_repeated(own_server: RedisServer, new_layer: NewLayer) -> None:
    """It raises, says that it may have arrived, and arrives at most once."""
    layer = new_layer(timeout=0.2)
    layer.send("a", {"n": 0})
    with own_server.paused(), pytest.raises(LayerUnavailable, match=r"did not answer within 0\.\d s .* not sent again"):
        layer.send("a", {"n": 1})
    assert layer.depth("a") == 2

    async def main() -> None:
        await layer.asend("a", {"n": 2})
        with own_server.paused(), pytest.raises(LayerUnavailable, match="did not answer within"):
            await layer.asend("a", {"n": 3})
        await layer.asend("b", {})

    asyncio.run(main())
    assert layer.depth("a") == 4


def test_others_do_not_wait_for_ever_behind_a_verb_that_hangs(
    own_server: RedisServer, layer: RedisChannelLayer, new_layer: NewLayer, pool: ThreadPoolExecutor
) -> None:
    """Whoever cannot have the connection in time is told so."""
    layer = new_layer(timeout=0.3)
    layer.send("a", {})
    with own_server.paused():
        hanging = [pool.submit(layer.send, "a", {}) for _ in range(3)]
        errors = [str(sent.exception(PATIENCE)) for sent in hanging]
    assert any("was busy for 0.3 s" in error for error in errors)
    assert any("did not answer" in error for error in errors)


def test_a_send_waits_for_a_server_that_restarts(
    own_server: RedisServer, layer: RedisChannelLayer, pool: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    """A short outage costs a sender some time and no error, and leaves one log line each way."""
    layer.send("a", {"n": 1})
    own_server.kill()
    with caplog.at_level(logging.WARNING, LINES):
        sending = pool.submit(layer.send, "a", {"n": 2})
        until(lambda: caplog.records)
        own_server.start()
        sending.result(PATIENCE)
    assert layer.receive(["a"]) == ("a", {"n": 2})
    lines = [record.getMessage() for record in caplog.records]
    told = [line.removeprefix(f"the layer at {own_server.url}").partition(" ")[2][:7] for line in lines]
    assert told == ["cannot ", "is back"]


def test_a_connection_that_was_closed_while_idle_costs_nothing(
    own_server: RedisServer, layer: RedisChannelLayer
) -> None:
    """What the server closed before the next verb is opened again before anything is sent."""
    layer.send("a", {"n": 1})
    own_server.ask("CLIENT", "KILL", "TYPE", "normal")
    layer.send("a", {"n": 2})
    assert layer.depth("a") == 2


def test_a_closed_connection_of_a_loop_is_opened_again(own_server: RedisServer, layer: RedisChannelLayer) -> None:
    """As above, for coroutines, once the loop has heard of it."""

    async def main() -> None:
        await layer.asend("a", {"n": 1})
        own_server.ask("CLIENT", "KILL", "TYPE", "normal")
        await asyncio.sleep(0.01)
        await layer.asend("a", {"n": 2})

    asyncio.run(main())
    assert layer.depth("a") == 2


def test_scripts_that_the_server_forgot_are_loaded_again(own_server: RedisServer, layer: RedisChannelLayer) -> None:
    """``SCRIPT FLUSH`` goes unnoticed, in threads and in loops."""
    layer.send("a", {"n": 1})
    own_server.ask("SCRIPT", "FLUSH")
    layer.send_many([("a", {"n": 2}), ("b", {"n": 3})])

    async def main() -> None:
        await layer.asend("a", {"n": 4})
        own_server.ask("SCRIPT", "FLUSH")
        await layer.asend_many([("a", {"n": 5}), ("b", {"n": 6})])

    asyncio.run(main())
    assert (layer.depth("a"), layer.depth("b")) == (4, 2)


def test_an_error_of_the_server_is_named(own_server: RedisServer, layer: RedisChannelLayer) -> None:
    """A server that is full or read-only says why, and so do we."""
    own_server.ask("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(LayerUnavailable, match=r"refused: .*maxmemory"):
        layer.send("a", {})
    own_server.ask("CONFIG", "SET", "maxmemory", 0)
    layer.send("a", {})


# -- slots ---------------------------------------------------------------------------------------------------------


def test_a_waiting_take_outlasts_a_restart(
    own_server: RedisServer, layer: RedisChannelLayer, new_layer: NewLayer, pool: ThreadPoolExecutor
) -> None:
    """A slot that waits for ever is there again when the server is."""
    with layer.open_slot() as slot:
        taking = pool.submit(take, slot, "a")
        until(own_server.blocked)
        own_server.kill()
        own_server.start()
        new_layer().send("a", {"n": 1})
        assert taking.result(PATIENCE) == [{"n": 1}]


def cut(server: RedisServer) -> None:
    """End every connection."""
    server.ask("CLIENT", "KILL", "TYPE", "normal")


def restart(server: RedisServer) -> None:
    """Let the server crash and begin anew; the first to connect gets the first number again."""
    server.kill()
    server.start()


@pytest.mark.parametrize(("end", "kills"), [(cut, 2), (restart, 0)])
def test_a_link_is_ended_by_its_number_only_in_the_run_that_gave_it(
    end: Callable[[RedisServer], None],
    kills: int,
    own_server: RedisServer,
    layer: RedisChannelLayer,
    pool: ThreadPoolExecutor,
) -> None:
    """A server that has begun anew has given the same number to somebody else."""
    with layer.open_slot() as slot:
        taking = pool.submit(slot.take, {"a": 1}, 1, None)
        until(own_server.blocked)
        end(own_server)
        until(own_server.blocked)
        counts = own_server.ask("INFO", "commandstats")
        slot.interrupt()
        assert taking.result(PATIENCE) == []
    assert (b"client|kill:calls=%d," % kills in counts) == bool(kills)
    assert (b"client|kill" in counts) == bool(kills)


@pytest.mark.parametrize(("lost", "new", "is_ended"), [(3, 4, True), (4, 3, False), (0, 4, False)])
def test_numbers_tell_of_another_run_where_it_is_not_told(lost: int, new: int, is_ended: bool) -> None:
    """They grow within a run; an account may neither ask for its number nor for the run."""
    links: list[Any] = [SimpleNamespace(run="", client_id=number) for number in (lost, new)]
    assert bool(end_of(*links)) == is_ended


def test_an_interrupt_ends_a_take_during_an_outage(
    own_server: RedisServer, layer: RedisChannelLayer, pool: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker can be stopped while the layer is away."""
    with layer.open_slot() as slot, caplog.at_level(logging.WARNING, LINES):
        taking = pool.submit(slot.take, {"a": 1}, 1, None)
        until(own_server.blocked)
        own_server.kill()
        until(lambda: caplog.records)
        slot.interrupt()
        assert taking.result(PATIENCE) == []


def test_a_take_gives_up_after_its_timeout_during_an_outage(own_server: RedisServer, new_layer: NewLayer) -> None:
    """A take with a time limit tells that the layer is away."""
    layer = new_layer(timeout=0.1)
    own_server.kill()
    with layer.open_slot() as slot, pytest.raises(LayerUnavailable):
        slot.take({"a": 1}, 1, 0)


def test_what_was_taken_when_the_answer_was_lost_is_taken_again(
    own_server: RedisServer, layer: RedisChannelLayer
) -> None:
    """A message that the server had claimed for a slot that never heard of it comes with the next take."""
    layer.send_many([("a", {"n": n}) for n in range(3)])
    with layer.open_slot() as slot:
        assert len(slot.take({"a": 1}, 1, 0)) == 1
        script = slot._script({"a": 1}, 1)[1]  # what a take sends; its answer goes to somebody else here
        layer.say([script])
        taken = slot.take({"a": 1}, 1, 0)
        assert [codec.decode(envelope.content)["n"] for envelope in taken] == [1, 2]
        slot.settle([])
        assert slot.take({"a": 1}, 1, 0) == []


def test_messages_survive_killed_connections(
    own_server: RedisServer, layer: RedisChannelLayer, new_layer: NewLayer, pool: ThreadPoolExecutor
) -> None:
    """However often the server cuts the connections of slots that wait, each message is taken once."""
    sender, stopped = new_layer(), threading.Event()
    found: list[int] = []

    def work() -> None:
        with layer.open_slot() as slot:
            while not stopped.is_set():
                taken = slot.take({"a": 4}, 4, 0.05)
                found.extend(codec.decode(envelope.content)["n"] for envelope in taken)
                with suppress(LayerUnavailable):
                    slot.settle([])

    workers = [pool.submit(work) for _ in range(3)]
    for n in range(100):
        sender.send("a", {"n": n})
        if n % 5 == 0:
            cut_others(own_server, sender)
    until(lambda: len(found) >= 100)
    stopped.set()
    for worker in workers:
        worker.result(PATIENCE)
    assert sorted(found) == list(range(100))


def cut_others(server: RedisServer, spared: RedisChannelLayer) -> None:
    """Cut every connection but those of ``spared``."""
    for line in server.ask("CLIENT", "LIST").decode().splitlines():
        fields = dict(part.split("=", 1) for part in line.split() if "=" in part)
        if fields.get("name") not in (None, "", f"channels-{spared.process}"):
            server.ask("CLIENT", "KILL", "ID", fields["id"])


@pytest.mark.parametrize("is_stale", [False, True])
def test_a_settle_whose_answer_is_lost_ends_the_claims(
    own_server: RedisServer, new_layer: NewLayer, is_stale: bool
) -> None:
    """The messages were handled: they are neither taken again nor held, whether the server heard of it or not."""
    layer, other = new_layer(timeout=0.2), new_layer()
    layer.send_many([("a", {"n": 1}), ("a", {"n": 2})])
    with layer.open_slot() as slot:
        slot.take({"a": 1}, 1, 0)
        claims = other.say([pack("LRANGE", slot._commands.claims, 0, -1)])[0]
        with own_server.paused(), pytest.raises(LayerUnavailable):
            slot.settle([layer.message("b", {})])
        other.depth("b")
        if is_stale:
            other.say([pack("LPUSH", slot._commands.claims, *claims)])
        assert [codec.decode(envelope.content) for envelope in slot.take({"a": 1}, 1, 0)] == [{"n": 2}]
        assert other.say([pack("LLEN", slot._commands.claims)]) == [1]


def test_claims_that_were_settled_stay_so_through_two_losses(layer: RedisChannelLayer) -> None:
    """After a settle whose answer was lost no take waits, or takes for new what it held, before that was ended."""
    layer.send("a", {"n": 1})
    with layer.open_slot() as slot:
        slot.take({"a": 1}, 1, 0)
        slot._ending()  # as in a settle that the server has not heard of
        taking = slot._taking({"a": 1}, 1, None)
        next(taking)
        request = taking.throw(LayerUnavailable("the answer was lost"))
        assert request.wait == 0
        layer.send("a", {"n": 2})
        release = taking.send(layer.say(request.said_in("")))
        with pytest.raises(StopIteration) as end:
            taking.send(layer.say(release.said_in("")))
        assert [codec.decode(envelope.content) for envelope in end.value.value] == [{"n": 2}]
        assert layer.say([pack("LLEN", slot._commands.claims)]) == [1]


def test_a_link_that_ends_behind_a_settle_is_replaced(own_server: RedisServer, new_layer: NewLayer) -> None:
    """The settle has arrived, and is not counted as lost; the take begins anew."""
    layer, other = new_layer(), new_layer()
    layer.send("a", {})
    with layer.open_slot() as slot:
        slot.take({"a": 1}, 1, PATIENCE)
        assert slot.settle_before_take([], {"a": 1}, 1) == []
        other.say([pack("CLIENT", "KILL", "TYPE", "normal")])
        other.send("a", {"n": 2})
        (taken,) = slot.take({"a": 1}, 1)
        assert codec.decode(taken.content) == {"n": 2}
        assert slot.settle([]) == []
    assert layer.losses.counts.total() == 0


def test_a_take_whose_answer_was_lost_looks_again_at_once(layer: RedisChannelLayer) -> None:
    """No bell tells of what is claimed already."""
    with layer.open_slot() as slot:
        assert slot.take({"a": 1}, 1, 0) == []
        layer.send("a", {"n": 1})
        taking = slot._taking({"a": 1}, 1, None)
        layer.say(next(taking).said_in(""))
        request = taking.throw(LayerUnavailable("the answer was lost"))
        assert request.wait == 0
        with pytest.raises(StopIteration) as end:
            taking.send(layer.say(request.said_in("")))
        assert [codec.decode(envelope.content) for envelope in end.value.value] == [{"n": 1}]


def test_a_settle_that_was_not_sent_can_be_tried_again(own_server: RedisServer, new_layer: NewLayer) -> None:
    """The claims are still the slot's, and end with the next attempt."""
    layer = new_layer()
    layer.send_many([("a", {"n": 1}), ("a", {"n": 2})])
    with layer.open_slot() as slot:
        slot.take({"a": 1}, 1, 0)
        settling = slot._settling([])
        next(settling)
        with pytest.raises(LayerUnavailable):
            settling.throw(LayerUnavailable("it is away"))
        assert slot.settle_before_take([], {"a": 1}, 1) == []
        assert [codec.decode(envelope.content) for envelope in slot.take({"a": 1}, 1)] == [{"n": 2}]
        assert layer.say([pack("LLEN", slot._commands.claims)]) == [1]
        slot.settle([])


@pytest.mark.parametrize("arrives", [True, False])
def test_what_is_taken_behind_a_settle_survives_the_loss_of_its_answer(
    own_server: RedisServer, new_layer: NewLayer, arrives: bool
) -> None:
    """The next take returns it, and nothing of what was settled, whether the server heard of the settle or not."""
    layer, other = new_layer(), new_layer()
    other.send_many([("a", {"n": n}) for n in range(3)])
    with layer.open_slot() as slot:
        slot.take({"a": 1}, 1, 0)
        settling = slot._settling_before_take([], {"a": 1}, 1, None)
        request = next(settling)
        assert request.rest is not None
        if arrives:
            other.say([*request.said_in(""), *request.rest.commands])
        with pytest.raises(AnswerLost):
            settling.throw(AnswerLost("no answer came"))
        taken = slot.take({"a": 1}, 1, 0)
        assert [codec.decode(envelope.content)["n"] for envelope in taken] == ([1, 2] if arrives else [1])
        assert other.say([pack("LLEN", slot._commands.claims)]) == [len(taken)]
        slot.settle([])
        assert other.say([pack("LLEN", slot._commands.claims)]) == [0]


@pytest.mark.parametrize("in_loop", [False, True])
def test_a_slot_that_is_closed_without_a_server(
    own_server: RedisServer, new_layer: NewLayer, caplog: pytest.LogCaptureFixture, in_loop: bool
) -> None:
    """Its claims are counted here, and end on the server when its process is found dead."""
    layer = new_layer(timeout=0.1)
    layer.send("a", {})
    slot = layer.open_slot()
    slot.take({"a": 1}, 1, 0)
    own_server.kill()
    if in_loop:
        asyncio.run(slot.aclose())
    else:
        slot.close()
    assert layer.losses.counts == {"worker died": 1}
    assert "could not give up its claims" in caplog.text


# -- inboxes -------------------------------------------------------------------------------------------------------


def test_an_inbox_loses_and_doubles_nothing_when_its_connections_break(
    own_server: RedisServer, layer: RedisChannelLayer, new_layer: NewLayer
) -> None:
    """Whatever the reader's connections suffer, every entry arrives once and in order."""
    sender, inbox = new_layer(), layer.inbox(KIND)
    channel = inbox.new_channel()

    async def read() -> list[int]:
        found: list[int] = []
        async with asyncio.timeout(PATIENCE):
            while len(found) < 200:
                found += [codec.decode(envelope.content)["n"] for _, envelope in await inbox.areceive()]
        return found

    async def main() -> list[int]:
        reading = asyncio.create_task(read())
        for n in range(200):
            await sender.asend(channel, {"n": n})
            if n % 10 == 0:
                cut_others(own_server, sender)
        return await reading

    assert asyncio.run(main()) == list(range(200))


@pytest.mark.parametrize("is_in_loop", [False, True])
def test_groups_are_registered_again_after_a_restart(
    own_server: RedisServer, layer: RedisChannelLayer, new_layer: NewLayer, pool: ThreadPoolExecutor, is_in_loop: bool
) -> None:
    """A server that lost its memory learns of inboxes and groups from those who hold the members."""
    inbox = layer.inbox(KIND)
    channel = inbox.new_channel()
    layer.group_add("g", channel)
    assert inbox.receive(0) == []
    reading = pool.submit(arrived, inbox) if is_in_loop else pool.submit(contents, inbox, 1)
    until(own_server.blocked)
    own_server.kill()
    own_server.start()
    until(lambda: b"test:{group:g}" in own_server.ask("KEYS", "*"))
    sender = new_layer()
    sender.send_group("g", {"n": 1})
    assert reading.result(PATIENCE) == [{"n": 1}]
    sender.send(channel, {"n": 2})
    assert contents(inbox, 1) == [{"n": 2}]


def arrived(inbox: Inbox) -> list[Any]:
    """Return the contents of what a coroutine receives next."""

    async def main() -> list[Any]:
        async with asyncio.timeout(PATIENCE):
            while not (deliveries := await inbox.areceive()):
                pass
        return [codec.decode(envelope.content) for _, envelope in deliveries]

    return asyncio.run(main())


@pytest.mark.parametrize("is_in_loop", [False, True])
def test_an_event_is_not_sent_before_its_answer_has_an_inbox(
    own_server: RedisServer, layer: RedisChannelLayer, new_layer: NewLayer, is_in_loop: bool
) -> None:
    """After a restart the first write makes sure of the inboxes, whether their reader is back or not."""
    inbox = layer.inbox(KIND)
    owner = inbox.new_channel()
    own_server.kill()
    own_server.start()
    event = Envelope(EVENT, "a", codec.encode({}), owner, 1)
    assert (asyncio.run(layer.awrite([event])) if is_in_loop else layer.write([event])) == []
    worker = new_layer()
    with worker.open_slot() as slot:
        assert len(slot.take({"a": 1}, 1, PATIENCE)) == 1
        slot.settle([worker.message(owner, {"n": 1}), done(owner, 1)])
    assert contents(inbox, 1) == [{"n": 1}]


def test_the_next_heartbeat_heals_a_server_that_was_emptied(own_server: RedisServer, layer: RedisChannelLayer) -> None:
    """After ``FLUSHALL`` the reader finds a mark and registers its groups again."""
    inbox = layer.inbox(KIND)
    channel = inbox.new_channel()
    layer.group_add("g", channel)
    assert inbox.receive(0) == []
    own_server.ask("FLUSHALL")
    layer.send_group("g", {"n": 1})
    inbox.beat()
    assert inbox.receive(0) == []
    layer.send_group("g", {"n": 2})
    assert contents(inbox, 1) == [{"n": 2}]


def test_a_heartbeat_in_a_loop_heals_too(own_server: RedisServer, layer: RedisChannelLayer) -> None:
    """As above, where the reader is a coroutine that waits."""
    inbox = layer.inbox(KIND)
    channel = inbox.new_channel()

    async def main() -> list[Any]:
        layer.group_add("g", channel)
        reading = asyncio.create_task(inbox.areceive())
        assert await reading == []
        reading = asyncio.create_task(inbox.areceive())
        await asyncio.sleep(0)
        own_server.ask("FLUSHALL")
        inbox.beat()
        assert await reading == []
        await layer.asend_group("g", {"n": 2})
        return await inbox.areceive()

    async def bounded() -> list[Any]:
        async with asyncio.timeout(PATIENCE):
            return await main()

    ((channels, envelope),) = asyncio.run(bounded())
    assert (list(channels), codec.decode(envelope.content)) == ([channel], {"n": 2})


@pytest.mark.parametrize("flush", ["FLUSHALL", "FLUSHDB"])
def test_a_reader_that_waits_is_told_of_a_flush(own_server: RedisServer, layer: RedisChannelLayer, flush: str) -> None:
    """It registers its groups again at once, without a heartbeat."""
    inbox, other = layer.inbox(KIND), RedisChannelLayer(hosts=own_server.url, prefix="test:")
    channel = inbox.new_channel()

    async def main() -> None:
        await layer.agroup_add("g", channel)
        assert await inbox.areceive() == []
        reading = asyncio.create_task(inbox.areceive())
        await auntil(own_server.blocked)
        await asyncio.to_thread(own_server.ask, flush)
        await auntil(lambda: own_server.ask("HEXISTS", "test:{group:g}", inbox.name) == b":1\r\n")
        await asyncio.to_thread(other.send_group, "g", {"n": 1})
        ((channels, envelope),) = await reading
        assert (list(channels), codec.decode(envelope.content)) == ([channel], {"n": 1})

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    other.close()


def test_a_thread_that_reads_is_told_of_a_flush(own_server: RedisServer, layer: RedisChannelLayer) -> None:
    """With its next read."""
    inbox = layer.inbox(KIND)
    layer.group_add("g", inbox.new_channel())
    assert inbox.receive(0) == []
    own_server.ask("FLUSHALL")
    assert inbox.receive(0) == []
    assert own_server.ask("HEXISTS", "test:{group:g}", inbox.name) == b":1\r\n"


# -- processes -----------------------------------------------------------------------------------------------------


def test_claims_of_a_dead_process_are_reaped(layer: RedisChannelLayer, new_layer: NewLayer) -> None:
    """What a process held that has ended is counted by whoever is told of its end."""
    dead = new_layer()
    dead.announce(Announcement("w1"))
    layer.send_many([("a", {}), ("a", {}), ("a", {})])
    slot = dead.open_slot()
    assert len(slot.take({"a": 2}, 2, 0)) == 2
    layer.announce(Announcement("w2"))
    assert layer.losses.counts.total() == 0
    layer.withdraw("w1")
    assert layer.losses.counts == {"worker died": 2}
    layer.withdraw("w1")
    assert layer.losses.counts == {"worker died": 2}


def test_a_bell_that_was_lost_is_rung_by_the_heartbeat(
    own_server: RedisServer, layer: RedisChannelLayer, pool: ThreadPoolExecutor
) -> None:
    """A message beside which everybody sleeps waits no longer than for the next heartbeat of a worker."""
    with layer.open_slot() as slot:
        layer.send("a", {"n": 1})
        own_server.ask("DEL", "test:{work}bell:a")
        layer.send("a", {"n": 2})
        taking = pool.submit(slot._look, {"a": 2}, 2, None, waiting=True)
        request = next(taking.result(PATIENCE))
        waiting = pool.submit(layer.connections._ask, request)
        until(own_server.blocked)
        layer.announce(Announcement("w1", ("a",)))
        assert len(waiting.result(PATIENCE)[1][1]) == 2


def test_a_send_waits_for_an_inbox_that_is_made_again(
    own_server: RedisServer, new_layer: NewLayer, pool: ThreadPoolExecutor
) -> None:
    """Whoever is back first after a restart loses neither a message nor a join for the others."""
    layer, sender, joiner = new_layer(), new_layer(), new_layer()
    inbox = layer.inbox(KIND)
    channel = inbox.new_channel()
    for other in (sender, joiner):
        other.depth("a")
    own_server.kill()
    own_server.start()
    sending, joining = pool.submit(sender.send, channel, {"n": 1}), pool.submit(joiner.group_add, "g", channel)
    for other in (sender, joiner):
        until(other.connections.connector.is_recovering)
    assert inbox.receive(0) == []
    sending.result(PATIENCE)
    joining.result(PATIENCE)
    assert contents(inbox, 1) == [{"n": 1}]
    assert inbox.members("g") == (channel,)


def test_a_send_to_a_process_that_is_gone_gives_up(
    own_server: RedisServer, new_layer: NewLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When every process that lives has had its time after a restart."""
    monkeypatch.setattr(connector, "RECOVERY", 0.3)
    layer, other = new_layer(), new_layer()
    channel = layer.inbox(KIND).new_channel()
    other.depth("a")
    layer.close()
    own_server.kill()
    own_server.start()
    other.group_add("g", channel)
    assert other.say([pack("EXISTS", other.keys.group("g"))]) == [0]


# -- runs of the server --------------------------------------------------------------------------------------------


def event(layer: RedisChannelLayer, number: int) -> Envelope:
    """Write an event of a connection and return it."""
    sent = Envelope(EVENT, "a", codec.encode({"n": number}), layer.inbox(KIND).new_channel(), number)
    assert layer.write([sent]) == []
    return sent


@pytest.mark.parametrize("fresh", [0, 1])
def test_events_of_an_earlier_run_are_not_handled(
    own_server: RedisServer, new_layer: NewLayer, fresh: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that comes back with what it had saved may have lost what was taken since; their owner settles them."""
    layer = new_layer()
    old = [event(layer, number) for number in (1, 2)]
    layer.send("a", {"n": 3})
    own_server.ask("SAVE")
    own_server.kill()
    own_server.start()
    new = [event(layer, 4)] if fresh else []
    assert layer.find_lost([*old, *new]) == []
    with layer.open_slot() as slot:
        taken = slot.take({"a": 16}, 16, 0)
        assert [codec.decode(envelope.content)["n"] for envelope in taken] == [3, *([4] if fresh else [])]
        slot.settle([])
        assert layer.find_lost([*old, *new]) == [*old, *new]
    assert layer.losses.counts["earlier run"] == 2
    assert "earlier run of the layer" in caplog.text


def test_a_take_of_nothing_but_an_earlier_run_goes_on_waiting(own_server: RedisServer, new_layer: NewLayer) -> None:
    """Their claims end at once, and what is sent next is taken."""
    layer = new_layer()
    old = event(layer, 1)
    own_server.ask("SAVE")
    own_server.kill()
    own_server.start()
    with layer.open_slot() as slot, ThreadPoolExecutor(1) as pool:
        taking = pool.submit(slot.take, {"a": 16}, 16, PATIENCE)
        until(lambda: layer.find_lost([old]) == [old])
        event(layer, 2)
        (taken,) = taking.result(PATIENCE)
        assert taken.token == 2
