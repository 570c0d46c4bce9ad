import os
import platform
import random
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, connections, transaction

from channel_layers.envelope import Envelope
from channel_layers.exceptions import AnswerLost, LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.slot import MemorySlot
from channel_layers.registry import Announcement
from channel_layers.slot import Refused
from channels import worker as worker_module
from channels import worker_slot
from channels.channel import Channel
from channels.layers import ChannelLayerWrapper
from channels.message import Message
from channels.routing import route
from channels.runner import Runner
from channels.signals import worker_ready
from channels.watchdog import Watchdog
from channels.worker import Worker, readable_channels
from channels.worker_slot import WorkerSlot
from tests.channels.workers import PATIENCE, Socket, layer_of, message, texts, working

RECEIVE = "websocket.receive"
DOWN = LayerUnavailable("the layer cannot be reached")


class RecordingSlot(MemorySlot):
    """Records what was wanted each time it got something; takes all there is where ``greedy``."""

    layer: "Faulty"

    def __init__(self, layer: "Faulty", retries: Mapping[str, int]) -> None:
        super().__init__(layer, retries)
        self.layer = layer

    def take(self, wants: Mapping[str, int], limit: int, timeout: float | None = None) -> list[Envelope]:
        self.layer.fail("take")
        taken = super().take(dict.fromkeys(wants, limit) if self.layer.greedy else wants, limit, timeout)
        if taken:
            self.layer.wants.append(dict(wants))
        return taken

    def settle(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        self.layer.fail("settle")
        return super().settle(envelopes)


class Faulty(MemoryChannelLayer):
    """Fails as often as ``failures`` says, by verb."""

    def __init__(self, greedy: bool = False, **failures: int) -> None:
        super().__init__()
        self.greedy = greedy
        self.failures = failures
        self.error: Exception = DOWN
        self.wants: list[dict[str, int]] = []
        self.announced = threading.Semaphore(0)

    def fail(self, verb: str) -> None:
        if self.failures.get(verb):
            self.failures[verb] -= 1
            raise self.error

    def open_slot(self, retries: Mapping[str, int] | None = None) -> RecordingSlot:
        slot = RecordingSlot(self, retries or {})
        with self.lock:
            self.slots.add(slot)
        return slot

    def announce(self, announcement: Announcement) -> None:
        self.announced.release()
        self.fail("announce")
        super().announce(announcement)

    def withdraw(self, process: str) -> None:
        self.fail("withdraw")
        super().withdraw(process)

    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        self.fail("write")
        return super().write(envelopes)


def reply(message: Message, text: str, **options: Any) -> None:
    """Send ``text`` to where ``message`` came from."""
    assert message.reply_channel is not None
    message.reply_channel.send({"text": text}, **options)


def echo(message: Message) -> None:
    """Send the text back."""
    reply(message, message["text"])


def send(layer: ChannelLayerWrapper, *envelopes: Envelope) -> None:
    """Write ``envelopes``, none of which is refused."""
    assert layer.channel_layer.write(envelopes) == []


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the worker had to complain of."""
    return [r.getMessage() for r in caplog.records if r.levelname in ("WARNING", "ERROR")]


# -- the life of a worker ----------------------------------------------------------------------------------------------


def test_messages_are_run() -> None:
    """Each by the consumer that its route names, in the order of the lane."""
    layer = layer_of(route(RECEIVE, echo))
    socket = Socket(layer)
    with working(layer):
        for text in ("1", "2", "3"):
            send(layer, socket.event({"text": text}))
        assert texts(socket.wait_for(3)) == ["1", "2", "3"]


def test_slots_run_together() -> None:
    """As many consumers as there are threads: two that wait for one another both return."""
    barrier = threading.Barrier(2)

    def consumer(message: Message) -> None:
        barrier.wait(PATIENCE)
        echo(message)

    layer = layer_of(route(RECEIVE, consumer))
    sockets = [Socket(layer), Socket(layer)]
    with working(layer, threads=2):
        send(layer, *[socket.event({"text": "x"}) for socket in sockets])
        assert [texts(socket.wait_for(1)) for socket in sockets] == [["x"], ["x"]]


def test_ready_is_sent_for_each_slot() -> None:
    """With the worker as its sender, before the first message."""
    ready = threading.Semaphore(0)
    senders = []

    def receive(sender: object, **kwargs: object) -> None:
        senders.append(sender)
        ready.release()

    worker_ready.connect(receive)
    try:
        with working(layer_of(), threads=3) as worker:
            assert all(ready.acquire(timeout=PATIENCE) for _ in range(3))
    finally:
        worker_ready.disconnect(receive)
    assert senders == [worker] * 3


def test_worker_announces_itself() -> None:
    """With what it reads and how much it can run; when it has ended nothing reads any more."""
    layer = layer_of(route(["b", "a"], echo))
    with working(layer, threads=2) as worker:
        (announced,) = layer.processes()
        assert (announced.process, announced.channels, announced.slots) == (worker.process, ("a", "b"), 2)
        assert (announced.host, announced.pid) == (platform.node(), os.getpid())
    assert layer.processes() == []


def test_heartbeat_is_repeated(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A layer that is away is told again when it is back."""
    monkeypatch.setattr(worker_module, "HEARTBEAT_INTERVAL", 0.001)
    faulty = Faulty(announce=2)
    with working(layer_of(layer=faulty)):
        assert all(faulty.announced.acquire(timeout=PATIENCE) for _ in range(4))
        assert len(faulty.processes()) == 1
    assert errors(caplog) == []  # the layer says itself that it is away


def test_worker_that_was_not_started_can_be_stopped() -> None:
    """What a supervisor does that gives up before."""
    assert Worker(layer_of()).stop()


# -- channels ----------------------------------------------------------------------------------------------------------


def test_default_routes_read_no_disconnects() -> None:
    """So that the server sends none in vain; a route of the project's makes the difference."""
    without, with_route = layer_of(), layer_of(route("websocket.disconnect", echo))
    for layer in (without, with_route):
        layer.router.check_default(http_consumer=echo)
    assert readable_channels(without) == ["http.request", "websocket.connect", "websocket.receive"]
    assert "websocket.disconnect" in readable_channels(with_route)


@pytest.mark.parametrize(
    ("only", "exclude", "expected"),
    [
        ([], [], ["http.request", "jobs", "websocket.connect", "websocket.receive"]),
        (["http.*"], [], ["http.request"]),
        (["http.*", "jobs"], [], ["http.request", "jobs"]),
        (["http"], [], []),
        (["HTTP.*"], [], []),
        ([], ["websocket.*"], ["http.request", "jobs"]),
        ([], ["websocket"], ["http.request", "jobs", "websocket.connect", "websocket.receive"]),
        (["websocket.*"], ["*.receive"], ["websocket.connect"]),
    ],
)
def test_globs_choose_channels(only: list[str], exclude: list[str], expected: list[str]) -> None:
    """Those that an ``only`` matches, less those that an ``exclude`` does; letter case counts."""
    layer = layer_of(route(["http.request", "websocket.connect", "websocket.receive", "jobs"], echo))
    worker = Worker(layer, only_channels=only, exclude_channels=exclude)
    assert worker.channels == expected


def test_other_channels_are_left_alone() -> None:
    """Another worker reads them."""
    layer = layer_of(route(["jobs", RECEIVE], echo))
    socket = Socket(layer)
    send(layer, message("jobs"))
    with working(layer, only_channels=["websocket.*"]):
        send(layer, socket.event({"text": "x"}))
        socket.wait_for(1)
        assert layer.depth("jobs") == 1


def test_worker_without_channels_waits() -> None:
    """It costs nothing and can be stopped."""
    with working(layer_of(route("jobs", echo)), exclude_channels=["*"]) as worker:
        assert worker.channels == []


# -- how much is taken -------------------------------------------------------------------------------------------------


class Clock:
    """The clock of the worker, which stands still unless a consumer moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.module = SimpleNamespace(perf_counter=lambda: self.now, monotonic=time.monotonic, sleep=time.sleep)


def test_slot_takes_what_fits_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many while consumers are fast, one while they are slow, each channel by its own account."""
    clock = Clock()
    monkeypatch.setattr(worker_slot, "time", clock.module)

    def consumer(message: Message) -> None:
        clock.now += message["seconds"]
        reply(message, "x")

    faulty = Faulty()
    layer = layer_of(route(["fast", "slow"], consumer), layer=faulty)
    socket = Socket(layer)
    with working(layer):
        for _ in range(50):
            send(layer, socket.event({"seconds": 0.000_01}, channel="fast"))
            socket.wait_for(1)
        assert faulty.wants[0] == {"fast": 1, "slow": 1}
        assert faulty.wants[-1] == {"fast": 64, "slow": 1}
        for _ in range(10):
            send(layer, socket.event({"seconds": 0.01}, channel="slow"))
            socket.wait_for(1)
        assert faulty.wants[-1] == {"fast": 64, "slow": 1}
        for _ in range(10):
            send(layer, socket.event({"seconds": 0.01}, channel="fast"))
            socket.wait_for(1)
        assert faulty.wants[-1] == {"fast": 1, "slow": 1}


def test_what_was_taken_together_is_answered_together() -> None:
    """One write for all of it, in order."""
    writes: list[int] = []

    class Counting(Faulty):
        def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
            writes.append(len(envelopes))
            return super().write(envelopes)

    layer = layer_of(route(RECEIVE, echo), layer=Counting(greedy=True))
    sockets = [Socket(layer) for _ in range(5)]
    send(layer, *[socket.event({"text": "x"}) for socket in sockets])
    with working(layer):
        for socket in sockets:
            socket.wait_for(1)
    assert writes == [5, 5]


# -- the watchdog ------------------------------------------------------------------------------------------------------


def test_sends_of_a_slow_consumer_leave() -> None:
    """It may send, wait for the client's answer and go on, again and again; the settlement comes last."""
    answers = [threading.Event() for _ in range(3)]

    def consumer(message: Message) -> None:
        for number, answered in enumerate(answers):
            reply(message, f"question {number}")
            assert answered.wait(PATIENCE)
        reply(message, "good bye")

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event())
        for number, answered in enumerate(answers):
            (entry,) = socket.wait_for(1)
            assert (texts([entry]), entry.token) == ([f"question {number}"], 0)
            answered.set()
        (last,) = socket.wait_for(1)
        assert (texts([last]), last.token) == (["good bye"], 1)


