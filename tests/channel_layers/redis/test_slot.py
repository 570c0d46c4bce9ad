"""What a slot of the Redis layer says to the server, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from channel_layers import codec
from channel_layers.envelope import EVENT, Envelope
from channel_layers.exceptions import AnswerLost, LayerDeclined, LayerUnavailable
from channel_layers.redis import RedisChannelLayer
from channel_layers.redis.connection import Connection
from channel_layers.redis.entries import LONG
from channel_layers.redis.exchange import Request
from channel_layers.redis.link import MAX_SHORT
from channel_layers.redis.protocol import Replies, pack
from channel_layers.redis.slot import RedisSlot
from channel_layers.redis.slot_commands import MAX_TAKES
from tests.channel_layers.redis.server import RedisServer, until

PATIENCE = 10.0


@pytest.fixture
def slot(layer: RedisChannelLayer) -> Iterator[RedisSlot]:
    """A slot that has found nothing."""
    with layer.open_slot() as slot:
        assert slot.take({"a": 1}, 1, timeout=0) == []
        yield slot


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[list[bytes]]:
    """The first words of the commands of each request that blocks."""
    requests: list[list[bytes]] = []
    ask = Connection.ask

    def spy(self: Connection, request: Request, patience: float | None = None) -> Replies:
        commands = [*request.said_in(""), *(request.rest.commands if request.rest else ())]
        requests.append([bytes(command).split(b"\r\n")[2] for command in commands])
        return ask(self, request, patience)

    monkeypatch.setattr(Connection, "ask", spy)
    return requests


def test_a_slot_that_found_nothing_waits_at_once(layer: RedisChannelLayer, slot: RedisSlot, said: list[object]) -> None:
    """It need not look again before it waits: what has come since has rung a bell."""
    layer.send("a", {"n": 1})
    said.clear()
    (taken,) = slot.take({"a": 1}, 1, PATIENCE)
    assert said == [[b"BLPOP", b"EVALSHA"]]
    assert taken.target == "a"
    slot.settle([])
    assert slot.take({"a": 1}, 1, timeout=0.01) == []
    said.clear()
    assert slot.take({"a": 1}, 1, timeout=0.01) == []
    assert said == [[b"BLPOP", b"EVALSHA"]]


def test_a_settle_and_the_wait_behind_it_are_one_write(
    layer: RedisChannelLayer, slot: RedisSlot, said: list[object]
) -> None:
    """A thread that works wakes once for what it has settled and for what comes next."""
    layer.send("a", {"n": 1})
    slot.take({"a": 1}, 1, PATIENCE)
    said.clear()
    layer.send("a", {"n": 2})
    assert said == [[b"EVALSHA"]]
    assert slot.settle_before_take([], {"a": 1}, 1) == []
    (taken,) = slot.take({"a": 1}, 1)
    assert said[1:] == [[b"EVALSHA", b"BLPOP", b"EVALSHA"], []]
    assert codec.decode(taken.content) == {"n": 2}


def test_a_wait_that_was_begun_for_as_long_goes_on(
    layer: RedisChannelLayer, slot: RedisSlot, said: list[object]
) -> None:
    """A take that may wait no shorter asks for nothing more."""
    assert slot.settle_before_take([], {"a": 1}, 1, PATIENCE) == []
    said.clear()
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(slot.take, {"a": 1}, 1, PATIENCE)
        until(lambda: said)
        layer.send("a", {"n": 1})
        (taken,) = taking.result(PATIENCE)
    assert codec.decode(taken.content) == {"n": 1}
    assert said == [[], [b"EVALSHA"]], "the second is what was sent"


@pytest.mark.parametrize("touched", [False, True])
def test_what_an_answer_that_was_lost_has_claimed_goes_back(
    layer: RedisChannelLayer, slot: RedisSlot, touched: bool
) -> None:
    """When the slot is closed: nobody has begun it. What somebody has begun stays lost, and counted."""
    if touched:
        layer.send("a", {"n": 0})
        assert len(slot.take({"a": 1}, 1, PATIENCE)) == 1
    layer.send("a", {"n": 1})
    taking = slot._taking({"a": 1}, 1, 0)
    layer.say(next(taking).said_in(""))
    with pytest.raises(AnswerLost):
        taking.throw(AnswerLost("no answer came"))
    slot.close()
    assert layer.say([pack("EXISTS", slot._commands.claims)]) == [0]
    assert layer.receive(["a"]) == ("a", {"n": 1})
    assert layer.receive(["a"]) == (None, None)
    assert slot._layer.losses.counts.total() == touched


def test_a_slot_that_is_closed_in_a_loop_does_not_hold_that_up(layer: RedisChannelLayer, server: RedisServer) -> None:
    """What an awaited take has claimed goes back as well, if its answer was lost."""

    async def main() -> None:
        slot = layer.open_slot()
        assert isinstance(slot, RedisSlot)
        assert await slot.atake({"a": 1}, 1, 0) == []
        layer.send("a", {"n": 1})
        taking = slot._taking({"a": 1}, 1, 0)
        layer.say(next(taking).said_in(""))
        with pytest.raises(AnswerLost):
            taking.throw(AnswerLost("no answer came"))
        with server.paused():
            closing = asyncio.create_task(slot.aclose())
            await asyncio.sleep(0)
            assert not closing.done()
        await closing
        assert await layer.areceive(["a"]) == ("a", {"n": 1})
        await layer.aclose()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_what_is_claimed_behind_a_wait_that_was_declined_goes_back(layer: RedisChannelLayer, slot: RedisSlot) -> None:
    """An account may look and not wait: the server carries out the one and not the other."""
    taking = slot._taking({"a": 1}, 1, PATIENCE)
    wait, script = next(taking).said_in("")
    assert b"BLPOP" in wait
    layer.send("a", {"n": 1})
    layer.say([script])
    with pytest.raises(LayerDeclined):
        taking.throw(LayerDeclined("NOPERM"))
    slot.close()
    assert layer.receive(["a"]) == ("a", {"n": 1})


def test_a_second_answer_that_is_lost_leaves_no_claim(
    layer: RedisChannelLayer, slot: RedisSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the slot has claimed and does not know of is then lost, and counted."""
    layer.send("a", {"n": 1})
    taking = slot._taking({"a": 1}, 1, 0)
    layer.say(next(taking).said_in(""))
    with pytest.raises(AnswerLost):
        taking.throw(AnswerLost("no answer came"))
    ask, lost = Connection.ask, iter([True])

    def ask_in_vain_first(self: Connection, request: Request, patience: float | None = None) -> Replies:
        if next(lost, False):
            raise AnswerLost("no answer came")
        return ask(self, request, patience)

    monkeypatch.setattr(Connection, "ask", ask_in_vain_first)
    slot.close()
    assert layer.say([pack("EXISTS", slot._commands.claims)]) == [0]
    assert slot._layer.losses.counts == {"worker died": 1}


