"""Messages that a consumer wants again later, and no lane holds back."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue

import pytest

from channel_layers import codec
from channel_layers.envelope import MESSAGE, Envelope
from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.slot import Refused
from channels import route
from channels.channel import Channel
from channels.exceptions import ConsumeLater
from channels.message import Message
from channels.postponed import DELAY, Postponed
from tests.channels.workers import PATIENCE, Socket, layer_of, taken, working


def jobs(number: int, attempt: int = 1) -> Envelope:
    """Return a message as its next attempt."""
    return Envelope(MESSAGE, "jobs", codec.encode({"n": number}), attempt=attempt)


def test_each_is_sent_after_its_delay() -> None:
    """Later attempts wait longer, whatever came first."""
    sent: SimpleQueue[tuple[int, float]] = SimpleQueue()
    postponed = Postponed(lambda envelope: sent.put((envelope.attempt, time.monotonic())))
    begun = time.monotonic()
    for attempt in (3, 1, 2):
        postponed.add(jobs(0, attempt))
    arrived = [sent.get(timeout=PATIENCE) for _ in range(3)]
    assert [attempt for attempt, _ in arrived] == [1, 2, 3]
    assert all(when - begun >= DELAY * 2 ** (attempt - 1) for attempt, when in arrived)


def test_it_has_a_thread_only_while_something_waits() -> None:
    """And gets another one for what comes afterwards."""
    sent: SimpleQueue[Envelope] = SimpleQueue()
    postponed = Postponed(sent.put)
    for _ in range(2):
        postponed.add(jobs(1))
        (thread,) = (t for t in threading.enumerate() if t.name == "channels-worker-postponed")
        assert sent.get(timeout=PATIENCE).target == "jobs"
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_closing_sends_what_waits() -> None:
    """A worker that ends leaves nothing behind in its memory."""
    sent: list[Envelope] = []
    postponed = Postponed(sent.append)
    for number in range(20):
        postponed.add(jobs(number, attempt=10))
    postponed.close()
    assert len(sent) == 20
    Postponed(sent.append).close()


def test_a_worker_that_stops_gives_its_messages_back() -> None:
    """Whoever reads the channel next has it at once."""
    wanted_again = threading.Event()

    def consumer(message: Message) -> None:
        wanted_again.set()
        raise ConsumeLater

    layer = layer_of(route("jobs", consumer))
    Channel("jobs", channel_layer=layer).send({"n": 1})
    with working(layer):
        assert wanted_again.wait(PATIENCE)
    assert taken(layer, "jobs") == [{"n": 1}]


class Refusing(MemoryChannelLayer):
    """Refuses, or fails at, messages that are sent again."""

    error: Exception
    fails = False

    def write(self, envelopes: object) -> list[Refused]:
        """Refuse a further attempt, write anything else."""
        assert isinstance(envelopes, list)
        if not any(envelope.attempt for envelope in envelopes):
            return super().write(envelopes)
        if self.fails:
            raise self.error
        return [Refused(envelope, self.error) for envelope in envelopes]


@pytest.mark.parametrize("fails", [True, False])
def test_what_cannot_be_sent_again_is_logged(fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is dropped without a line, neither an event whose lane has gone on."""
    wanted_again = threading.Event()

    def consumer(message: Message) -> None:
        wanted_again.set()
        raise ConsumeLater

    backend = Refusing()
    backend.error, backend.fails = LayerUnavailable("it is away"), fails
    layer = layer_of(route("websocket.receive", consumer, ordered=False), layer=backend)
    socket = Socket(layer)
    with working(layer):
        assert layer.channel_layer.write([socket.event({"text": "x"})]) == []
        assert wanted_again.wait(PATIENCE)
    lines = [record.getMessage() for record in caplog.records if "was not sent" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith("a message of a process outside consumers was not sent: it is away")
