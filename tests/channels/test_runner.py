import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import got_request_exception
from django.test import override_settings

from channel_layers import codec
from channel_layers.envelope import (
    AGAIN,
    DONE,
    EVENT,
    MESSAGE,
    RAISED,
    RETURNED,
    UNACCEPTED,
    UNDECIDED,
    UNROUTED,
    Envelope,
    read_done,
)
from channel_layers.exceptions import ChannelFull
from channel_layers.slot import Refused
from channels.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    ResponseLater,
    WebsocketCloseException,
)
from channels.message import Message
from channels.routing import Route, route
from channels.runner import report_refused
from tests.channels.workers import PATIENCE, Bench, Socket, layer_of, message, texts

RECEIVE, CONNECT = "websocket.receive", "websocket.connect"


class Lane:
    """A connection whose events are run here and now; ``entries`` are what came back to it."""

    def __init__(self, *routes: Route, **options: Any) -> None:
        self.layer = layer_of(*routes)
        self.socket = Socket(self.layer)
        self.bench = Bench(self.layer, **options)

    def run(self, *contents: dict[str, Any], channel: str = RECEIVE, **fields: Any) -> list[Envelope]:
        """Run an event and return what came back."""
        self.bench.run(self.socket.event(*contents, channel=channel, **fields))
        return self.socket.received()


def raising(error: BaseException) -> Callable[..., None]:
    """Return a consumer that replies and then raises ``error``."""

    def consumer(message: Message) -> None:
        if message.reply_channel is not None:
            message.reply_channel.send({"text": "before"})
        raise error

    return consumer


def outcomes(entries: Sequence[Envelope]) -> list[tuple[int, int]]:
    """Return token and outcome of every entry that settles an event."""
    return [(e.token, read_done(e).outcome) for e in entries if e.token]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines from ERROR up."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def retaken(lane_layer: Any, channel: str) -> Envelope:
    """Wait for a message that was put back and return it."""
    with lane_layer.open_slot() as slot:
        (envelope,) = slot.take({channel: 1}, 1, PATIENCE)
        slot.settle([])
        assert isinstance(envelope, Envelope)
        return envelope


# -- how an event ends -------------------------------------------------------------------------------------------------


def test_returned() -> None:
    """A consumer that sends nothing is settled by an entry of its own."""
    entries = Lane(route(RECEIVE, lambda message: None)).run()
    assert [(e.kind, e.target) for e in entries] == [(DONE, entries[0].owner)]
    assert outcomes(entries) == [(1, RETURNED)]


def test_reply_carries_the_settlement() -> None:
    """One entry for both, with the token of the event."""
    lane = Lane(route(RECEIVE, lambda message: message.reply_channel.send({"text": message["text"]})))
    for token, text in enumerate(("one", "two"), 1):
        (entry,) = lane.run({"text": text})
        assert (entry.kind, entry.token, codec.decode(entry.content)) == (MESSAGE, token, {"text": text})


def test_consumer_gets_what_the_route_captured() -> None:
    """And message, channel, layer and reply channel."""
    seen: list[Any] = []
    lane = Lane(route(RECEIVE, lambda message, room: seen.append((message, room)), path=r"^/chat/(?P<room>[a-z]+)$"))
    lane.run({"path": "/chat/lobby"})
    ((found, room),) = seen
    assert (room, found.channel.name, found.channel_layer, found.attempt) == ("lobby", RECEIVE, lane.layer, 0)
    assert found.reply_channel.name == lane.socket.name


