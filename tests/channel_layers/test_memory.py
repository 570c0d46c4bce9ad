"""What is special to the in-memory layer, and its races played out step by step."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from channel_layers.envelope import DONE, EVENT, GAP, GROUP, MESSAGE, Envelope, done
from channel_layers.losses import Losses
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.inbox import MemoryInbox
from channel_layers.memory.slot import Waiter
from channel_layers.memory.wakeup import LoopWakeup, ThreadWakeup
from channel_layers.registry import Announcement
from channel_layers.turns import END, LIFETIME, NOW, PAST, TAKE, Step

Start = Callable[..., "Future[Any]"]


class Waiters(dict[Any, Waiter]):
    """The slots that wait; lets a test wait for them to do so."""

    def __init__(self) -> None:
        self._added = threading.Semaphore(0)

    def __setitem__(self, slot: Any, waiter: Waiter) -> None:
        super().__setitem__(slot, waiter)
        self._added.release()

    def wait_for(self, count: int) -> None:
        """Return once ``count`` more slots have begun to wait. The layer's lock makes sure that they stay."""
        assert all(self._added.acquire(timeout=10) for _ in range(count))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def layer(clock: Clock) -> MemoryChannelLayer:
    """A layer with that clock."""
    layer = MemoryChannelLayer(clock=clock)
    layer.waiters = Waiters()
    return layer


@pytest.fixture
def waiters(layer: MemoryChannelLayer) -> Waiters:
    """The slots of that layer that wait."""
    assert isinstance(layer.waiters, Waiters)
    return layer.waiters