def test_sends_to_another_layer_leave_as_well() -> None:
    """A slow consumer holds back nothing, wherever it goes."""
    other = layer_of(alias="other")
    there = Socket(other)
    answered = threading.Event()

    def consumer(message: Message) -> None:
        Channel(there.name, channel_layer=other).send({"text": "question"})
        assert answered.wait(PATIENCE)
        reply(message, "good bye")

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event())
        assert texts(there.wait_for(1)) == ["question"]
        answered.set()
        assert texts(socket.wait_for(1)) == ["good bye"]


def test_sends_of_an_async_consumer_leave() -> None:
    """The slot of a coroutine waits like any other."""
    answered = threading.Event()

    async def consumer(message: Message) -> None:
        reply(message, "question")
        assert answered.wait(PATIENCE)
        reply(message, "good bye")

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event())
        assert texts(socket.wait_for(1)) == ["question"]
        answered.set()
        assert texts(socket.wait_for(1)) == ["good bye"]


def test_sends_of_a_transaction_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was sent before atomic() leaves while the consumer runs, what was sent inside when it has returned."""
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "db.sqlite3"))
    go_on, probed = threading.Event(), threading.Semaphore(0)

    def transactional(message: Message) -> None:
        connection.ensure_connection()
        reply(message, "before")
        with transaction.atomic():
            reply(message, "inside")
            assert go_on.wait(PATIENCE)
        reply(message, "after")

    def probe(message: Message) -> None:
        for text in ("one", "two"):
            reply(message, text)
            assert probed.acquire(timeout=PATIENCE)

    layer = layer_of(route(RECEIVE, transactional), route("probe", probe))
    socket, other = Socket(layer), Socket(layer)
    with working(layer, threads=2, reserve={}):
        send(layer, socket.event())
        assert texts(socket.wait_for(1)) == ["before"]
        # When the second probe arrives, the watchdog has passed both slots once more since the first.
        send(layer, other.event(channel="probe"))
        for text in ("one", "two"):
            assert texts(other.wait_for(1)) == [text]
            probed.release()
        assert socket.received() == []
        go_on.set()
        assert texts(socket.wait_for(2)) == ["inside", "after"]


def test_untouched_messages_are_put_back() -> None:
    """A slot that is busy gives what it has taken and not begun to another, in the old order."""
    ran: list[tuple[str, int]] = []
    all_ran, go_on = threading.Event(), threading.Event()

    def consumer(message: Message) -> None:
        if message["n"] == 0:
            assert go_on.wait(PATIENCE)
        ran.append((threading.current_thread().name, message["n"]))
        if len(ran) == 9:
            all_ran.set()

    layer = layer_of(route("jobs", consumer), layer=Faulty(greedy=True))
    send(layer, *[message("jobs", n=n) for n in range(10)])
    with working(layer), working(layer):
        assert all_ran.wait(PATIENCE)
        go_on.set()
    assert [n for _, n in ran] == [*range(1, 10), 0]
    assert layer.losses.counts == {}


def test_everything_may_be_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot that was held up before its first message finds none, and takes the next."""
    wake, held_up = Watchdog.wake, [True]
    slots: list[WorkerSlot] = []

    def waking(watchdog: Watchdog) -> None:
        if held_up:
            held_up.clear()
            slots.extend(watchdog.slots)
            slots[0].release()
        wake(watchdog)

    monkeypatch.setattr(Watchdog, "wake", waking)
    layer = layer_of(route(RECEIVE, echo))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({"text": "x"}))
        assert texts(socket.wait_for(1)) == ["x"]
    slots[0].release()  # idle by now: there is nothing to let go
    assert socket.received() == []


