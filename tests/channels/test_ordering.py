import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_layers.envelope import DONE
from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.turns import FREE, NOW, SKIP, TAKE, Outcome, Step
from channels import ordering, turns
from channels.exceptions import ConsumeLater, DenyConnection
from channels.layers import ChannelLayerWrapper
from channels.message import Message
from channels.ordering import MAX_ATTEMPTS, NEXT_ORDER
from channels.routing import Route
from channels.sessions import channel_session, enforce_ordering, session_for_reply_channel
from channels.turns import TurnKeeper, keeper
from tests.channels.browsers import nothing
from tests.channels.workers import PATIENCE, Bench, Socket, layer_of, message, texts, working

CHANNEL = "websocket.send.elsewhere!1"
CACHE = "django.contrib.sessions.backends.cache"


class Scribe:
    """A consumer that writes down which messages it is called with, and who waits for that."""

    def __init__(self, action: Callable[[Message], object] = lambda message: None) -> None:
        self.orders: list[int] = []
        self._action = action
        self._changed = threading.Condition()

    def __call__(self, message: Message) -> None:
        self.note(message)
        self._action(message)

    def note(self, message: Message) -> None:
        with self._changed:
            self.orders.append(message["order"])
            self._changed.notify_all()

    def wait_for(self, *orders: int) -> None:
        """Wait until exactly ``orders`` were handled, in this order."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.orders) >= len(orders), PATIENCE), self.orders
            assert self.orders == list(orders)

    def wait_for_all(self, *orders: int) -> None:
        """Wait until exactly ``orders`` were handled, whatever came first."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.orders) >= len(orders), PATIENCE), self.orders
            assert sorted(self.orders) == sorted(orders)


def scene(consumer: Any, layer: MemoryChannelLayer | None = None) -> ChannelLayerWrapper:
    """Return a layer with ``consumer`` for messages on ``work``."""
    return layer_of(Route("work", consumer), layer=layer)


def inject(layer: ChannelLayerWrapper, *orders: Any, channel: str = CHANNEL, **content: Any) -> None:
    """Send messages of a connection that no lane keeps in order."""
    for order in orders:
        layer.channel_layer.send("work", {"reply_channel": channel, "order": order, **content})


@pytest.fixture
def _impatient() -> Iterator[None]:
    """Wait for what is missing for a moment only."""
    with override_settings(CHANNELS={"ORDER_TIMEOUT": 0.05}):
        yield


impatient = pytest.mark.usefixtures("_impatient")


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("decorate", [enforce_ordering, enforce_ordering(), enforce_ordering(slight=False)])
def test_messages_out_of_order_are_handled_in_order(decorate: Any, threads: int) -> None:
    """What comes too early is held until those before it were handled."""
    scribe = Scribe()
    layer = scene(decorate(scribe))
    with working(layer, threads=threads):
        inject(layer, 3, 2, 4, 0, 1)
        scribe.wait_for(0, 1, 2, 3, 4)


def test_async_messages_out_of_order_are_handled_in_order() -> None:
    """It decorates async def consumers too."""
    scribe = Scribe()

    @enforce_ordering
    async def consumer(message: Message) -> None:
        await asyncio.sleep(0)
        scribe.note(message)

    layer = scene(consumer)
    with working(layer, threads=2):
        inject(layer, 2, 1, 0)
        scribe.wait_for(0, 1, 2)


@given(st.permutations(range(12)))
@settings(deadline=None, max_examples=25)
def test_any_order_is_mended(orders: list[int]) -> None:
    """Whatever order they come in, several workers handle them one after another."""
    running = threading.Lock()

    def alone(message: Message) -> None:
        assert running.acquire(blocking=False), "two messages of one connection are handled at once"
        time.sleep(random.uniform(0, 0.0005))  # others get their chance to be wrong
        running.release()

    scribe = Scribe(alone)
    layer = scene(enforce_ordering(scribe))
    with working(layer, threads=3):
        inject(layer, *orders)
        scribe.wait_for(*range(12))
    assert not layer.losses.counts


def test_connections_do_not_wait_for_each_other() -> None:
    """One that lacks a message keeps no other from being handled."""
    scribe = Scribe()
    layer = scene(enforce_ordering(scribe))
    with working(layer):
        inject(layer, 1)
        inject(layer, 0, 1, channel=CHANNEL + "2")
        scribe.wait_for(0, 1)


def test_slight_order_waits_for_the_first_alone() -> None:
    """All others may overtake each other, and the first may come again."""
    scribe = Scribe()
    layer = scene(enforce_ordering(slight=True)(scribe))
    with working(layer):
        inject(layer, 2, 1, 0)
        scribe.wait_for_all(0, 1, 2)
        inject(layer, 7, 5, 0)
        scribe.wait_for_all(0, 1, 2, 7, 5, 0)
    assert scribe.orders[0] == 0


