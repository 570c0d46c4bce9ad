import asyncio
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from pathlib import Path

import pytest
from django.db import connection, connections, transaction
from hypothesis import given
from hypothesis import strategies as st

from channel_layers import codec
from channel_layers.envelope import DONE, EVENT, RAISED, RETURNED, Envelope, read_done
from channel_layers.exceptions import AnswerLost, ChannelFull, LayerDeclined, LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.slot import Refused
from channels.pending import Pending, current, running
from tests.channels.workers import in_thread

REPLY = "websocket.send.tests!1"


class RecordingLayer(MemoryChannelLayer):
    """Remembers what was written, write by write; refuses what goes to ``full``."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[list[Envelope]] = []

    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        self.writes.append(list(envelopes))
        return [Refused(e, ChannelFull("full", 1, 1, 0.0, "capacity")) for e in envelopes if e.target == "full"]

    async def awrite(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        return self.write(envelopes)

    @property
    def written(self) -> list[object]:
        """What was sent to ``jobs``, and the kinds of everything else."""
        return [number(e) for envelopes in self.writes for e in envelopes]


def number(envelope: Envelope) -> object:
    """Return which of the sends ``envelope`` is."""
    return codec.decode(envelope.content)["n"] if envelope.kind not in (DONE, EVENT) else envelope.kind


@pytest.fixture
def layer() -> RecordingLayer:
    """The layer of the slot."""
    return RecordingLayer()


@pytest.fixture
def reported() -> list[Refused]:
    """What was refused after its consumer had gone on."""
    return []


@pytest.fixture
def pending(layer: RecordingLayer, reported: list[Refused]) -> Pending:
    """The sends of a slot whose consumer runs."""
    pending = Pending(layer, reported.append)
    pending.begin("app.consumer")
    return pending


def send(pending: Pending, n: int, channel: str = "jobs", layer: MemoryChannelLayer | None = None) -> Envelope:
    """Gather send number ``n``."""
    envelope = pending.layer.message(channel, {"n": n})
    pending.add(layer or pending.layer, envelope)
    return envelope


def watch(pending: Pending) -> None:
    """Do what the watchdog does."""
    with pending.lock:
        pending.flush_eligible()


def event() -> Envelope:
    """Return an event of a lane."""
    return Envelope(EVENT, "websocket.receive", b"", REPLY, 7)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[[], None]], None]:
    """Run a function in a thread whose connections go to a database of their own, and are closed behind it."""
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "db.sqlite3"))

    def run(function: Callable[[], None]) -> None:
        def closing() -> None:
            try:
                function()
            finally:
                connections.close_all()

        in_thread(closing)

    return run


# -- who is running ----------------------------------------------------------------------------------------------------


def test_running_is_between_begin_and_end(pending: Pending) -> None:
    """Outside a consumer a send leaves at once, also in a thread that runs consumers."""

    def run() -> None:
        current.set(pending)
        assert running() is pending
        pending.end()
        assert running() is None

    copy_context().run(run)
    assert running() is None


# -- settling ----------------------------------------------------------------------------------------------------------


def test_settlement_goes_behind_the_sends(pending: Pending, layer: RecordingLayer) -> None:
    """Everything leaves in one write."""
    send(pending, 1)
    send(pending, 2)
    pending.settle_event(event(), RETURNED, 0, None)
    pending.settle(layer.write)
    assert layer.written == [1, 2, DONE]
    assert len(layer.writes) == 1


@pytest.mark.parametrize(
    ("sends", "outcome", "entries"),
    [
        ([REPLY], RETURNED, 1),
        (["jobs", REPLY], RETURNED, 2),
        ([REPLY, "jobs"], RETURNED, 3),
        (["websocket.send.tests!2"], RETURNED, 2),
        ([REPLY], RAISED, 2),
        ([], RETURNED, 1),
    ],
)
def test_last_reply_carries_the_settlement(
    pending: Pending, layer: RecordingLayer, sends: list[str], outcome: int, entries: int
) -> None:
    """Only where it is the last thing sent, goes to that connection and all went well."""
    for channel in sends:
        pending.add(layer, layer.message(channel, {"text": "x"}))
    pending.settle_event(event(), outcome, 0, b"session")
    pending.settle(layer.write)
    (written,) = layer.writes
    assert len(written) == entries
    assert [e.token for e in written] == [0] * (entries - 1) + [7]
    assert (written[-1].session, read_done(written[-1]).outcome) == (b"session", outcome)


def test_reply_of_an_earlier_consumer_carries_nothing(pending: Pending, layer: RecordingLayer) -> None:
    """The reply that an earlier event was answered with is not this one's."""
    pending.add(layer, layer.message(REPLY, {"text": "x"}))
    pending.end()
    pending.begin("app.other")
    pending.settle_event(event(), RETURNED, 0, None)
    pending.settle(layer.write)
    assert [e.token for e in layer.writes[0]] == [0, 7]