@pytest.mark.parametrize("seed", range(5))
def test_slow_consumers_hold_nothing_up(seed: int) -> None:
    """With one slot more than there are slow consumers, all others run meanwhile, and everything runs once."""
    chance = random.Random(seed)
    count, slots = 60, 4
    slow = set(chance.sample(range(count), slots - 1))
    ran: list[int] = []
    others_ran, all_ran = threading.Event(), threading.Event()
    lock = threading.Lock()

    def consumer(message: Message) -> None:
        if message["n"] in slow:
            assert others_ran.wait(PATIENCE)
        with lock:
            ran.append(message["n"])
            if len(set(ran) - slow) == count - len(slow):
                others_ran.set()
            if len(ran) >= count:
                all_ran.set()

    layer = layer_of(route("jobs", consumer), layer=Faulty(greedy=chance.random() < 0.8))
    numbers = list(range(count))
    early = chance.randrange(count)
    send(layer, *[message("jobs", n=n) for n in numbers[:early]])
    with working(layer, threads=slots):
        for n in numbers[early:]:
            send(layer, message("jobs", n=n))
        assert all_ran.wait(PATIENCE)
    assert sorted(ran) == numbers
    assert slow.isdisjoint(ran[: count - len(slow)])
    assert (layer.depth("jobs"), layer.losses.counts) == (0, {})