def test_a_take_that_was_begun_may_be_closed_in_a_loop(layer: RedisChannelLayer, slot: RedisSlot) -> None:
    """The thread's connection tells what it has claimed."""
    assert slot.settle_before_take([], {"a": 1}, 1, PATIENCE) == []
    layer.send("a", {"n": 1})
    asyncio.run(asyncio.wait_for(slot.aclose(), PATIENCE))
    assert layer.receive(["a"]) == ("a", {"n": 1})


@pytest.mark.parametrize("size", [1, LONG])
def test_a_slot_of_which_all_is_known_is_closed_without_a_word(
    layer: RedisChannelLayer, slot: RedisSlot, said: list[object], size: int
) -> None:
    """It has found something, and what it asked then has never been sent."""
    owner = layer.inbox("tests.reply").new_channel()
    layer.write([Envelope(EVENT, "a", codec.encode({"text": "a" * size}), owner, 1)])
    assert len(slot.take({"a": 1}, 1, PATIENCE)) == 1
    slot.settle([])
    taking = slot._taking({"a": 1}, 1, 0)
    next(taking)
    with pytest.raises(LayerUnavailable):
        taking.throw(LayerUnavailable("away"))
    said.clear()
    slot.close()
    assert said == []


def test_what_was_claimed_goes_back_where_what_it_contains_cannot_be_fetched(
    layer: RedisChannelLayer, slot: RedisSlot
) -> None:
    """A long one waits aside, and is asked for behind the claim."""
    owner = layer.inbox("tests.reply").new_channel()
    layer.write([Envelope(EVENT, "a", codec.encode({"text": "a" * LONG}), owner, 1)])
    taking = slot._taking({"a": 1}, 1, 0)
    request = taking.send(layer.say(next(taking).said_in("")))
    assert b"MGET" in request.said_in("")[0]
    with pytest.raises(LayerUnavailable):
        taking.throw(LayerUnavailable("away"))
    slot.close()
    assert layer.receive(["a"])[1] == {"text": "a" * LONG}


