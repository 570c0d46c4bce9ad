"""Responses on their way to their channel: what leaves together, when it leaves at the latest, and in which order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from hypothesis import given
from hypothesis import strategies as st

from channel_layers import codec
from channel_layers.body import PIECE_SIZE, ROOM
from channel_layers.envelope import DONE, EVENT, MESSAGE, PIECE, RAISED, Envelope, done, read_done, read_piece
from channel_layers.exceptions import ChannelFull, LayerUnavailable, ReaderGone
from channel_layers.memory import MemoryChannelLayer
from channel_layers.messages import HTTP_KIND
from channel_layers.slot import Refused
from channels import answer as answer_module
from channels import pending as pending_module
from channels.answer import BEGINNING, Answer, send_all
from channels.channel import Channel, Group
from channels.handler import AsgiHandler, ViewConsumer
from channels.layers import ChannelLayerWrapper
from channels.pending import Pending, current
from channels.routing import route
from channels.sse import EventStream
from tests.channels.workers import PATIENCE, working

KIB = 1024
HEAD: dict[str, Any] = {"status": 200, "headers": []}


class RecordingLayer(MemoryChannelLayer):
    """Remembers what was written, write by write; fails at the next while ``error`` is set."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.writes: list[list[Envelope]] = []
        self.error: Exception | None = None

    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write, or fail."""
        if self.error is not None:
            raise self.error
        self.writes.append(list(envelopes))
        return super().write(envelopes)

    async def awrite(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        return self.write(envelopes)

    @property
    def kinds(self) -> list[list[int]]:
        """The kinds of envelopes of each write."""
        return [[envelope.kind for envelope in envelopes] for envelopes in self.writes]


class Part(NamedTuple):
    """What a client gets at once."""

    content: bytes
    more_content: bool


class Client:
    """Reads what comes for one request, in order."""

    def __init__(self, layer: MemoryChannelLayer) -> None:
        self.layer = layer
        self.inbox = layer.open_inbox(HTTP_KIND)
        self.name = self.inbox.new_channel()
        self.outcomes: list[int] = []
        self.statuses: list[int] = []

    def request(self, token: int = 1) -> Envelope:
        """Return the request, as its server sends it."""
        headers = [(b"host", b"testserver")]
        content = {"reply_channel": self.name, "method": "GET", "path": "/", "http_version": "1.1", "headers": headers}
        return Envelope(EVENT, "http.request", codec.encode(content), self.name, token)

    def read(self, timeout: float = 0) -> list[Part]:
        """Return what has come by now, or comes in ``timeout`` seconds."""
        return [part for _, envelope in self.inbox.receive(timeout) for part in self._parts(envelope)]

    def wait_for(self, size: int) -> bytes:
        """Wait for ``size`` bytes and return them."""
        found = b""
        while len(found) < size:
            parts = self.read(PATIENCE)
            assert parts, f"{size} bytes were expected, {len(found)} came"
            found += b"".join(part.content for part in parts)
        return found

    def wait_for_end(self) -> bytes:
        """Wait until the consumer has ended and return what came."""
        found: list[Part] = []
        while not self.outcomes:
            found += self.read(PATIENCE)
        return b"".join(part.content for part in found)

    def _parts(self, envelope: Envelope) -> Iterator[Part]:
        if envelope.kind == MESSAGE:
            content = codec.decode(envelope.content)
            if "status" in content:
                self.statuses.append(content["status"])
            yield Part(content["content"], content["more_content"])
        elif envelope.kind == PIECE:
            named = read_piece(envelope)
            yield Part(self.layer.fetch_piece(self.name, named) or b"", named.more_content)
        if envelope.token:
            self.outcomes.append(read_done(envelope).outcome)


@pytest.fixture
def layer() -> RecordingLayer:
    """A layer that remembers its writes."""
    return RecordingLayer()


@pytest.fixture
def client(layer: RecordingLayer) -> Client:
    """The client of a request."""
    return Client(layer)


# -- without a thread: the watchdog comes by when the test says so -----------------------------------------------------


class Stage:
    """A consumer that runs here, and what its slot does."""

    def __init__(self, layer: MemoryChannelLayer, name: str, is_watched: bool = True) -> None:
        self.reported: list[Refused] = []
        self.pending = Pending(layer, self.reported.append, is_watched)
        self.channel = Channel(name, channel_layer=layer)

    def watch(self) -> None:
        """Do what the watchdog does, in a thread of its own as it does."""
        errors: list[BaseException] = []

        def flush() -> None:
            try:
                with self.pending.lock:
                    self.pending.flush_eligible()
            except BaseException as error:  # noqa: BLE001 - raised again below
                errors.append(error)

        thread = threading.Thread(target=flush)
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        if errors:
            raise errors[0]

    def run(self, consumer: Callable[[Answer], None]) -> None:
        """Run ``consumer`` with an answer, and settle what it has sent."""

        def call() -> None:
            current.set(self.pending)
            self.pending.begin("app.consumer")
            try:
                with Answer(self.channel, PATIENCE) as answer:
                    consumer(answer)
            finally:
                self.pending.settle_event(Envelope(EVENT, "http.request", b"", self.channel.name, 1), 0, 0, None)
                self.pending.settle(self.pending.layer.write)

        copy_context().run(call)


@pytest.fixture
def stage(layer: RecordingLayer, client: Client, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A consumer whose parts are all quick, however busy the machine is."""
    monkeypatch.setattr(answer_module, "QUICK", PATIENCE)
    return Stage(layer, client.name)