def settled(socket: Socket) -> list[Envelope]:
    """Wait for the entry that settles the event of ``socket``; return it and those before it."""
    entries: list[Envelope] = []
    while not any(entry.token for entry in entries):
        entries += socket.wait_for(1)
    return entries


@pytest.mark.parametrize("seed", range(3))
def test_each_sender_is_heard_in_its_order(seed: int) -> None:
    """Whatever leaves early and whatever late: what one run sends to one connection arrives as it was sent."""
    chance = random.Random(seed)
    plans = [[chance.choice(["send", "immediately", "pause"]) for _ in range(8)] for _ in range(12)]
    paused = threading.Semaphore(0)

    def consumer(message: Message) -> None:
        for number, step in enumerate(plans[message["plan"]]):
            reply(message, str(number), immediately=step == "immediately")
            if step == "pause":
                assert paused.acquire(timeout=PATIENCE)

    layer = layer_of(route(RECEIVE, consumer), layer=Faulty(greedy=True))
    sockets = [Socket(layer) for _ in plans]
    send(layer, *[socket.event({"plan": number}) for number, socket in enumerate(sockets)])
    with working(layer, threads=3):
        for _ in range(sum(plan.count("pause") for plan in plans)):
            paused.release()
        heard = [settled(socket) for socket in sockets]
    for entries in heard:
        assert texts(entries) == [str(number) for number in range(8)]
        assert [entry.token for entry in entries if entry.token] == [1]


def test_watchdog_survives_a_broken_layer(caplog: pytest.LogCaptureFixture) -> None:
    """It says what could not leave, and serves the next consumer."""
    answered = threading.Event()

    def consumer(message: Message) -> None:
        if message["text"] == "first":
            faulty.failures["write"] = 1
            reply(message, "lost")
            assert failed.wait(PATIENCE)
        else:
            reply(message, "question")
            assert answered.wait(PATIENCE)

    class Telling(Faulty):
        def fail(self, verb: str) -> None:
            try:
                super().fail(verb)
            except LayerUnavailable:
                failed.set()
                raise

    failed = threading.Event()
    faulty = Telling()
    layer = layer_of(route(RECEIVE, consumer), layer=faulty)
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({"text": "first"}))
        socket.wait_for(1)
        send(layer, socket.event({"text": "second"}))
        assert texts(socket.wait_for(1)) == ["question"]
        answered.set()
        socket.wait_for(1)
    assert "the sends of a slow consumer could not leave" in errors(caplog)