@pytest.mark.parametrize(
    "error",
    [LookupError("no such room"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()],
)
def test_raised(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """One traceback with consumer, channel and path, one signal; the lane goes on, and so does the slot."""
    signals: list[Any] = []

    def note(**kwargs: object) -> None:
        signals.append(kwargs["request"])

    lane = Lane(route(RECEIVE, raising(error), text="bad"), route(RECEIVE, lambda message: None))
    got_request_exception.connect(note)
    try:
        entries = lane.run({"text": "bad", "path": "/chat/"})
    finally:
        got_request_exception.disconnect(note)
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.getMessage().endswith("raising.<locals>.consumer raised on websocket.receive /chat/")
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert signals == [None]
    assert (texts(entries), outcomes(entries)) == (["before"], [(1, RAISED)])
    assert outcomes(lane.run({"text": "good"})) == [(2, RETURNED)]


def test_exit_of_a_coroutine(caplog: pytest.LogCaptureFixture) -> None:
    """``async def`` consumers end their call with it and nothing else."""

    async def consumer(message: Message) -> None:
        raise SystemExit(1)

    assert outcomes(Lane(route(RECEIVE, consumer)).run()) == [(1, RAISED)]
    assert "SystemExit(1)" in caplog.text


def test_wrong_signature_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A consumer that does not take what its route captures has raised."""
    lane = Lane(route(RECEIVE, lambda message: None, path=r"^/(?P<room>.*)$"))
    assert outcomes(lane.run({"path": "/lobby"})) == [(1, RAISED)]
    assert "unexpected keyword argument 'room'" in caplog.text


def test_unrouted(caplog: pytest.LogCaptureFixture) -> None:
    """The server is told, and the log has the routes that were tried."""
    lane = Lane(route(RECEIVE, raising(LookupError()), path="^/chat"))
    assert outcomes(lane.run({"path": "/other"})) == [(1, UNROUTED)]
    (line,) = errors(caplog)
    assert line.startswith("no consumer for a message on websocket.receive. Routes: websocket.receive path=^/chat")
    assert "'path' does not match '/other'" in line


def test_unrouted_with_an_empty_routing(caplog: pytest.LogCaptureFixture) -> None:
    """There was nothing to try."""
    assert outcomes(Lane().run()) == [(1, UNROUTED)]
    assert errors(caplog) == ["no consumer for a message on websocket.receive. Routes: none"]


def test_routing_that_fails_is_contained(caplog: pytest.LogCaptureFixture) -> None:
    """Content that no route can look at has none."""
    lane = Lane(route(RECEIVE, lambda message: None, path="^/"))
    event = lane.socket.event()
    event.content = b"\x91\x05"  # a batch of the number 5
    lane.bench.run(event)
    assert outcomes(lane.socket.received()) == [(1, RAISED)]
    assert errors(caplog) == ["a message on websocket.receive could not be handled"]


def test_undecodable(caplog: pytest.LogCaptureFixture) -> None:
    """It is counted, logged and settled: another codec's bytes stop no lane."""
    lane = Lane(route(RECEIVE, lambda message: None))
    event = lane.socket.event()
    event.content = b"\xc1"
    lane.bench.run(event)
    assert outcomes(lane.socket.received()) == [(1, RAISED)]
    assert lane.layer.losses.counts == {"undecodable": 1}
    assert "a message on 'websocket.receive' cannot be decoded" in caplog.text


def test_undecided() -> None:
    """``ResponseLater``: somebody else will answer; what was sent before is sent."""
    entries = Lane(route(RECEIVE, raising(ResponseLater()))).run()
    assert (texts(entries), outcomes(entries)) == (["before"], [(1, UNDECIDED)])


def test_explicit_accept() -> None:
    """With ``ACCEPT="explicit"`` a connect that returns has decided nothing; other events have ended."""
    with override_settings(CHANNELS={"ACCEPT": "explicit"}):
        lane = Lane(route([CONNECT, RECEIVE], lambda message: None))
        assert outcomes(lane.run(channel=CONNECT)) == [(1, UNDECIDED)]
        assert outcomes(lane.run()) == [(2, RETURNED)]


def test_connect_that_has_to_accept() -> None:
    """A class consumer says that it accepts by itself; with ``ACCEPT="explicit"`` that is so for every consumer."""

    def consumer(message: Message) -> None:
        message.has_to_accept = True

    lane = Lane(route([CONNECT, RECEIVE], consumer))
    assert outcomes(lane.run(channel=CONNECT)) == [(1, UNACCEPTED)]
    assert outcomes(lane.run()) == [(2, RETURNED)]
    with override_settings(CHANNELS={"ACCEPT": "explicit"}):
        assert outcomes(Lane(route(CONNECT, consumer)).run(channel=CONNECT)) == [(1, UNDECIDED)]


def test_connect_that_returns_has_accepted() -> None:
    """By default."""
    assert outcomes(Lane(route(CONNECT, lambda message: None)).run(channel=CONNECT)) == [(1, RETURNED)]


def test_setting_is_checked() -> None:
    """A misspelt rule is no rule."""
    with override_settings(CHANNELS={"ACCEPT": "explicitly"}), pytest.raises(ImproperlyConfigured, match="explicitly"):
        Lane()


def test_changed_session_goes_back() -> None:
    """Only if it changed."""

    def consumer(message: Message) -> None:
        assert message.lane is not None
        seen.append(message.lane.session)
        if message["text"] == "change":
            message.lane.session, message.lane.changed = b"new", True

    seen: list[bytes | None] = []
    lane = Lane(route(RECEIVE, consumer))
    (kept,) = lane.run({"text": "keep"}, session=b"old")
    (changed,) = lane.run({"text": "change"}, session=b"old")
    assert (seen, kept.session, changed.session) == ([b"old", b"old"], None, b"new")


def test_message_without_lane_is_not_settled() -> None:
    """Nobody waits for its end."""
    seen = []
    layer = layer_of(route("jobs", lambda message: seen.append((message["n"], message.lane))))
    socket = Socket(layer)
    Bench(layer).run(message("jobs", n=1))
    assert (seen, socket.received()) == ([(1, None)], [])


# -- ConsumeLater ------------------------------------------------------------------------------------------------------


def test_again_in_a_lane() -> None:
    """The lane has the message and sends it again; what the consumer had sent is taken back."""
    entries = Lane(route(RECEIVE, raising(ConsumeLater()))).run()
    assert (texts(entries), outcomes(entries)) == ([], [(1, AGAIN)])
    assert read_done(entries[0]).handled == 0


def test_again_without_a_lane() -> None:
    """It goes back to its channel as its next attempt, and the consumer learns which it is."""
    attempts = []

    def consumer(message: Message) -> None:
        attempts.append(message.attempt)
        message["n"] = "changed"
        raise ConsumeLater

    layer = layer_of(route("jobs", consumer))
    bench, envelope = Bench(layer), message("jobs", n=1)
    for _ in range(3):
        bench.run(envelope)
        envelope = retaken(layer, "jobs")
        assert codec.decode(envelope.content) == {"n": 1}
    assert attempts == [0, 1, 2]
    assert (envelope.kind, envelope.attempt) == (MESSAGE, 3)


def test_again_of_a_request() -> None:
    """Its server still has it and sends it again, so it is told."""

    def consumer(message: Message) -> None:
        raise ConsumeLater

    layer = layer_of(route("http.request", consumer))
    inbox = layer.open_inbox("http.response")
    name = inbox.new_channel()
    Bench(layer).run(Envelope(MESSAGE, "http.request", codec.encode({"reply_channel": name}), name, 1))
    assert outcomes([delivery.envelope for delivery in inbox.receive(timeout=0)]) == [(1, AGAIN)]
    assert layer.depth("http.request") == 0


@pytest.mark.parametrize(("attempt", "outcome"), [(9, AGAIN), (10, RAISED), (11, RAISED)])
def test_retries_are_limited(attempt: int, outcome: int, caplog: pytest.LogCaptureFixture) -> None:
    """After ten further attempts the message is dropped, with a line that shows it."""
    entries = Lane(route(RECEIVE, raising(ConsumeLater()))).run({"text": "x" * 200}, attempt=attempt)
    assert outcomes(entries) == [(1, outcome)]
    dropped = [record.getMessage() for record in caplog.records if "it is dropped" in record.getMessage()]
    if outcome == AGAIN:
        assert dropped == []
    else:
        assert len(dropped) == 1
        assert f"asked for a message {attempt} times again; it is dropped: {{'reply_channel': " in dropped[0]
        assert len(dropped[0].partition("dropped: ")[2]) == 100


def test_retries_can_be_chosen() -> None:
    """``message_retries`` of the worker."""
    lane = Lane(route(RECEIVE, raising(ConsumeLater())), message_retries=0)
    assert outcomes(lane.run()) == [(1, RAISED)]


def test_refusal_names_the_sender(caplog: pytest.LogCaptureFixture) -> None:
    """Its consumer, or that there was none."""
    layer, error = layer_of().channel_layer, ChannelFull("jobs", 1, 1, 0.0, "capacity")
    report_refused(layer, Refused(Envelope(MESSAGE, "jobs", route="app.consumer"), error))
    report_refused(layer, Refused(Envelope(MESSAGE, "jobs"), error))
    assert [record.message.partition(" was not sent")[0] for record in caplog.records] == [
        "a message of app.consumer",
        "a message of a process outside consumers",
    ]


# -- DenyConnection and other exceptions that act ----------------------------------------------------------------------


def test_denied() -> None:
    """The server gets the refusal and the end of the event in one; what the consumer had sent is taken back."""
    (entry,) = Lane(route(CONNECT, raising(DenyConnection("no ticket")))).run(channel=CONNECT)
    assert codec.decode(entry.content) == {"accept": False, "status": 403, "reason": "no ticket"}
    assert outcomes([entry]) == [(1, RETURNED)]


def test_denied_with_a_response() -> None:
    """Status, headers and body travel."""
    denial = DenyConnection("slow", status=429, headers=[(b"Retry-After", b"5")], content=b"wait")
    (entry,) = Lane(route(CONNECT, raising(denial))).run(channel=CONNECT)
    assert codec.decode(entry.content) == {
        "accept": False,
        "status": 429,
        "reason": "slow",
        "headers": [[b"Retry-After", b"5"]],
        "body": b"wait",
    }


def test_denied_with_what_cannot_travel(caplog: pytest.LogCaptureFixture) -> None:
    """The consumer has raised then, so the handshake is refused all the same."""
    denial = DenyConnection(headers=[(b"X-Ticket", object())])  # type: ignore[list-item]  # that is the fault
    assert outcomes(Lane(route(CONNECT, raising(denial))).run(channel=CONNECT)) == [(1, RAISED)]
    assert "object cannot travel" in caplog.text


def test_denied_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    """An event that is no connect cannot be denied: an error, and nothing is sent."""
    entries = Lane(route(RECEIVE, raising(DenyConnection()))).run()
    assert (texts(entries), outcomes(entries)) == ([], [(1, RAISED)])
    (line,) = errors(caplog)
    assert line.endswith("consumer raised DenyConnection on websocket.receive, not websocket.connect")


def test_denied_without_a_connection(caplog: pytest.LogCaptureFixture) -> None:
    """A connect that somebody has made up has nobody to refuse."""
    layer = layer_of(route(CONNECT, raising(DenyConnection())))
    Bench(layer).run(message(CONNECT))
    assert len(errors(caplog)) == 1


def test_action_is_run() -> None:
    """The exception's ``run()`` sends behind what the consumer has sent."""
    first, close = Lane(route(RECEIVE, raising(WebsocketCloseException(4003)))).run()
    assert codec.decode(first.content) == {"text": "before"}
    assert codec.decode(close.content) == {"close": 4003}
    assert outcomes([first, close]) == [(1, RETURNED)]


def test_action_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A subclass without ``run()``, as any error of it."""
    assert outcomes(Lane(route(RECEIVE, raising(ChannelSocketException()))).run()) == [(1, RAISED)]
    assert "ChannelSocketException has to define run(message)" in caplog.text


# -- batches -----------------------------------------------------------------------------------------------------------


def test_batch_is_handled_in_order() -> None:
    """One event after the other, with one settlement at the end."""
    lane = Lane(route(RECEIVE, lambda message: message.reply_channel.send({"text": message["text"]})))
    entries = lane.run({"text": "1"}, {"text": "2"}, {"text": "3"})
    assert (texts(entries), outcomes(entries)) == (["1", "2", "3"], [(1, RETURNED)])


def test_batch_goes_on_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """An error is that of its own event."""
    seen: list[str] = []

    def consumer(message: Message) -> None:
        seen.append(message["text"])
        if message["text"] == "2":
            raise LookupError

    entries = Lane(route(RECEIVE, consumer)).run({"text": "1"}, {"text": "2"}, {"text": "3"})
    assert (seen, outcomes(entries)) == (["1", "2", "3"], [(1, RETURNED)])
    assert len(errors(caplog)) == 1


def test_batch_says_what_is_wanted_again() -> None:
    """Those before it were handled, those behind it wait with it."""
    seen: list[str] = []

    def consumer(message: Message) -> None:
        seen.append(message["text"])
        if message["text"] == "2":
            raise ConsumeLater

    entries = Lane(route(RECEIVE, consumer)).run({"text": "1"}, {"text": "2"}, {"text": "3"})
    assert (seen, outcomes(entries)) == (["1", "2"], [(1, AGAIN)])
    assert read_done(entries[-1]).handled == 1


# -- ordered=False -----------------------------------------------------------------------------------------------------


def test_unordered_event_is_settled_before_it_runs() -> None:
    """The lane goes on while it is handled, and is settled once."""

    def consumer(message: Message) -> None:
        seen.extend(outcomes(lane.socket.received()))
        assert message.reply_channel is not None
        message.reply_channel.send({"text": "answer"})

    seen: list[tuple[int, int]] = []
    lane = Lane(route(RECEIVE, consumer, ordered=False))
    entries = lane.run({}, {})
    assert seen == [(1, RETURNED)]
    assert (texts(entries), outcomes(entries)) == (["answer", "answer"], [])


def test_unordered_connect_still_decides() -> None:
    """It is settled when its consumer has returned, or refused."""
    lane = Lane(route(CONNECT, raising(DenyConnection()), ordered=False))
    (entry,) = lane.run(channel=CONNECT)
    assert (codec.decode(entry.content)["accept"], entry.token) == (False, 1)


def test_unordered_request_still_ends() -> None:
    """A request is no lane: what waits for its end is its client."""
    layer = layer_of(route("http.request", lambda message: None, ordered=False))
    inbox = layer.open_inbox("http.response")
    name = inbox.new_channel()
    Bench(layer).run(Envelope(MESSAGE, "http.request", codec.encode({"reply_channel": name}), name, 1))
    (delivery,) = inbox.receive(timeout=0)
    assert (delivery.envelope.kind, delivery.envelope.token) == (DONE, 1)


@pytest.mark.parametrize(("texts_sent", "left"), [(["wait"], {"text": "wait"}), (["a", "wait", "b"], ["wait", "b"])])
def test_unordered_event_can_be_wanted_again(texts_sent: list[str], left: Any) -> None:
    """Its lane has let it go, so it goes back to its channel, with what was behind it; nothing is settled twice."""

    def consumer(message: Message) -> None:
        if message["text"] == "wait" and message.attempt < 2:
            raise ConsumeLater
        seen.append((message["text"], message.attempt, message.lane.session if message.lane else None))

    seen: list[tuple[str, int, bytes | None]] = []
    lane = Lane(route(RECEIVE, consumer, ordered=False))
    entries = lane.run(*[{"text": text} for text in texts_sent], session=b"session")
    again = retaken(lane.layer, RECEIVE)
    content = codec.decode(again.content)
    plain = [c["text"] for c in content] if isinstance(content, list) else {"text": content["text"]}
    assert (plain, again.attempt, again.kind) == (left, 1, EVENT)
    lane.bench.run(again)
    lane.bench.run(retaken(lane.layer, RECEIVE))
    entries += lane.socket.received()
    assert outcomes(entries) == [(1, RETURNED)]
    assert [text for text, _, _ in seen] == texts_sent
    assert {session for _, _, session in seen} == {b"session"}


# -- callback and trace ------------------------------------------------------------------------------------------------


def test_callback_is_called_before_the_consumer() -> None:
    """With channel and message."""
    seen: list[Any] = []
    lane = Lane(
        route(RECEIVE, lambda message: seen.append("consumer")),
        callback=lambda channel, message: seen.append((channel, message["text"])),
    )
    lane.run({"text": "hello"})
    assert seen == [(RECEIVE, "hello"), "consumer"]


def test_callback_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The event is settled as one that failed, and the slot goes on."""

    def callback(channel: str, message: Message) -> None:
        if message["text"] == "bad":
            raise LookupError("a callback")

    lane = Lane(route(RECEIVE, lambda message: None), callback=callback)
    assert outcomes(lane.run({"text": "good"}, {"text": "bad"})) == [(1, RAISED)]
    assert outcomes(lane.run({"text": "bad"}, {"text": "good"})) == [(2, RETURNED)]
    assert errors(caplog) == ["a message on websocket.receive could not be handled"] * 2


def test_receiver_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A monitor that fails is not the end of the lane that it was told of."""

    def receive(**kwargs: object) -> None:
        raise RuntimeError("a monitor")

    lane = Lane(route(RECEIVE, raising(LookupError("a consumer"))))
    got_request_exception.connect(receive)
    try:
        assert outcomes(lane.run()) == [(1, RAISED)]
    finally:
        got_request_exception.disconnect(receive)
    assert "a consumer" in caplog.text
    assert "a monitor" in caplog.text


def test_trace_shows_each_call(caplog: pytest.LogCaptureFixture) -> None:
    """Channel, path, consumer and how long it took."""
    caplog.set_level(logging.INFO, "django.channels.trace")
    lane = Lane(route(RECEIVE, raising(LookupError())), trace=True)
    assert outcomes(lane.run({"path": "/chat/"})) == [(1, RAISED)]
    (line,) = [record.getMessage() for record in caplog.records if record.name == "django.channels.trace"]
    assert re.fullmatch(r"websocket\.receive /chat/ -> .*raising\.<locals>\.consumer \d+\.\d ms", line)


def test_no_trace_unless_asked(caplog: pytest.LogCaptureFixture) -> None:
    """A line a message is for a person who watches."""
    caplog.set_level(logging.INFO, "django.channels.trace")
    Lane(route(RECEIVE, lambda message: None)).run()
    assert caplog.records == []