def test_discard_spares_what_others_have_sent(pending: Pending, layer: RecordingLayer) -> None:
    """Only the running consumer takes its words back, on all layers."""
    other = RecordingLayer()
    send(pending, 1)
    send(pending, 2, layer=other)
    pending.end()
    pending.begin("app.other")
    send(pending, 3)
    send(pending, 4, layer=other)
    pending.discard()
    pending.settle(layer.write)
    assert (layer.written, other.written) == ([1], [2])


def test_refusals_are_reported(pending: Pending, layer: RecordingLayer, reported: list[Refused]) -> None:
    """Each of them, of every layer; what else was sent is written."""
    other = RecordingLayer()
    send(pending, 1, "full")
    send(pending, 2)
    send(pending, 3, "full", other)
    pending.settle(layer.write)
    assert {number(refusal.envelope) for refusal in reported} == {1, 3}
    assert layer.written == [1, 2]


def test_write_now_reports(pending: Pending, layer: RecordingLayer, reported: list[Refused]) -> None:
    """What the worker writes goes behind what was gathered; nothing of it is raised at the consumer."""
    send(pending, 1, "full")
    pending.write_now(event())
    assert layer.written == [1, EVENT]
    assert [number(refusal.envelope) for refusal in reported] == [1]


def test_empty_write_is_none(pending: Pending, layer: RecordingLayer) -> None:
    """To another layer, with nothing gathered for the own one."""
    other = RecordingLayer()
    pending.write_with(other, other.message("jobs", {"n": 1}))
    asyncio.run(pending.awrite_with(other, other.message("jobs", {"n": 2})))
    assert (layer.writes, other.written) == ([], [1, 2])


def test_twins_raise_their_own_refusal_and_report_others(
    pending: Pending, layer: RecordingLayer, reported: list[Refused]
) -> None:
    """The caller learns of what it has just sent; of what was gathered, the log."""
    send(pending, 1, "full")
    with pytest.raises(ChannelFull):
        pending.write_with(layer, layer.message("full", {"n": 2}))
    send(pending, 3, "full")
    with pytest.raises(ChannelFull):
        asyncio.run(pending.awrite_with(layer, layer.message("full", {"n": 4})))
    assert {number(refusal.envelope) for refusal in reported} == {1, 3}


# -- the watchdog ------------------------------------------------------------------------------------------------------


def test_watchdog_writes_what_was_gathered(pending: Pending, layer: RecordingLayer) -> None:
    """On every layer, in order, and once."""
    other = RecordingLayer()
    send(pending, 1)
    send(pending, 2, layer=other)
    watch(pending)
    assert (layer.written, other.written) == ([1], [2])
    watch(pending)
    send(pending, 3)
    send(pending, 4, layer=other)
    pending.settle(layer.write)
    assert (layer.written, other.written) == ([1, 3], [2, 4])


def test_watchdog_writes_nothing_where_nothing_is(pending: Pending, layer: RecordingLayer) -> None:
    """An empty write would cost a round trip."""
    watch(pending)
    assert layer.writes == []


def test_watchdog_reports(pending: Pending, layer: RecordingLayer, reported: list[Refused]) -> None:
    """A refusal is the consumer's, which goes on."""
    send(pending, 1, "full")
    watch(pending)
    assert [number(refusal.envelope) for refusal in reported] == [1]


def test_what_has_left_is_not_discarded(pending: Pending, layer: RecordingLayer) -> None:
    """A consumer that asks for its message again has been heard already."""
    send(pending, 1)
    watch(pending)
    send(pending, 2)
    pending.discard()
    pending.settle_event(event(), RETURNED, 0, None)
    pending.settle(layer.write)
    assert layer.written == [1, DONE]


def test_watchdog_leaves_a_transaction_alone(
    pending: Pending, layer: RecordingLayer, database: Callable[[Callable[[], None]], None]
) -> None:
    """What is sent inside atomic() may yet be regretted: it waits, and what follows it too."""
    other = RecordingLayer()

    def run() -> None:
        connection.ensure_connection()
        pending.uses_database = True
        send(pending, 1)
        with transaction.atomic():
            send(pending, 2)
            send(pending, 3, layer=other)
        send(pending, 4)
        watch(pending)
        assert (layer.written, other.written) == ([1], [])
        watch(pending)
        pending.discard()
        send(pending, 5)
        watch(pending)
        assert layer.written == [1]
        pending.end()
        pending.begin("app.next")
        send(pending, 6)
        watch(pending)
        assert layer.written == [1, 5, 6]

    database(run)


def test_what_leaves_at_once_in_a_transaction_lets_nothing_behind_it_go(
    pending: Pending, layer: RecordingLayer, database: Callable[[Callable[[], None]], None]
) -> None:
    """It takes along what was sent before the transaction and in it; what follows may yet be regretted."""

    def run() -> None:
        connection.ensure_connection()
        pending.uses_database = True
        send(pending, 1)
        with transaction.atomic():
            send(pending, 2)
            pending.write_with(layer, layer.message("jobs", {"n": 3}))
            send(pending, 4)
            watch(pending)
        assert layer.written == [1, 2, 3]

    database(run)