# -- what a worker survives --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LookupError, SystemExit, KeyboardInterrupt])
def test_slot_survives_its_consumers(error: type[BaseException]) -> None:
    """Whatever they raise."""

    def consumer(message: Message) -> None:
        if message["text"] == "bad":
            raise error
        echo(message)

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({"text": "bad"}))
        socket.wait_for(1)
        send(layer, socket.event({"text": "good"}))
        assert texts(socket.wait_for(1)) == ["good"]


def test_slot_survives_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its channel, and the next message is taken."""
    run = Runner.run

    def faulty(runner: Runner, envelope: Envelope) -> None:
        if envelope.token == 1:
            raise RuntimeError("a fault of ours")
        run(runner, envelope)

    monkeypatch.setattr(Runner, "run", faulty)
    layer = layer_of(route(RECEIVE, echo))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({"text": "1"}))
        send(layer, socket.event({"text": "2"}))
        assert texts(socket.wait_for(1)) == ["2"]
    assert errors(caplog) == ["a message on websocket.receive could not be handled"]


class Impatient(threading.Event):
    """Waits no second before a broken layer is tried again."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0 if timeout == 1.0 else timeout)


def test_worker_survives_a_layer_that_gives_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once in a while, waits a moment, and tries again."""
    faulty = Faulty(take=3)
    layer = layer_of(route(RECEIVE, echo), layer=faulty)
    socket = Socket(layer)
    send(layer, socket.event({"text": "x"}))
    monkeypatch.setattr("threading.Event", Impatient)
    with working(layer):
        monkeypatch.undo()
        assert texts(socket.wait_for(1)) == ["x"]
    assert faulty.losses.counts == {"not taken": 3}
    assert [line.partition(" (")[0] for line in errors(caplog)] == [
        "no messages could be taken: the layer cannot be reached"
    ]


def test_worker_waits_for_a_layer_that_takes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What was certainly not sent leaves when the layer is back."""
    faulty = Faulty(settle=3)
    layer = layer_of(route(RECEIVE, echo), layer=faulty)
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({"text": "x"}))
        assert texts(socket.wait_for(1)) == ["x"]
    assert (errors(caplog), faulty.losses.counts) == ([], {})


def test_answers_that_may_have_arrived_are_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    """They are counted, and the next message is run."""
    faulty = Faulty(settle=1)
    faulty.error = AnswerLost("no answer came")
    layer = layer_of(route(RECEIVE, echo), layer=faulty)
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({"text": "lost"}))
        send(layer, socket.event({"text": "heard"}))
        assert texts(socket.wait_for(1)) == ["heard"]
    assert faulty.losses.counts == {"answers lost": 1}
    (line,) = errors(caplog)
    assert line.startswith("1 messages and ends of events that consumers have sent may not have arrived: no answer")


def test_a_worker_that_stops_does_not_wait_for_its_layer(caplog: pytest.LogCaptureFixture) -> None:
    """What it could not write is counted."""
    faulty = Faulty(settle=10**9)
    ran = threading.Event()

    def consumer(message: Message) -> None:
        reply(message, "x")
        ran.set()

    layer = layer_of(route(RECEIVE, consumer), layer=faulty)
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({"text": "x"}))
        assert ran.wait(PATIENCE)
    assert faulty.losses.counts["answers lost"] == 1


def test_worker_stops_without_its_layer(caplog: pytest.LogCaptureFixture) -> None:
    """Its heartbeat ends by itself then."""
    with working(layer_of(layer=Faulty(withdraw=1))):
        pass
    assert errors(caplog) == ["the end of this worker could not be announced: the layer cannot be reached"]


def test_a_slot_that_ends_by_an_error_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """The process is to be replaced; what the slot had taken is given up, and the others go on."""
    ended = threading.Event()
    faulty = Faulty(settle=1)
    faulty.error = MemoryError()
    layer = layer_of(route(RECEIVE, echo), layer=faulty)
    socket = Socket(layer)
    with working(layer, threads=2) as worker:
        reasons: list[str] = []

        def overdue(reason: str) -> None:
            reasons.append(reason)
            ended.set()

        worker.overdue = overdue
        send(layer, socket.event({"text": "first"}))
        assert ended.wait(PATIENCE)
        send(layer, socket.event({"text": "second"}))
        assert texts(socket.wait_for(1)) == ["second"]
        assert worker.is_damaged
    assert reasons == ["one of its slots has ended by MemoryError"]
    complaint, loss = errors(caplog)
    assert complaint == f"this process takes less than it should: {reasons[0]}"
    assert loss.startswith("1 messages were taken and never finished")