def test_a_slot_that_wants_nothing_waits_for_its_interrupt(slot: RedisSlot, said: list[object]) -> None:
    """It has begun to, behind its settle, and does not ask again: a worker whose consumers are all at work."""
    assert slot.settle_before_take([], {"a": 0}, 1) == []
    slot.interrupt()
    said.clear()
    assert slot.take({"a": 0}, 1) == []
    assert said == [[]]


@pytest.mark.parametrize("waits", [False, True])
def test_scripts_that_are_forgotten_cost_nothing(layer: RedisChannelLayer, slot: RedisSlot, waits: bool) -> None:
    """They are told again, and nothing is taken twice: neither where a take waited behind the settle."""
    sent = Envelope(EVENT, "a", codec.encode({"n": 1}), layer.inbox("conformance.send").new_channel(), 1)
    layer.write([sent])
    slot.take({"a": 1}, 1, PATIENCE)
    if not waits:
        layer.send("a", {"n": 2})
    layer.say([pack("SCRIPT", "FLUSH")])
    assert slot.settle_before_take([layer.message("b", {})], {"a": 1}, 1) == []
    if waits:
        layer.send("a", {"n": 2})
    (taken,) = slot.take({"a": 1}, 1)
    assert codec.decode(taken.content) == {"n": 2}
    assert layer.find_lost([sent]) == [sent]
    assert layer.receive(["b"]) == ("b", {})
    slot.settle([])


@pytest.fixture
def crowded(new_layer: Callable[..., RedisChannelLayer]) -> Iterator[tuple[RedisChannelLayer, RedisSlot]]:
    """A layer, and a slot that has waited for room in an inbox of it while there was something to take."""
    layer = new_layer(inbox_capacity=1, send_timeout=PATIENCE)
    other = new_layer(inbox_capacity=1)
    inbox = layer.inbox("conformance.send")
    channel = inbox.new_channel()
    other.send(channel, {"n": 0})
    layer.send("a", {})
    with other.open_slot() as slot, ThreadPoolExecutor(1) as pool:
        slot.take({"a": 1}, 1, PATIENCE)
        layer.send("a", {"n": 2})
        settling = pool.submit(slot.settle_before_take, [other.message(channel, {"n": 1})], {"a": 1}, 1)
        until(lambda: b"cmd=blpop" in layer.say([pack("CLIENT", "LIST")])[0])
        received = [codec.decode(e.content) for _ in range(2) for _, e in inbox.receive(PATIENCE)]
        assert received == [{"n": 0}, {"n": 1}]
        assert settling.result(PATIENCE) == []
        yield layer, slot


def test_what_needs_another_answer_keeps_what_was_taken(crowded: tuple[RedisChannelLayer, RedisSlot]) -> None:
    """A settle that has to wait for room ends the wait behind it; the take that follows has what that has claimed."""
    _, slot = crowded
    (taken,) = slot.take({"a": 1}, 1, 0)
    assert codec.decode(taken.content) == {"n": 2}
    slot.settle([])


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_was_taken_and_not_asked_for_goes_back(
    crowded: tuple[RedisChannelLayer, RedisSlot], interrupted: bool
) -> None:
    """A worker that stops while a settle waits for room loses nothing of what it has not begun."""
    layer, slot = crowded
    if interrupted:
        slot.interrupt()
    slot.close()
    assert layer.say([pack("LLEN", slot._commands.claims)]) == [0]
    assert layer.receive(["a"]) == ("a", {"n": 2})
    assert slot._layer.losses.counts.total() == 0


def test_a_take_that_was_begun_outlasts_other_requests(layer: RedisChannelLayer, slot: RedisSlot) -> None:
    """Its answer is kept until it is asked for."""
    assert slot.settle_before_take([], {"a": 1}, 1) == []
    layer.send("a", {"n": 1})
    until(lambda: layer.say([pack("LLEN", slot._commands.claims)]) == [1])
    assert slot.settle([layer.message("b", {})]) == []
    (taken,) = slot.take({"a": 1}, 1, 0)
    assert codec.decode(taken.content) == {"n": 1}
    slot.settle([])