def test_on_commit_runs_outside_the_transaction(
    pending: Pending, layer: RecordingLayer, database: Callable[[Callable[[], None]], None]
) -> None:
    """A send with on_commit is one of a transaction that has ended well."""

    def run() -> None:
        connection.ensure_connection()
        pending.uses_database = True
        with transaction.atomic():
            transaction.on_commit(lambda: send(pending, 1) and None)
            watch(pending)
        watch(pending)
        assert layer.written == [1]

    database(run)


@given(st.lists(st.sampled_from(["send", "watch", "immediately", "next"]), max_size=40))
def test_order_is_kept(steps: list[str]) -> None:
    """Whatever the watchdog and immediate sends do, everything leaves once and in the order it was sent in."""
    layer = RecordingLayer()
    pending = Pending(layer, lambda refusal: None)
    pending.begin("app.consumer")
    sent = 0
    for step in steps:
        if step == "watch":
            watch(pending)
        elif step == "next":
            pending.end()
            pending.begin("app.next")
        elif step == "send":
            send(pending, sent := sent + 1)
        else:
            pending.write_with(layer, layer.message("jobs", {"n": (sent := sent + 1)}))
    pending.settle(layer.write)
    assert layer.written == list(range(1, sent + 1))


def test_watchdog_beside_a_busy_consumer(pending: Pending, layer: RecordingLayer) -> None:
    """A thousand sends on two layers while another thread writes them: each leaves once, in order."""
    other, stop = RecordingLayer(), threading.Event()

    def flush() -> None:
        while not stop.is_set():
            watch(pending)

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        for n in range(1000):
            send(pending, n)
            send(pending, n, layer=other)
    finally:
        stop.set()
        thread.join()
    pending.settle(layer.write)
    assert layer.written == other.written == list(range(1000))


# -- a layer that is away ----------------------------------------------------------------------------------------------


class Away(RecordingLayer):
    """Fails at every write while ``error`` is set."""

    error: LayerUnavailable | None = None

    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write, or fail."""
        if self.error is not None:
            raise self.error
        return super().write(envelopes)


@pytest.fixture
def away() -> Away:
    """A layer that can be away."""
    return Away()


def test_what_was_certainly_not_sent_leaves_later(away: Away) -> None:
    """With what comes next, in its order; an immediate send fails in place and is the sender's affair."""
    pending = Pending(away, lambda refusal: None)
    pending.begin("app.consumer")
    send(pending, 1)
    away.error = LayerUnavailable("it is away")
    with pytest.raises(LayerUnavailable):
        watch(pending)
    send(pending, 2)
    with pytest.raises(LayerUnavailable):
        pending.write_with(away, away.message("jobs", {"n": 3}))
    with pytest.raises(LayerUnavailable):
        asyncio.run(pending.awrite_with(away, away.message("jobs", {"n": 4})))
    away.error = None
    send(pending, 5)
    pending.settle(away.write)
    assert (away.written, away.losses.counts) == ([1, 2, 5], {})


def test_what_the_running_consumer_sent_can_be_taken_back_after_an_outage(away: Away) -> None:
    """And nothing of what the one before it has sent."""
    pending = Pending(away, lambda refusal: None)
    pending.begin("app.first")
    send(pending, 1)
    pending.end()
    pending.begin("app.second")
    send(pending, 2)
    away.error = LayerUnavailable("it is away")
    with pytest.raises(LayerUnavailable):
        pending.write_with(away, away.message("jobs", {"n": 3}))
    away.error = None
    send(pending, 4)
    pending.discard()
    pending.settle(away.write)
    assert away.written == [1, 2]


@pytest.mark.parametrize("error", [AnswerLost("no answer"), LayerDeclined("out of memory")])
def test_what_may_have_arrived_is_counted(away: Away, error: LayerUnavailable) -> None:
    """And not sent again."""
    pending = Pending(away, lambda refusal: None)
    pending.begin("app.consumer")
    send(pending, 1)
    send(pending, 2)
    away.error = error
    with pytest.raises(type(error)):
        pending.write_with(away, away.message("jobs", {"n": 3}))
    away.error = None
    pending.settle(away.write)
    assert (away.written, away.losses.counts) == ([], {"answers lost": 2})


def test_what_another_layer_does_not_take_is_reported(away: Away, layer: RecordingLayer) -> None:
    """It keeps nothing else from leaving."""
    reported: list[Refused] = []
    pending = Pending(layer, reported.append)
    pending.begin("app.consumer")
    send(pending, 1, layer=away)
    send(pending, 2)
    away.error = LayerUnavailable("it is away")
    pending.settle(layer.write)
    assert layer.written == [2]
    assert [refusal.error for refusal in reported] == [away.error]