@impatient
@pytest.mark.parametrize("slight", [False, True])
def test_a_dropped_message_wedges_nothing(slight: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Those behind it are handled after a while, and the gap is counted; nothing else has to come for that."""
    scribe = Scribe()
    layer = scene(enforce_ordering(slight=slight)(scribe))
    with working(layer):
        inject(layer, *((1, 2) if slight else (0, 2)))
        scribe.wait_for(*((1, 2) if slight else (0, 2)))
    assert layer.losses.counts == {"order gap": 1}
    assert f"1 messages of {CHANNEL!r} have not come within 0.05 s" in caplog.text
    assert "ORDER_TIMEOUT" in caplog.text


@impatient
def test_what_comes_after_its_turn_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A message that was given up, or one whose number was there already, is not handled, and that is said."""
    scribe = Scribe()
    layer = scene(enforce_ordering(scribe))
    with working(layer):
        inject(layer, 1)
        scribe.wait_for(1)
        inject(layer, 0, 1, 2)
        scribe.wait_for(1, 2)
    assert layer.losses.counts == {"order gap": 1, "order passed": 2}
    assert "the message 0 of" in caplog.text


@pytest.mark.parametrize("order", [None, "1", 1.0, True, -1, 2**53, [1]])
@pytest.mark.parametrize("has_lane", [True, False])
def test_a_bad_order_is_an_error(order: Any, has_lane: bool) -> None:
    """The error names the channel and the value, with a lane or without."""
    layer = scene(enforce_ordering(nothing))
    bad = Message({"reply_channel": CHANNEL, "order": order}, "work", layer, object() if has_lane else None)  # type: ignore[arg-type]  # not looked at
    with pytest.raises(ValueError, match=r"'order' of a message is a whole number from 0 on, .* on 'work' has"):
        enforce_ordering(nothing)(bad)


@pytest.mark.parametrize("content", [{"order": 0}, {"order": 0, "reply_channel": ""}])
def test_a_message_of_no_connection_is_an_error(content: dict[str, Any]) -> None:
    """Without a reply channel there is nothing to have an order."""
    with pytest.raises(ValueError, match="no reply channel"):
        enforce_ordering(nothing)(Message(content, "work", scene(nothing)))


@pytest.mark.parametrize("error", [KeyError("nick"), DenyConnection("no")])
def test_a_consumer_that_raises_wedges_nothing(error: Exception) -> None:
    """The next message has its turn all the same."""

    def fail(message: Message) -> None:
        if message["order"] == 0:
            raise error

    scribe = Scribe(fail)
    layer = scene(enforce_ordering(scribe))
    with working(layer):
        inject(layer, 1, 0)
        scribe.wait_for(0, 1)


def test_a_message_that_is_wanted_later_keeps_its_turn() -> None:
    """It comes again before those behind it are handled."""
    attempts = []

    def later(message: Message) -> None:
        attempts.append(message.attempt)
        if message["order"] == 0 and message.attempt < 2:
            raise ConsumeLater

    scribe = Scribe(later)
    layer = scene(enforce_ordering(scribe))
    with working(layer, threads=2):
        inject(layer, 1, 0, 2)
        scribe.wait_for(0, 0, 0, 1, 2)
    assert attempts[:3] == [0, 1, 2]


def test_decorators_may_be_stacked() -> None:
    """A message has one turn, however often it is asked for, and its session is saved before the next one's."""
    seen = []

    def count(message: Message) -> None:
        seen.append(message.channel_session.get("n", 0))
        message.channel_session["n"] = seen[-1] + 1

    scribe = Scribe(count)
    layer = scene(enforce_ordering(channel_session(enforce_ordering(scribe))))
    socket = Socket(layer)
    with working(layer, threads=3):
        inject(layer, 2, 1, 0, channel=socket.name)
        scribe.wait_for(0, 1, 2)
    assert seen == [0, 1, 2]


def test_replies_are_in_order_too() -> None:
    """What a consumer has sent leaves before the next message has its turn."""

    def answer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": str(message["order"])})

    layer = scene(enforce_ordering(answer))
    socket = Socket(layer)
    with working(layer, threads=3):
        inject(layer, *random.sample(range(20), 20), channel=socket.name)
        found = socket.wait_for(20)
    assert texts(found) == [str(n) for n in range(20)]


@pytest.mark.parametrize("error", [ConsumeLater(), DenyConnection()])
def test_what_is_to_be_discarded_does_not_leave(error: Exception) -> None:
    """A consumer that steers by an exception has its sends discarded with an order as without."""

    @enforce_ordering
    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": "never"})
        raise error

    layer = scene(consumer)
    socket = Socket(layer)
    Bench(layer, message_retries=0).run(message("work", reply_channel=socket.name, order=0))
    assert texts(socket.received()) == []


@pytest.mark.parametrize("is_async", [False, True])
def test_replies_that_cannot_leave_do_not_keep_the_turn(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next message is handled, whatever became of what this one has sent."""

    class Unable:
        def flush(self) -> None:
            raise LayerUnavailable("gone")

        async def aflush(self) -> None:
            self.flush()

    monkeypatch.setattr(ordering, "running", Unable)
    layer = scene(nothing)
    sent = Message({"reply_channel": CHANNEL, "order": 0}, "work", layer)
    if is_async:

        @enforce_ordering
        async def consumer(message: Message) -> None:
            """Do nothing."""

        with pytest.raises(LayerUnavailable):
            asyncio.run(consumer(sent))
    else:
        with pytest.raises(LayerUnavailable):
            enforce_ordering(nothing)(sent)
    assert layer.turn(Step(TAKE, CHANNEL, 1)).verdict == NOW


def test_a_lane_asks_nobody() -> None:
    """The events of a lane are in order: no step is made for them."""
    layer = layer_of(Route("websocket.receive", enforce_ordering(nothing)))
    socket = Socket(layer)
    Bench(layer).run(socket.event({"order": 7}))
    assert [envelope.kind for envelope in socket.received()] == [DONE]
    assert layer.turn(Step(TAKE, socket.name, 0)).verdict == NOW


# -- without turns of the layer ----------------------------------------------------------------------------------------


class Plain(MemoryChannelLayer):
    """A layer of a third party, without extensions."""

    extensions: ClassVar[list[str]] = ["groups", "flush"]

    def turn(self, step: Step) -> Outcome:
        raise AssertionError("this layer keeps no turns")


@pytest.fixture
def _sessions(empty_cache: None) -> Iterator[None]:
    """Channel sessions in the cache."""
    with override_settings(CHANNEL_SESSION_ENGINE=CACHE):
        yield


by_session = pytest.mark.usefixtures("_sessions")


@by_session
@pytest.mark.parametrize("is_async", [False, True])
def test_the_channel_session_keeps_the_order(is_async: bool) -> None:
    """A message that comes too early asks to come again, which the worker delays."""
    scribe = Scribe()

    @enforce_ordering
    async def consumer(message: Message) -> None:
        scribe.note(message)

    layer = scene(consumer if is_async else enforce_ordering(scribe), Plain())
    with working(layer, threads=2):
        inject(layer, 2, 1, 0)
        scribe.wait_for(0, 1, 2)
    assert session_for_reply_channel(CHANNEL)[NEXT_ORDER] == 3


@by_session
def test_the_channel_session_keeps_slight_order() -> None:
    """Only message 0 is waited for, and only it is noted."""
    scribe = Scribe()
    layer = scene(enforce_ordering(slight=True)(scribe), Plain())
    with working(layer):
        inject(layer, 3, 0)
        scribe.wait_for(0, 3)
        inject(layer, 1)
        scribe.wait_for(0, 3, 1)
    assert session_for_reply_channel(CHANNEL)[NEXT_ORDER] == 1


@by_session
def test_without_turns_nothing_is_wedged_either() -> None:
    """What is missing is skipped with the last attempt, and what comes after its turn is counted."""
    scribe = Scribe()
    layer = scene(enforce_ordering(scribe), Plain())
    bench = Bench(layer)
    for attempt in range(MAX_ATTEMPTS + 1):
        assert scribe.orders == []
        bench.run(message("work", attempt, reply_channel=CHANNEL, order=2))
    bench.run(message("work", reply_channel=CHANNEL, order=1), message("work", reply_channel=CHANNEL, order=3))
    assert scribe.orders == [2, 3]
    assert layer.losses.counts == {"order gap": 2, "order passed": 1}


@by_session
def test_without_turns_a_message_that_is_wanted_later_keeps_its_turn() -> None:
    """The number in the session stays."""

    @enforce_ordering
    def later(message: Message) -> None:
        raise ConsumeLater

    with pytest.raises(ConsumeLater):
        later(Message({"reply_channel": CHANNEL, "order": 0}, "work", Plain()))
    assert NEXT_ORDER not in session_for_reply_channel(CHANNEL)


def test_without_turns_and_sessions_it_is_an_error() -> None:
    """Then nothing can keep the order."""
    with pytest.raises(ValueError, match="CHANNEL_SESSION_ENGINE"):
        enforce_ordering(nothing)(Message({"reply_channel": CHANNEL, "order": 0}, "work", Plain()))


# -- what a process owes to turns --------------------------------------------------------------------------------------


def test_a_worker_that_stops_hands_over_what_waits() -> None:
    """Another one has it held then, and handles it in the end."""
    scribe = Scribe()
    layer = scene(enforce_ordering(scribe))
    with working(layer):
        inject(layer, 1)
        while not keeper._held:
            time.sleep(0.001)  # nothing tells that it is held
    assert layer.depth("work") == 1
    with working(layer):
        inject(layer, 0)
        scribe.wait_for(0, 1)


class Outcomes:
    """A layer that says what the test wants, and notes what it was asked."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[str] = []
        self.losses = MemoryChannelLayer().losses
        self._changed = threading.Condition()

    def turn(self, step: Step) -> Outcome:
        with self._changed:
            self.asked.append(step.action)
            self._changed.notify_all()
        outcome = self.outcomes.pop(0) if self.outcomes else Outcome()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def wait_for(self, n: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= n, PATIENCE)


def test_a_turn_is_renewed_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the layer is away; and not any more when it has ended."""
    monkeypatch.setattr(turns, "RENEWAL", 0.005)
    own, layer = TurnKeeper(), Outcomes(Outcome(), LayerUnavailable("gone"))
    step = Step(TAKE, CHANNEL, 0)
    own.begin(layer, step)  # type: ignore[arg-type]  # a stand-in
    layer.wait_for(4)
    own.end(layer, step)  # type: ignore[arg-type]  # a stand-in
    while own._is_renewing:
        time.sleep(0.001)  # nothing tells that nobody is renewed
    asked = len(layer.asked)
    own.begin(layer, step)  # type: ignore[arg-type]  # a stand-in
    layer.wait_for(asked + 1)
    own.end(layer, step)  # type: ignore[arg-type]  # a stand-in
    assert set(layer.asked) == {"renew"}


def test_what_is_held_is_looked_after_until_nothing_is() -> None:
    """Also when the layer is away meanwhile, and for those that came while it looked."""
    step = Step(TAKE, CHANNEL, 1, patience=0.005)
    layer = Outcomes(LayerUnavailable("gone"), Outcome(wait=0.001), Outcome())
    own = TurnKeeper()
    own.look_after(layer, step, 0.001)  # type: ignore[arg-type]  # a stand-in
    layer.wait_for(3)
    while own._held:
        time.sleep(0.001)  # nothing tells that it is over
    assert layer.asked == [SKIP] * 3
    own.look_after(layer, step, 60)  # type: ignore[arg-type]  # a stand-in
    (held,) = own._held.values()
    assert held.is_new
    own.look_after(layer, step, 60)  # type: ignore[arg-type]  # a stand-in
    assert list(own._held.values()) == [held]
    assert own._look(layer, held) is None  # type: ignore[arg-type]  # a stand-in


def test_what_came_during_a_look_is_looked_after() -> None:
    """The layer said that nothing is held, and then something was."""
    own = TurnKeeper()
    step = Step(TAKE, CHANNEL, 1, patience=7.0)

    class Racing(Outcomes):
        def turn(self, step: Step) -> Outcome:
            own.look_after(self, step, 60)  # type: ignore[arg-type]  # a stand-in
            return super().turn(step)

    layer = Racing(Outcome())
    own.look_after(layer, step, 60)  # type: ignore[arg-type]  # a stand-in
    (held,) = own._held.values()
    assert own._look(layer, held) == 7.0  # type: ignore[arg-type]  # a stand-in


def test_what_was_handed_over_is_not_looked_after() -> None:
    """A layer that is away then leaves it to the next message."""
    own, layer = TurnKeeper(), Outcomes(LayerUnavailable("gone"))
    own.look_after(layer, Step(TAKE, CHANNEL, 1), 60)  # type: ignore[arg-type]  # a stand-in
    (held,) = own._held.values()
    own.hand_over(Outcomes())  # type: ignore[arg-type]  # another layer
    assert list(own._held.values()) == [held]
    own.hand_over(layer)  # type: ignore[arg-type]  # a stand-in
    assert layer.asked == [FREE]
    assert own._look(layer, held) is None  # type: ignore[arg-type]  # a stand-in
    assert layer.asked == [FREE]


def test_a_forked_process_owes_nothing() -> None:
    """What the parent looks after is the parent's."""
    own = TurnKeeper()
    own.look_after(Outcomes(), Step(TAKE, CHANNEL, 1), 60)  # type: ignore[arg-type]  # a stand-in
    own.begin_anew()
    assert not own._held