def send(answer: Answer, *contents: bytes, more_content: bool = True, head: dict[str, Any] = HEAD) -> None:
    """Send ``contents``, the first one with ``head``."""
    for number, content in enumerate(contents, 1):
        reply = {"content": content, "more_content": more_content or number < len(contents)}
        answer.send({**head, **reply} if number == 1 else reply)


def test_a_whole_stream_is_one_message_with_the_end_of_its_event(
    stage: Stage, layer: RecordingLayer, client: Client
) -> None:
    """As a response that did not stream would be."""
    stage.run(lambda answer: send(answer, *[b"x" * KIB] * 128, b"", more_content=False))
    assert layer.kinds == [[MESSAGE]]
    assert client.read() == [Part(b"x" * BEGINNING, False)]
    assert client.outcomes == [0]


def test_whoever_makes_a_whole_response_comes_to_an_end(stage: Stage, client: Client) -> None:
    """Whatever they do behind their last message, they do behind every response."""
    ended: list[bool] = []

    def replies() -> Iterator[dict[str, Any]]:
        yield {**HEAD, "content": b"all", "more_content": False}
        ended.append(True)

    stage.run(lambda _: send_all(replies(), stage.channel, PATIENCE))
    assert (ended, client.read()) == ([True], [Part(b"all", False)])


def test_a_stream_of_two_hundred_parts_is_two_writes(stage: Stage, layer: RecordingLayer, client: Client) -> None:
    """Its beginning and the rest of it, and then the end of its event."""
    stage.run(lambda answer: send(answer, *[b"x" * KIB] * 200, b"", more_content=False))
    assert layer.kinds == [[MESSAGE, PIECE], [DONE]]
    assert client.read() == [Part(b"x" * BEGINNING, True), Part(b"x" * 72 * KIB, False)]