@pytest.fixture
def start() -> Iterator[Start]:
    """Run a call in a thread of its own."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


@pytest.fixture
def waiting_for_room(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """An event that is set when a sender begins to wait for room in an inbox."""
    waiting = threading.Event()
    wait = MemoryInbox.wait_for_room

    def wait_for_room(inbox: MemoryInbox, timeout: float) -> None:
        waiting.set()
        wait(inbox, timeout)

    monkeypatch.setattr(MemoryInbox, "wait_for_room", wait_for_room)
    return waiting


# -- slots that wait -----------------------------------------------------------------------------------------------


def test_a_message_wakes_one_slot(layer: MemoryChannelLayer, waiters: Waiters, start: Start) -> None:
    """The one that waits longest; the others sleep on until a message comes for them."""
    slots = [layer.open_slot() for _ in range(2)]
    takes = []
    for slot in slots:
        takes.append(start(slot.take, {"a": 1}, 1, 10))
        waiters.wait_for(1)
    layer.send("a", {})
    assert len(takes[0].result(10)) == 1
    assert list(waiters) == [slots[1]]
    layer.send("a", {})
    assert len(takes[1].result(10)) == 1


def test_as_many_slots_wake_as_are_needed(layer: MemoryChannelLayer, waiters: Waiters, start: Start) -> None:
    """A slot that wants many of a channel but may hold one leaves the others to other slots."""
    takes = [start(layer.open_slot().take, {"a": 64}, 1, 10) for _ in range(3)]
    waiters.wait_for(3)
    layer.send_many([("a", {})] * 3)
    assert not waiters
    assert [len(take.result(10)) for take in takes] == [1, 1, 1]


def test_a_slot_woken_for_one_message_may_take_another(
    layer: MemoryChannelLayer, waiters: Waiters, start: Start
) -> None:
    """The message it was woken for then wakes a slot that wants it, which nothing else would do."""
    takes = {}
    for wants in ("ab", "b"):
        takes[wants] = start(layer.open_slot().take, dict.fromkeys(wants, 1), 1, 10)
        waiters.wait_for(1)
    with layer.lock:  # "ab" is woken for b, and finds a as well before it comes to take
        layer._put_all([layer.message("b", {})])
        layer._put_all([layer.message("a", {})])
    assert [envelope.target for envelope in takes["ab"].result(10)] == ["a"]
    assert not waiters
    assert [envelope.target for envelope in takes["b"].result(10)] == ["b"]


@pytest.mark.parametrize("woken", [True, False])
def test_an_aborted_wait_passes_its_wakeup_on(
    layer: MemoryChannelLayer, waiters: Waiters, start: Start, monkeypatch: pytest.MonkeyPatch, woken: bool
) -> None:
    """A slot whose thread is interrupted by a signal does not keep the message it was woken for."""
    slot, other = layer.open_slot(), layer.open_slot()

    def wait(wakeup: ThreadWakeup, timeout: float | None) -> None:
        monkeypatch.undo()
        take = start(other.take, {"a": 1}, 1, 10)
        waiters.wait_for(2)
        if woken:
            layer.send("a", {"n": 1})
        takes.append(take)
        raise KeyboardInterrupt

    takes: list[Future[list[Envelope]]] = []
    monkeypatch.setattr(ThreadWakeup, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        slot.take({"a": 1}, 1)
    assert slot not in waiters
    if not woken:
        layer.send("a", {"n": 1})
    assert len(takes[0].result(10)) == 1


def test_interrupt_wakes_a_slot_that_waits(layer: MemoryChannelLayer, waiters: Waiters, start: Start) -> None:
    """And does not end the take after it too."""
    slot = layer.open_slot()
    take = start(slot.take, {"a": 1}, 1, 10)
    waiters.wait_for(1)
    slot.interrupt()
    assert take.result(10) == []
    take = start(slot.take, {"a": 1}, 1, 10)
    waiters.wait_for(1)
    layer.send("a", {})
    assert len(take.result(10)) == 1


def test_a_message_and_an_interrupt_at_once(layer: MemoryChannelLayer, waiters: Waiters, start: Start) -> None:
    """The message is taken, whichever of the two the slot hears of first."""
    slot = layer.open_slot()
    take = start(slot.take, {"a": 1}, 1, 10)
    waiters.wait_for(1)
    with layer.lock:
        layer._put_all([layer.message("a", {})])
    slot.interrupt()
    assert len(take.result(10)) == 1


def test_put_back_wakes_a_slot(layer: MemoryChannelLayer, waiters: Waiters, start: Start) -> None:
    """What one slot gives up need not wait for it, where another is idle."""
    layer.send("a", {})
    slot = layer.open_slot()
    taken = slot.take({"a": 1}, 1)
    take = start(layer.open_slot().take, {"a": 1}, 1, 10)
    waiters.wait_for(1)
    slot.put_back(taken)
    assert take.result(10) == taken


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
def test_a_time_that_is_over_is_not_waited_for(layer: MemoryChannelLayer, timeout: float) -> None:
    """A caller that counts down to a deadline may arrive below zero."""
    assert layer.open_slot().take({"a": 1}, 1, timeout) == []
    assert layer.inbox("test").receive(timeout) == []
    assert layer.receive(["a"], block=True, timeout=timeout) == (None, None)


def test_put_back_of_what_was_not_taken_is_an_error(layer: MemoryChannelLayer) -> None:
    """A message is not put into a queue by a slot that does not hold it."""
    with pytest.raises(ValueError, match="not in list"):
        layer.open_slot().put_back([layer.message("a", {})])
    assert layer.depth("a") == 0


# -- memory --------------------------------------------------------------------------------------------------------


def test_nothing_is_kept_of_what_is_over(layer: MemoryChannelLayer) -> None:
    """Queues, slots, waiters, groups and inboxes leave nothing behind."""
    empty = [layer.queues._queues, layer.slots, layer.waiters, layer.groups, layer.inboxes]
    for _ in range(3):
        channel = layer.new_channel("body?")
        layer.send(channel, {})
        layer.receive([channel])
        event = Envelope(EVENT, "a", b"\x80", "test.p1!k1", 1)
        layer.write([event])
        assert layer.retract(event)
        layer.depth("other")
        layer.find_lost([event])
        with layer.open_slot() as slot:
            slot.take({"a": 1}, 1, 0.001)
        inbox = layer.inbox("test")
        layer.group_add("g", inbox.new_channel())
        layer.group_add("g", "member")
        layer.group_discard("g", "member")
        inbox.receive(0)
        inbox.close()
        layer.group_add("g", inbox.name + "1")
    assert [list(table) for table in empty] == [[]] * len(empty)


def test_expired_messages_are_counted_and_logged(
    layer: MemoryChannelLayer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is dropped silently, whoever comes across it."""
    layer.send_many([("a", {})] * 3)
    clock.now += 61
    assert layer.receive(["a"]) == (None, None)
    assert layer.losses.counts == {"expired": 3}
    assert caplog.messages == ["a message on 'a' was not taken within 60.0 s (expired: 3 since the last such line)"]
    assert not layer.queues._queues