@pytest.mark.parametrize("closes", [False, True])
def test_a_take_that_was_begun_survives_its_connection(layer: RedisChannelLayer, slot: RedisSlot, closes: bool) -> None:
    """What it has claimed comes with the next look, which does not wait, or goes back."""
    assert slot.settle_before_take([], {"a": 1}, 1) == []
    layer.send("a", {"n": 1})
    until(lambda: layer.say([pack("LLEN", slot._commands.claims)]) == [1])
    assert slot._connections._blocking is not None
    slot._connections._blocking.close()
    if closes:
        slot.close()
        assert layer.receive(["a"]) == ("a", {"n": 1})
    else:
        (taken,) = slot.take({"a": 1}, 1)
        assert codec.decode(taken.content) == {"n": 1}
        slot.settle([])
    assert layer.losses.counts.total() == 0


def test_a_server_that_is_silent_holds_nobody_up(own_server: RedisServer) -> None:
    """Neither a take with a timeout nor the end of a slot, though a take was begun."""
    layer = RedisChannelLayer(hosts=own_server.url, timeout=0.2)
    slot, other = layer.open_slot(), layer.open_slot()
    for each in (slot, other):
        assert each.settle_before_take([], {"a": 1}, 1) == []
    with own_server.paused(), ThreadPoolExecutor(2) as pool:
        closing = pool.submit(slot.close)
        taking = pool.submit(other.take, {"a": 1}, 1, 0)
        closing.result(PATIENCE)
        with pytest.raises(LayerUnavailable):
            taking.result(PATIENCE)
    other.close()
    layer.close()


def test_a_begun_take_has_one_half(slot: RedisSlot) -> None:
    """It was sent by a thread, and no loop hears the answer."""
    assert slot.settle_before_take([], {"a": 1}, 1) == []
    with pytest.raises(RuntimeError, match=r"call take\(\)"):
        asyncio.run(slot.atake({"a": 1}, 1))


def test_many_answers_are_read_as_they_come(layer: RedisChannelLayer, slot: RedisSlot) -> None:
    """What is behind them could be too short to wake whoever waits for more than them."""
    messages = [layer.message(f"to{n}", {}) for n in range(MAX_SHORT + 1)]
    assert slot.settle_before_take(messages, {"a": 1}, 1) == []
    assert slot._connections._blocking is not None
    assert slot._connections._blocking._link is not None
    assert slot._connections._blocking._link._low_water == 1
    assert slot.take({"a": 1}, 1, 0) == []


def test_a_slot_that_found_something_looks_again(layer: RedisChannelLayer, slot: RedisSlot, said: list[object]) -> None:
    """There may be more, of which no bell tells."""
    for n in range(2):
        layer.send("a", {"n": n})
    assert len(slot.take({"a": 1}, 1, PATIENCE)) == 1
    said.clear()
    assert len(slot.take({"a": 1}, 1, PATIENCE)) == 1
    assert said == [[b"EVALSHA"]]


def test_a_take_without_patience_does_not_wait(slot: RedisSlot, said: list[object]) -> None:
    """Not even a moment, though nothing was there before."""
    said.clear()
    assert slot.take({"a": 1}, 1, timeout=0) == []
    assert said == [[b"EVALSHA"]]


def test_each_channel_is_served_first_in_its_turn(layer: RedisChannelLayer, slot: RedisSlot) -> None:
    """Also with commands that are kept for the next time; what is wanted in no number is not asked for."""
    channels = ["a", "b", "c"]
    for channel in channels * 4:
        layer.send(channel, {})
    wants = {"a": 1, "nothing": 0, "b": 1, "c": 1}
    first = [slot.take(wants, 1, PATIENCE)[0].target for _ in range(6)]
    assert {channel: first.count(channel) for channel in channels} == {"a": 2, "b": 2, "c": 2}


def test_only_so_many_commands_are_kept(slot: RedisSlot) -> None:
    """Wants change as consumers are quick or slow, and a slot lives for months."""
    for n in range(2 * MAX_TAKES + 1):
        assert slot.take({"a": n + 1}, n + 1, timeout=0) == []
    assert 0 < len(slot._commands._takes) <= MAX_TAKES