@pytest.mark.parametrize("size", [5 * PIECE_SIZE, BEGINNING + 5 * PIECE_SIZE + 1])
def test_a_long_stream_leaves_in_full_pieces(stage: Stage, layer: RecordingLayer, client: Client, size: int) -> None:
    """However small its parts are; no more than one is held."""
    parts = [b"x" * 1000] * (size // 1000) + [b"x" * (size % 1000)]
    found: list[Part] = []

    def consumer(answer: Answer) -> None:
        for number, part in enumerate(parts):
            send(answer, part, head={} if number else HEAD)
            found.extend(client.read())
            assert number * 1000 - sum(len(part.content) for part in found) < BEGINNING + PIECE_SIZE
        send(answer, b"", more_content=False, head={})

    stage.run(consumer)
    found += client.read()
    sizes = [len(part.content) for part in found]
    assert (sizes[0], sum(sizes), found[-1].more_content) == (BEGINNING, size, False)
    assert sizes[2:-1] == [PIECE_SIZE] * len(sizes[2:-1])
    assert len(layer.writes) <= 2 + 1 + size // PIECE_SIZE


def test_a_response_that_is_known_leaves_with_its_first_piece(
    stage: Stage, layer: RecordingLayer, client: Client
) -> None:
    """In one write; what is longer than a piece follows piece by piece."""
    body = bytes(range(256)) * 1600
    stage.run(lambda answer: send(answer, body, more_content=False))
    assert layer.kinds == [[MESSAGE, PIECE], [PIECE], [PIECE], [DONE]]
    assert b"".join(part.content for part in client.read()) == body


def test_the_watchdog_lets_parts_go(stage: Stage, layer: RecordingLayer, client: Client) -> None:
    """Of the beginning and of the rest, each once; where nothing is held it writes nothing."""

    def consumer(answer: Answer) -> None:
        send(answer, b"1", b"2")
        assert client.read() == []
        stage.watch()
        stage.watch()
        assert client.read() == [Part(b"12", True)]
        send(answer, bytes(BEGINNING), head={})
        stage.watch()
        assert [len(part.content) for part in client.read()] == [BEGINNING - 2, 2]
        send(answer, b"3", head={})
        stage.watch()
        assert client.read() == [Part(b"3", True)]
        send(answer, b"4", more_content=False, head={})

    stage.run(consumer)
    assert client.read() == [Part(b"4", False)]
    assert layer.kinds == [[MESSAGE], [MESSAGE, PIECE], [PIECE], [PIECE], [DONE]]
    assert client.statuses == [200]


def test_an_empty_first_part_begins_the_response(stage: Stage, client: Client) -> None:
    """The client gets status and headers; empty parts behind them are nothing."""

    def consumer(answer: Answer) -> None:
        send(answer, b"")
        stage.watch()
        assert client.read() == [Part(b"", True)]
        send(answer, b"", head={})
        stage.watch()
        assert client.read() == []

    stage.run(consumer)
    assert client.statuses == [200]


def test_a_part_that_comes_late_leaves_at_once(stage: Stage, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was held before it; the time that writing took does not count."""
    monkeypatch.setattr(answer_module, "QUICK", 0.005)
    times = iter([0.0, 0.001, 0.001, 0.007, 99.0, 99.001, 99.002])
    monkeypatch.setattr(answer_module, "time", SimpleNamespace(perf_counter=times.__next__))

    def consumer(answer: Answer) -> None:
        together = [Part(b"123", True)]
        for part, expected in ((b"1", []), (b"2", []), (b"3", together), (b"4", [])):
            send(answer, part, head=HEAD if part == b"1" else {})
            assert client.read() == expected

    stage.run(consumer)


def test_where_nobody_watches_each_part_leaves_at_once(layer: RecordingLayer, client: Client) -> None:
    """In tests, where the consumer may look at what it has sent."""
    stage = Stage(layer, client.name, is_watched=False)

    def consumer(answer: Answer) -> None:
        send(answer, b"1")
        assert client.read() == [Part(b"1", True)]
        send(answer, bytes(BEGINNING), head={})
        assert [len(part.content) for part in client.read()] == [BEGINNING - 1, 1]
        send(answer, b"2", head={})
        assert client.read() == [Part(b"2", True)]
        send(answer, b"", more_content=False, head={})

    stage.run(consumer)
    assert client.read() == [Part(b"", False)]


def test_outside_a_consumer_each_part_leaves_at_once(layer: RecordingLayer, client: Client) -> None:
    """There is nothing that a send could wait for."""
    with Answer(Channel(client.name, channel_layer=layer), PATIENCE) as answer:
        send(answer, bytes(BEGINNING), b"1")
        assert [len(part.content) for part in client.read()] == [BEGINNING, 1]
        send(answer, b"", more_content=False, head={})
    assert client.read() == [Part(b"", False)]


def test_messages_are_no_longer_than_the_layer_carries() -> None:
    """Parts that could travel one by one can do so together."""
    layer = RecordingLayer(max_message_size=8 * KIB)
    client = Client(layer)
    Stage(layer, client.name).run(lambda answer: send(answer, *[b"x" * KIB] * 20, more_content=False))
    assert sum(len(part.content) for part in client.read()) == 20 * KIB


# -- other sends -------------------------------------------------------------------------------------------------------


def test_other_sends_keep_their_places(stage: Stage, client: Client) -> None:
    """What was gathered leaves before the parts behind it, and what follows a part behind that."""
    others: list[Callable[[], object]] = [
        lambda: stage.channel.send({"content": b"b", "more_content": True}),
        lambda: stage.channel.send({"content": b"c", "more_content": True}, immediately=True),
        lambda: Group("all", channel_layer=stage.channel.channel_layer).add(stage.channel),
        lambda: asyncio.run(stage.channel.asend({"content": b"d", "more_content": True})),
    ]

    def consumer(answer: Answer) -> None:
        stage.channel.send({"content": b"a", "more_content": True})
        for number, other in enumerate(others):
            send(answer, b"%d" % number, head={} if number else HEAD)
            other()
        send(answer, b"4", more_content=False, head={})

    stage.run(consumer)
    assert b"".join(part.content for part in client.read()) == b"a0b1c23d4"


def test_a_transaction_does_not_hold_parts_back(stage: Stage, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what was sent before them, as if they had left at once."""

    def consumer(answer: Answer) -> None:
        stage.channel.send({"content": b"a", "more_content": True})
        monkeypatch.setattr(pending_module, "_in_atomic_block", lambda: True)
        stage.pending.uses_database = True
        stage.channel.send({"content": b"b", "more_content": True})
        stage.watch()
        assert client.read() == [Part(b"a", True)]
        send(answer, b"1")
        stage.watch()
        assert client.read() == [Part(b"b", True), Part(b"1", True)]
        stage.channel.send({"content": b"c", "more_content": True})
        stage.watch()
        assert client.read() == []

    stage.run(consumer)
    assert client.read() == [Part(b"c", True)]


def test_a_stream_that_others_go_on_with_leaves_with_the_end_of_its_event(
    stage: Stage, layer: RecordingLayer, client: Client
) -> None:
    """It has not ended; beyond its beginning the rest leaves before that."""
    stage.run(lambda answer: send(answer, b"1", b"2"))
    assert (layer.kinds, client.read()) == ([[MESSAGE]], [Part(b"12", True)])
    layer.writes.clear()
    stage.run(lambda answer: send(answer, bytes(BEGINNING), b"3"))
    assert layer.kinds == [[MESSAGE, PIECE], [DONE]]
    assert client.read()[-1] == Part(b"3", True)


def test_a_refused_send_is_reported_and_holds_no_part_up() -> None:
    """It is the fault of what was sent before, not of the response."""
    layer = RecordingLayer(capacity=1)
    client = Client(layer)
    stage = Stage(layer, client.name)

    def consumer(answer: Answer) -> None:
        for n in range(2):
            Channel("jobs", channel_layer=layer).send({"n": n})
        send(answer, bytes(BEGINNING), b"1", more_content=False)

    stage.run(consumer)
    assert [type(refusal.error) for refusal in stage.reported] == [ChannelFull]
    assert [len(part.content) for part in client.read()] == [BEGINNING, 1]


# -- how it ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", bytes(BEGINNING + 1)])
def test_what_was_yielded_before_an_error_is_sent(stage: Stage, client: Client, begun: bytes) -> None:
    """And nothing says that it was all."""

    def consumer(answer: Answer) -> None:
        send(answer, begun, b"1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stage.run(consumer)
    parts = client.read()
    assert b"".join(part.content for part in parts) == begun + b"1"
    assert all(part.more_content for part in parts)


def test_a_client_that_has_gone_is_noticed_by_the_next_part(
    stage: Stage, layer: RecordingLayer, client: Client
) -> None:
    """Whoever wrote: the watchdog tells the consumer, and an error of the consumer's own is not covered up."""

    def consumer(answer: Answer) -> None:
        send(answer, bytes(BEGINNING), b"1")
        stage.watch()
        layer.close_body(client.name)
        send(answer, b"2", head={})
        stage.watch()
        send(answer, b"3", head={})

    def broken(answer: Answer) -> None:
        with suppress(ReaderGone):
            consumer(answer)
        raise ZeroDivisionError

    with pytest.raises(ReaderGone):
        stage.run(consumer)
    with pytest.raises(ZeroDivisionError):
        stage.run(broken)


@pytest.mark.parametrize("ends", [False, True])
def test_what_the_watchdog_could_not_write_is_raised_at_the_end(
    stage: Stage, layer: RecordingLayer, ends: bool
) -> None:
    """Also where no further part comes."""

    def consumer(answer: Answer) -> None:
        send(answer, b"1")
        layer.error = LayerUnavailable("it is away")
        stage.watch()
        layer.error = None
        if ends:
            send(answer, b"", more_content=False, head={})

    with pytest.raises(LayerUnavailable):
        stage.run(consumer)
    assert layer.kinds == [[DONE]]


def test_a_full_body_is_tried_again(stage: Stage, client: Client) -> None:
    """The watchdog does not wait for room, and what is held does not get lost."""

    def consumer(answer: Answer) -> None:
        send(answer, bytes(BEGINNING + ROOM), b"1")
        stage.watch()
        stage.watch()
        assert sum(len(part.content) for part in client.read()) == BEGINNING + ROOM
        stage.watch()
        assert client.read() == [Part(b"1", True)]
        send(answer, b"2", more_content=False, head={})

    stage.run(consumer)


def test_the_watchdog_does_not_wait_for_a_consumer_that_writes(stage: Stage, client: Client) -> None:
    """It waits for room, for a client that reads on when the watchdog has come by."""

    def consumer(answer: Answer) -> None:
        send(answer, bytes(BEGINNING + ROOM))
        waiting = threading.Event()
        body: Any = answer._body
        wait = body.wait_for_room

        def telling(size: int, timeout: float) -> None:
            waiting.set()
            wait(size, timeout)

        body.wait_for_room = telling

        def read() -> None:
            assert waiting.wait(PATIENCE)
            stage.watch()
            client.read()

        reader = threading.Thread(target=read)
        reader.start()
        send(answer, bytes(PIECE_SIZE), head={})
        reader.join(PATIENCE)

    stage.run(consumer)
    assert client.read() == [Part(bytes(PIECE_SIZE), True)]


def test_a_body_that_the_layer_says_nothing_about_is_raised(stage: Stage, client: Client) -> None:
    """The watchdog could not even look for room."""

    def consumer(answer: Answer) -> None:
        send(answer, bytes(BEGINNING + 1), b"1")
        stage.watch()
        body: Any = answer._body

        def away(size: int, timeout: float) -> None:
            raise LayerUnavailable("it is away")

        body.wait_for_room = away
        send(answer, b"2", head={})
        stage.watch()
        send(answer, b"3", head={})

    with pytest.raises(LayerUnavailable):
        stage.run(consumer)


def test_a_piece_without_room_is_given_up_once(stage: Stage, layer: RecordingLayer, client: Client) -> None:
    """After its time, and nothing of it is tried again for as long."""
    waits: list[float] = []

    def consumer(answer: Answer) -> None:
        answer._timeout = 0.01
        send(answer, bytes(BEGINNING + ROOM))
        body: Any = answer._body
        wait = body.wait_for_room

        def noting(size: int, timeout: float) -> None:
            waits.append(timeout)
            wait(size, timeout)

        body.wait_for_room = noting
        send(answer, bytes(PIECE_SIZE), head={})

    with pytest.raises(TimeoutError):
        stage.run(consumer)
    assert waits == [0.01]


def test_an_abandoned_consumer_sends_nothing_more(stage: Stage, layer: RecordingLayer, client: Client) -> None:
    """What it holds is discarded."""

    def consumer(answer: Answer) -> None:
        send(answer, b"1")
        with stage.pending.lock:
            layer.write(stage.pending.abandon([done(client.name, 1, RAISED)]))
        send(answer, bytes(BEGINNING), head={})
        send(answer, bytes(BEGINNING), head={})

    with pytest.raises(RuntimeError, match="over its hard_limit"):
        stage.run(consumer)
    assert client.read() == []


Step = tuple[str, int]
steps = st.lists(
    st.tuples(st.sampled_from(["part", "watch", "send", "immediately", "late"]), st.integers(0, 50)), max_size=30
)


@given(steps, st.sampled_from(["ends", "is left", "fails"]))
def test_order_is_kept(actions: list[Step], ending: str) -> None:
    """Whatever comes between two parts, everything leaves once and in the order in which it was sent."""
    letters = count()
    sent = bytearray()
    layer = RecordingLayer()
    client = Client(layer)
    stage = Stage(layer, client.name)

    def fresh(size: int) -> bytes:
        data = bytes(next(letters) % 256 for _ in range(size))
        sent.extend(data)
        return data

    def consumer(answer: Answer) -> None:
        send(answer, fresh(1))
        for action, size in actions:
            if action == "part":
                send(answer, fresh(size), head={})
            elif action == "watch":
                stage.watch()
            elif action == "late":
                answer._asked = -1.0
            else:
                stage.channel.send({"content": fresh(size), "more_content": True}, immediately=action == "immediately")
        if ending == "ends":
            send(answer, fresh(1), more_content=False, head={})
        elif ending == "fails":
            raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch, suppress(ZeroDivisionError):
        for name, value in (("QUICK", PATIENCE), ("BEGINNING", 60), ("PIECE_SIZE", 40)):
            patch.setattr(answer_module, name, value)
        patch.setattr(answer_module, "time", SimpleNamespace(perf_counter=lambda: 0.0))
        stage.run(consumer)
    parts = client.read()
    assert b"".join(part.content for part in parts) == bytes(sent)
    assert [part.more_content for part in parts[-1:]] == [ending != "ends"]
    assert all(part.more_content for part in parts[:-1])
    assert stage.pending.stream is None


# -- under a worker ----------------------------------------------------------------------------------------------------


View = Callable[[HttpRequest], HttpResponseBase]


def viewing(response: View) -> ViewConsumer:
    """Return a consumer that answers with ``response(request)``."""

    class Handler(AsgiHandler):
        def get_response(self, request: HttpRequest) -> HttpResponseBase:
            return response(request)

    class Consumer(ViewConsumer):
        handler_class = Handler
        send_timeout = PATIENCE

    return Consumer()


@contextmanager
def serving(layer: RecordingLayer, response: View, **options: Any) -> Iterator[None]:
    """Run a worker that answers with ``response(request)``."""
    with working(ChannelLayerWrapper(layer, "default", [route("http.request", viewing(response))]), **options):
        yield


class Gates:
    """A stream that yields a part and goes on when the client has said that it has it."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts = list(parts)
        self.confirmed = [threading.Event() for _ in self.parts]

    def __iter__(self) -> Iterator[bytes]:
        for part, confirmed in zip(self.parts, self.confirmed, strict=True):
            yield part
            assert confirmed.wait(PATIENCE), "the client did not get its part"

    async def aparts(self) -> AsyncIterator[bytes]:
        """Do the same as an asynchronous iterator."""
        for part, confirmed in zip(self.parts, self.confirmed, strict=True):
            yield part
            assert await asyncio.to_thread(confirmed.wait, PATIENCE)


def follow(client: Client, gates: Gates) -> None:
    """Confirm each part when it is there, and see the stream end well."""
    for part, confirmed in zip(gates.parts, gates.confirmed, strict=True):
        assert client.wait_for(len(part)) == part
        confirmed.set()
    assert client.wait_for_end() == b""
    assert client.outcomes == [0]


STREAMS = [[b"1", b"2", b"3"], [bytes(BEGINNING), b"2", b"3"], [b"1", bytes(BEGINNING + 10), b"3", bytes(PIECE_SIZE)]]


@pytest.mark.parametrize("parts", STREAMS)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_may_wait_for_its_client(
    layer: RecordingLayer, client: Client, parts: list[bytes], is_async: bool
) -> None:
    """Each part arrives while the generator waits, the first one too, in the beginning and behind it."""
    gates = Gates(parts)
    with serving(layer, lambda request: StreamingHttpResponse(gates.aparts() if is_async else gates)):
        layer.write([client.request()])
        follow(client, gates)


def test_a_blocked_stream_waits_for_room_alone(layer: RecordingLayer, client: Client) -> None:
    """Its part arrives when the client has made room, though the generator gives no further sign."""
    held, confirmed = threading.Event(), threading.Event()

    def parts() -> Iterator[bytes]:
        yield bytes(BEGINNING + ROOM)
        yield b"2"
        held.set()
        assert confirmed.wait(PATIENCE)

    with serving(layer, lambda request: StreamingHttpResponse(parts())):
        layer.write([client.request()])
        assert held.wait(PATIENCE)
        assert client.wait_for(BEGINNING + ROOM + 1)[-1:] == b"2"
        confirmed.set()
        client.wait_for_end()


def test_streams_of_several_threads_do_not_mix(layer: RecordingLayer) -> None:
    """Each slot has its own, and the watchdog looks after all of them."""
    clients = [Client(layer) for _ in range(4)]
    streams = {client.name: Gates([b"%d.%d" % (n, m) for m in range(5)]) for n, client in enumerate(clients)}
    with serving(layer, lambda request: StreamingHttpResponse(streams[request.reply_channel.name]), threads=4):  # type: ignore[attr-defined]  # an AsgiRequest
        layer.write([client.request() for client in clients])
        with ExitStack() as joins:
            for client in clients:
                thread = threading.Thread(target=follow, args=(client, streams[client.name]))
                thread.start()
                joins.callback(thread.join, PATIENCE)
        assert [client.outcomes for client in clients] == [[0]] * 4


def test_a_stream_of_small_parts_is_a_few_writes(layer: RecordingLayer, client: Client) -> None:
    """A busy machine may stop the generator, and the watchdog comes by then; but not between any two parts."""
    with serving(layer, lambda request: StreamingHttpResponse([b"x" * 64] * 10_000)):
        layer.write([client.request()])
        assert client.wait_for_end() == b"x" * 640_000
    assert sum(envelope.kind in (MESSAGE, PIECE) for write in layer.writes for envelope in write) < 1000


def test_a_stream_that_fails_in_its_middle_is_cut(layer: RecordingLayer, client: Client) -> None:
    """The client has what was yielded, and hears that the consumer has raised."""

    def parts() -> Iterator[bytes]:
        yield b"1"
        yield b"2"
        raise ZeroDivisionError

    with serving(layer, lambda request: StreamingHttpResponse(parts())):
        layer.write([client.request()])
        assert client.wait_for_end() == b"12"
    assert client.outcomes == [RAISED]


def test_a_stream_is_closed_whose_client_has_gone(layer: RecordingLayer, client: Client) -> None:
    """The watchdog finds out, while the generator waits."""
    closed, left, stop = threading.Event(), threading.Event(), threading.Event()

    def parts() -> Iterator[bytes]:
        try:
            yield bytes(BEGINNING + 1)
            assert left.wait(PATIENCE)
            while not stop.is_set():
                yield b"2"
        finally:
            closed.set()

    with serving(layer, lambda request: StreamingHttpResponse(parts())):
        layer.write([client.request()])
        client.wait_for(BEGINNING + 1)
        layer.close_body(client.name)
        left.set()
        assert closed.wait(PATIENCE)
        stop.set()
        client.wait_for_end()
    assert client.outcomes == [0]


def test_an_event_stream_begins_with_what_was_missed(layer: RecordingLayer, client: Client) -> None:
    """In one message with the end of the consumer, behind its joining the group."""
    missed = [{"content": b"data: %d\n\n" % n, "more_content": True} for n in range(3)]
    with serving(layer, lambda request: EventStream(request, ["all"], missed)):
        layer.write([client.request()])
        assert client.wait_for_end() == b":\n\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert layer.group_channels("all") == [client.name]


def test_a_short_response_is_no_stream(layer: RecordingLayer, client: Client) -> None:
    """One write, as ever."""
    with serving(layer, lambda request: HttpResponse("Hi")):
        layer.write([client.request()])
        assert client.wait_for_end() == b"Hi"
    assert layer.kinds == [[EVENT], [MESSAGE]]