def test_messages_behind_an_event_expire_too(layer: MemoryChannelLayer, clock: Clock) -> None:
    """The event is taken, the old message behind it is not."""
    layer.write([Envelope(EVENT, "a", b"\x80", "test.p1!k1", 1), layer.message("a", {})])
    clock.now += 61
    with layer.open_slot() as slot:
        assert [envelope.kind for envelope in slot.take({"a": 5}, 5, 0)] == [EVENT]
        slot.settle([])
    assert layer.depth("a") == 0


def test_what_nobody_reads_expires_with_the_heartbeats(layer: MemoryChannelLayer, clock: Clock) -> None:
    """The body of a request whose consumer is gone has no reader that would find it too old, nor an owner."""
    owned = Envelope(EVENT, "a", b"\x80", "test.p1!k1", 1)
    layer.write([Envelope(EVENT, "body?k", b"\x80"), layer.message("b", {}), owned])
    clock.now += 61
    layer.send("c", {})
    layer.announce(Announcement("w1"))
    assert [layer.depth(channel) for channel in ("body?k", "b", "a", "c")] == [0, 0, 1, 1]
    assert set(layer.queues._queues) == {"a", "c"}
    assert layer.losses.counts == {"expired": 2}


def test_a_log_handler_may_use_the_layer(
    layer: MemoryChannelLayer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Drops are logged when the layer's lock is free again."""

    class Sending(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert not layer.lock.locked()
            layer.send("log", {"text": record.getMessage()})

    handler, logger = Sending(), logging.getLogger("channel_layers")
    inbox = layer.inbox("test")
    layer.inbox_capacity = 1
    layer.group_add("g", "member")
    layer.group_add("g", inbox.new_channel())
    layer.send_many([("member", {})] * layer.capacity)
    layer.send("a", {})
    logger.addHandler(handler)
    try:
        layer.send_group("g", {})
        assert layer.depth("log") == 2
        clock.now += 61
        layer.receive(["a"])
        assert layer.depth("log") == 3
        layer.group_add("h", "member")
        layer.send_many([("member", {})] * layer.capacity)
        layer.losses = Losses(logger)
        asyncio.run(layer.asend_group("h", {}))
        assert layer.depth("log") == 4
    finally:
        logger.removeHandler(handler)


def test_refusals_are_counted_and_not_logged(layer: MemoryChannelLayer, caplog: pytest.LogCaptureFixture) -> None:
    """The sender has an exception to show for it."""
    layer.send_many([("a", {})] * layer.capacity)
    with pytest.raises(layer.ChannelFull):
        layer.send("a", {})
    assert layer.losses.counts == {"channel full": 1}
    assert caplog.messages == []


# -- inboxes -------------------------------------------------------------------------------------------------------


def test_threads_open_one_inbox_together(
    layer: MemoryChannelLayer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is first, all get reply channels that somebody reads."""
    barrier, open_inbox = threading.Barrier(4), layer.open_inbox

    def open_alone(kind: str) -> MemoryInbox:
        assert layer._opening.locked()
        return open_inbox(kind)

    monkeypatch.setattr(layer, "open_inbox", open_alone)

    def new_channel() -> str:
        barrier.wait(10)
        return layer.new_channel("test!")

    channels = [future.result(10) for future in [start(new_channel) for _ in range(4)]]
    assert list(layer.inboxes) == [layer.inbox("test").name]
    assert all(layer.inbox("test").holds(channel) for channel in channels)


def test_servers_of_one_process_have_names_of_their_own(layer: MemoryChannelLayer) -> None:
    """The first has the layer's name, a second one of its own."""
    one, other = layer.open_inbox("test"), layer.open_inbox("test")
    assert one.name == f"test.{layer.process}!"
    assert other.name not in (one.name, f"test.{layer.process}!")
    channel = other.new_channel()
    layer.send(channel, {})
    assert [list(channels) for channels, _ in other.receive(0)] == [[channel]]
    assert one.receive(0) == []


def test_a_sender_waits_no_longer_than_its_time_for_a_whole_write(
    layer: MemoryChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many messages do not fit, and into however many inboxes."""
    waits: list[float] = []

    def wait_for_room(inbox: MemoryInbox, timeout: float) -> None:
        waits.append(timeout)

    monkeypatch.setattr("channel_layers.memory.layer.time", SimpleNamespace(monotonic=lambda: sum(waits)))
    monkeypatch.setattr(MemoryInbox, "wait_for_room", wait_for_room)
    layer.inbox_capacity = 1
    channels = [layer.new_channel("one!"), layer.new_channel("other!")]
    layer.send_many((channel, {}) for channel in channels)
    with pytest.raises(layer.ChannelFull):
        layer.send_many((channel, {}) for channel in channels * 3)
    assert waits == [layer.send_timeout]
    assert layer.losses.counts == {"inbox full": 6}


def test_a_sender_waits_again_if_another_was_quicker(
    layer: MemoryChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room that was made and taken at once is no room."""
    layer.inbox_capacity = 1
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    waits = iter(["taken", "free"])

    def wait_for_room(self: MemoryInbox, timeout: float) -> None:
        inbox.receive(0)
        if next(waits) == "taken":
            layer.send(channel, {"n": 1})

    monkeypatch.setattr(MemoryInbox, "wait_for_room", wait_for_room)
    layer.send(channel, {"n": 0})
    layer.send(channel, {"n": 2})
    assert list(waits) == []
    assert layer.receive([inbox.name]) == (channel, {"n": 2})


@pytest.mark.parametrize("carried", [True, False])
def test_done_waits_for_all_messages_of_its_run(
    layer: MemoryChannelLayer, start: Start, waiting_for_room: threading.Event, carried: bool
) -> None:
    """Also for those to other processes: the next event of the lane must not overtake them."""
    layer.inbox_capacity = 1
    slow, own = layer.inbox("slow"), layer.inbox("own")
    channel, owner = slow.new_channel(), own.new_channel()
    layer.send(channel, {"n": 0})
    end = done(owner, 1)
    if carried:
        end = layer.message(owner, {})
        end.token = 1
    settling = start(layer.open_slot().settle, [layer.message(channel, {"n": 1}), end])
    assert waiting_for_room.wait(10)
    assert own.receive(0) == []
    assert [envelope.kind for _, envelope in slow.receive(0)] == [MESSAGE]
    assert settling.result(10) == []
    assert [envelope.kind for _, envelope in slow.receive(0)] == [MESSAGE]
    assert [envelope.kind for _, envelope in own.receive(0)] == [MESSAGE if carried else DONE]


def test_later_entries_of_a_write_do_not_pass_one_that_waits(
    layer: MemoryChannelLayer, start: Start, waiting_for_room: threading.Event
) -> None:
    """A join behind a message that waits for room comes after it."""
    layer.inbox_capacity = 1
    inbox = layer.inbox("test")
    one, other = inbox.new_channel(), inbox.new_channel()
    layer.send(one, {})
    writing = start(layer.write, [layer.message(one, {"n": 1}), layer.joining("g", other)])
    assert waiting_for_room.wait(10)
    inbox.receive(0)
    assert writing.result(10) == []
    assert [envelope.kind for _, envelope in inbox.receive(0)] == [MESSAGE]
    assert inbox.members("g") == (other,)


def test_closing_an_inbox_lets_waiting_senders_go(
    layer: MemoryChannelLayer, start: Start, waiting_for_room: threading.Event
) -> None:
    """The connection is gone, and what was for it is discarded."""
    layer.inbox_capacity = 1
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    layer.send(channel, {})
    sending = start(layer.send, channel, {})
    assert waiting_for_room.wait(10)
    inbox.close()
    assert sending.result(10) is None
    assert inbox.receive(0) == []


def test_a_flush_makes_room(layer: MemoryChannelLayer, start: Start, waiting_for_room: threading.Event) -> None:
    """A sender that waits goes on, and a gap is marked anew."""
    layer.inbox_capacity = 1
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    layer.group_add("g", channel)
    layer.send_group("g", {})
    sending = start(layer.send, channel, {"n": 1})
    assert waiting_for_room.wait(10)
    layer.flush()
    assert sending.result(10) is None
    assert [envelope.kind for _, envelope in inbox.receive(0)] == [MESSAGE]
    layer.group_add("g", channel)
    assert inbox.receive(0) == []
    for _ in range(3):
        layer.send_group("g", {})
    assert [envelope.kind for _, envelope in inbox.receive(0)] == [GROUP, GAP]


def test_a_member_is_listed_between_reading_and_resolving(layer: MemoryChannelLayer) -> None:
    """A join or leave that the reader holds in its hands counts for those who ask meanwhile."""
    inbox = layer.inbox("test")
    one, other = inbox.new_channel(), inbox.new_channel()
    layer.group_add("g", one)
    inbox.receive(0)
    layer.group_add("g", other)
    layer.group_discard("g", one)
    held = inbox._read(0)
    assert layer.group_channels("g") == [other]
    inbox._resolve_all(held)
    assert layer.group_channels("g") == [other]


def test_a_registration_of_a_dead_inbox_is_swept(layer: MemoryChannelLayer) -> None:
    """It is no member, and the next message to the group removes it."""
    layer.groups["g"] = {"test.dead!": 1.0, "queue": 1.0}
    assert layer.group_channels("g") == ["queue"]
    layer.send_group("g", {})
    assert layer.groups == {"g": {"queue": 1.0}}


def test_a_registration_that_is_gone_is_not_withdrawn_twice(layer: MemoryChannelLayer, clock: Clock) -> None:
    """After a flush there is nothing to withdraw, and a newer registration is left alone."""
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    layer.group_add("g", channel)
    inbox.receive(0)
    inbox.forget(channel)
    layer.flush()
    clock.now += 11
    inbox.beat()
    assert layer.groups == {}
    layer.groups["h"] = {inbox.name: clock.now}
    inbox._withdraw("h", clock.now - 1)
    assert layer.groups == {"h": {inbox.name: clock.now}}


def test_the_inbox_of_a_loop_that_is_gone_can_be_sent_to(layer: MemoryChannelLayer) -> None:
    """A server that stopped without closing its inbox harms no sender; another reader finds the message."""
    inbox = layer.inbox("test")
    channel = inbox.new_channel()

    async def main() -> None:
        reading = asyncio.create_task(inbox.areceive())
        await asyncio.sleep(0)
        reading.cancel()

    asyncio.run(main())
    layer.send(channel, {})
    assert len(inbox.receive(0)) == 1


# -- options and the rest ------------------------------------------------------------------------------------------


def test_the_layer_stays_within_its_process() -> None:
    """Commands that need another process look at this."""
    assert MemoryChannelLayer.crosses_processes is False


def test_dead_processes_are_not_listed(layer: MemoryChannelLayer, clock: Clock) -> None:
    """The clock is the layer's."""
    layer.announce(Announcement("w1"))
    clock.now += 60
    assert layer.processes() == []


# -- wakeups -------------------------------------------------------------------------------------------------------


def test_a_thread_is_woken_once() -> None:
    """Before it waits or while it does, and twice is no error; without a wake it waits for its time."""
    wakeup = ThreadWakeup()
    wakeup.wake()
    wakeup.wake()
    wakeup.wait(None)
    wakeup.wait(0.001)


def test_a_coroutine_is_woken_once() -> None:
    """As a thread, and by any thread."""

    async def main() -> None:
        wakeup = LoopWakeup()
        await wakeup.wait(0.001)
        again = LoopWakeup()
        again.wake()
        again.wake()
        await again.wait(10)
        await again.wait()

    asyncio.run(main())


def test_a_loop_that_was_closed_is_not_woken() -> None:
    """Nobody waits there any more."""

    async def make() -> LoopWakeup:
        return LoopWakeup()

    wakeup = asyncio.run(make())
    wakeup.wake()
    assert not wakeup._woken.done()


def test_turns_of_silent_connections_are_forgotten(layer: MemoryChannelLayer, clock: Clock) -> None:
    """With a heartbeat, after an hour; those of others are known."""
    for channel in ("x!1", "x!2"):
        layer.turn(Step(TAKE, channel, 0))
        layer.turn(Step(END, channel, 0))
    clock.now += LIFETIME - 1
    layer.turn(Step(TAKE, "x!2", 1))
    clock.now += 1
    layer.announce(Announcement("w1"))
    assert layer.turn(Step(TAKE, "x!1", 0)).verdict == NOW
    assert layer.turn(Step(TAKE, "x!2", 0)).verdict == PAST