def test_the_heartbeat_survives_a_fault(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that is not heard of would be taken for dead, though it works."""
    monkeypatch.setattr(worker_module, "HEARTBEAT_INTERVAL", 0.001)
    faulty = Faulty()
    faulty.error = MemoryError()
    with working(layer_of(route(RECEIVE, echo), layer=faulty)):
        faulty.failures["announce"] = 1
        for _ in range(10):
            assert faulty.announced.acquire(timeout=PATIENCE)
    assert "no heartbeat" in errors(caplog)


def test_the_watchdog_survives_a_fault(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It goes on to look after slow consumers."""
    answered = threading.Event()
    watch, faults = Watchdog._watch, [MemoryError()]

    def faulty(watchdog: Watchdog) -> None:
        if faults:
            raise faults.pop()
        watch(watchdog)

    def consumer(message: Message) -> None:
        reply(message, "question")
        assert answered.wait(PATIENCE)

    monkeypatch.setattr(Watchdog, "_watch", faulty)
    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({}))
        assert texts(socket.wait_for(1)) == ["question"]
        answered.set()
        socket.wait_for(1)
    assert errors(caplog) == ["slow consumers were not looked for"]


# -- stopping ----------------------------------------------------------------------------------------------------------


def test_stop_waits_for_running_consumers() -> None:
    """A consumer that runs when the worker is told to stop finishes, and what it sends is sent."""
    started = threading.Event()
    workers: list[Worker] = []

    def consumer(message: Message) -> None:
        started.set()
        assert workers[0].stopping.wait(PATIENCE)
        reply(message, "finished")

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer) as worker:
        workers.append(worker)
        send(layer, socket.event())
        assert started.wait(PATIENCE)
    assert texts(socket.received()) == ["finished"]


def test_stop_lets_a_consumer_hear_its_answer() -> None:
    """What it has sent leaves while the worker waits for it, so a conversation can end."""
    started, answered = threading.Event(), threading.Event()
    workers: list[Worker] = []

    def consumer(message: Message) -> None:
        started.set()
        assert workers[0].stopping.wait(PATIENCE)
        reply(message, "question")
        assert answered.wait(PATIENCE)
        reply(message, "good bye")

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)

    def client() -> None:
        heard.extend(texts(socket.wait_for(1)))
        answered.set()

    heard: list[str] = []
    thread = threading.Thread(target=client)
    thread.start()
    with working(layer) as worker:
        workers.append(worker)
        send(layer, socket.event())
        assert started.wait(PATIENCE)
    thread.join(PATIENCE)
    assert heard + texts(socket.received()) == ["question", "good bye"]


def test_stop_does_not_wait_for_ever() -> None:
    """After its time limit the caller decides; the consumer's thread ends with it or with the process."""
    started, go_on = threading.Event(), threading.Event()

    def consumer(message: Message) -> None:
        started.set()
        assert go_on.wait(PATIENCE)

    layer = layer_of(route(RECEIVE, consumer))
    with working(layer) as worker:
        send(layer, Socket(layer).event())
        assert started.wait(PATIENCE)
        assert not worker.stop(timeout=0)
        assert layer.processes() == []
        go_on.set()
        assert worker.stop(PATIENCE)


def test_stop_takes_nothing_more() -> None:
    """What is still queued is the next worker's."""
    started = threading.Event()
    workers: list[Worker] = []

    def consumer(message: Message) -> None:
        started.set()
        assert workers[0].stopping.wait(PATIENCE)

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer) as worker:
        workers.append(worker)
        send(layer, socket.event())
        assert started.wait(PATIENCE)
        send(layer, socket.event())
    assert layer.depth(RECEIVE) == 1
    assert [entry.token for entry in socket.received()] == [1]


def test_callback_and_retries_are_the_runner_s() -> None:
    """What a worker is made with reaches each of its slots."""
    seen: list[str] = []
    layer = layer_of(route(RECEIVE, echo))
    socket = Socket(layer)
    worker_options = {"callback": lambda channel, message: seen.append(channel), "message_retries": 3, "trace": True}
    with working(layer, **worker_options) as worker:
        assert worker.message_retries == 3
        send(layer, socket.event({"text": "x"}))
        socket.wait_for(1)
    assert seen == [RECEIVE]
