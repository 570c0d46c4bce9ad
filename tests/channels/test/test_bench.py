"""Consumers run in the thread of the test: by the real runner, with what goes wrong told to the test."""

import asyncio
import logging
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.signals import got_request_exception
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.test import TransactionTestCase, override_settings
from django.utils import translation

from channels import Channel, Group, route
from channels.exceptions import ChannelSocketException, ConsumeLater, DenyConnection
from channels.generic.async_websockets import AsyncWebsocketConsumer
from channels.message import Message
from channels.signals import consumer_finished, consumer_started
from channels.test import ChannelTestCase, Client, Stage, WSClient, apply_routes
from tests.channels.test.cases import run


def replying(message: Message) -> None:
    """Echo the text."""
    assert message.reply_channel is not None
    message.reply_channel.send({"text": message["text"]})


class Later:
    """A consumer that asks for its message again a number of times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.attempts: list[int] = []

    def __call__(self, message: Message) -> None:
        self.attempts.append(message.attempt)
        if len(self.attempts) <= self.times:
            raise ConsumeLater


# -- where consumers run -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_consumer_sees_the_transaction_of_the_test(database: None, kind: str) -> None:
    """A consumer of either kind uses the connection of the test: each sees what the other has not committed."""
    threads: list[int] = []

    def count() -> int:
        threads.append(threading.get_ident())
        User.objects.create(username="by the consumer")
        return User.objects.count()

    def consumer(message: Message) -> None:
        Channel("counted").send({"count": count()})

    async def async_consumer(message: Message) -> None:
        await Channel("counted").asend({"count": await sync_to_async(count)()})

    def test(case: ChannelTestCase) -> None:
        User.objects.create(username="by the test")
        with apply_routes(route("count", consumer if kind == "plain" else async_consumer)):
            Channel("count").send({})
            case.run_consumers()
        case.assert_sent("counted", {"count": 2})
        assert User.objects.filter(username="by the consumer").exists()

    run(test)
    assert threads == [threading.get_ident()]
    assert not User.objects.exists()


def test_connection_is_kept_open(database: None) -> None:
    """Between two requests Django closes old connections; in a test that would be the test's own."""

    def consumer(message: Message) -> None:
        connection_created.send(sender=type(connection), connection=connection)  # as if it were the first to use one
        User.objects.count()

    def test(case: Any) -> None:
        with apply_routes(route("count", consumer)):
            for _ in range(2):
                Channel("count").send({})
                case.run_consumers()
        assert connection.connection is not None

    from channels.test import TransactionChannelTestCase  # beside the base that it is

    assert issubclass(TransactionChannelTestCase, TransactionTestCase)
    run(test, TransactionChannelTestCase)


def test_on_commit_callbacks_of_a_consumer_run(database: None) -> None:
    """When it has ended, as a part of its run: what they send is the consumer's."""

    def consumer(message: Message) -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: Channel("done").send({"by": "commit"}))
        Channel("done").send({"by": "consumer"})

    def test(case: ChannelTestCase) -> None:
        with apply_routes(route("work", consumer)):
            Channel("work").send({})
            case.run_consumers()
        assert [case.assert_sent("done")["by"] for _ in range(2)] == ["consumer", "commit"]

    run(test)


def test_consumer_starts_clean(stage: Stage) -> None:
    """What is active in the test, a language for one, is not active in a consumer; nor the other way round."""
    languages: list[str] = []

    def consumer(message: Message) -> None:
        languages.append(translation.get_language())
        translation.activate("it")

    with apply_routes(route("work", consumer)), translation.override("fr"):
        for _ in range(2):
            Channel("work").send({})
        stage.run_consumers()
        assert (languages, translation.get_language()) == (["en-us", "en-us"], "fr")


def test_signals_are_sent(client: WSClient) -> None:
    """Those around a consumer, as by a worker."""
    calls: list[str] = []

    def note(name: str) -> Any:
        return lambda **kwargs: calls.append(name)

    started, finished = note("started"), note("finished")
    consumer_started.connect(started)
    consumer_finished.connect(finished)
    try:
        with apply_routes(route("websocket.receive", lambda message: calls.append("consumer"))):
            client.send_and_consume("websocket.receive", text="x")
    finally:
        consumer_started.disconnect(started)
        consumer_finished.disconnect(finished)
    assert calls == ["started", "consumer", "finished"]


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_what_a_consumer_raises_the_test_sees(client: WSClient, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """It is raised and not logged; monitors hear of it; and the connection goes on."""
    reported: list[Any] = []

    def note(**kwargs: Any) -> None:
        reported.append(kwargs["request"])

    class Async(AsyncWebsocketConsumer):
        async def receive(self, **kwargs: Any) -> None:
            raise KeyError(kwargs["text"])

    def plain(message: Message) -> None:
        raise KeyError(message["text"])

    routes = [route("websocket.receive", plain)] if kind == "plain" else [Async.as_route()]
    got_request_exception.connect(note)
    try:
        with apply_routes(routes), caplog.at_level(logging.DEBUG):
            client.connect()
            for text in ("one", "two"):
                with pytest.raises(KeyError, match=text):
                    client.send_text(text)
                assert client.is_open
    finally:
        got_request_exception.disconnect(note)
    assert reported == [None, None]
    assert "Traceback" not in caplog.text


def test_what_a_consumer_sent_before_it_raised_is_sent(client: WSClient) -> None:
    """As by a worker."""

    def consumer(message: Message) -> None:
        replying(message)
        raise KeyError

    with apply_routes(route("websocket.receive", consumer)):
        client.connect()
        with pytest.raises(KeyError):
            client.send_text("before")
        assert client.receive() == "before"


def test_refused_send_is_raised(stage: Stage) -> None:
    """A worker would log that a queue was full when the consumer's sends left."""

    def consumer(message: Message) -> None:
        for _ in range(101):
            Channel("elsewhere").send({})

    with apply_routes(route("work", consumer)):
        Channel("work").send({})
        with pytest.raises(stage.layer("default").channel_layer.ChannelFull, match="elsewhere"):
            stage.run_consumers()


def test_fault_of_a_receiver_is_raised(client: WSClient) -> None:
    """An exception in what stands around a consumer is the test's as well."""

    def fail(**kwargs: Any) -> None:
        raise KeyError("receiver")

    consumer_started.connect(fail)
    try:
        with apply_routes(route("websocket.receive", replying)), pytest.raises(KeyError, match="receiver"):
            client.send_and_consume("websocket.receive", text="x")
    finally:
        consumer_started.disconnect(fail)


def test_fault_in_routing_is_raised(client: WSClient, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker would log it, and say that there is no consumer."""

    def fail(message: Message) -> None:
        raise KeyError("router")

    monkeypatch.setattr(stage.layer("default").router, "find", fail)
    with pytest.raises(KeyError, match="router"):
        client.send_and_consume("websocket.receive", text="x")


def test_loop_without_end_is_found(stage: Stage) -> None:
    """A consumer that sends to its own channel is stopped and named."""

    def consumer(message: Message) -> None:
        Channel("work").send({})

    with apply_routes(route("work", consumer)):
        Channel("work").send({})
        with pytest.raises(AssertionError, match=r"1000 consumers were run .* 1 on 'work'"):
            stage.run_consumers()


# -- exceptions that steer ---------------------------------------------------------------------------------------------


def test_message_that_is_wanted_later_waits_for_its_time(client: WSClient, stage: Stage) -> None:
    """An event goes back to the head of its lane: those behind it wait, too, and time decides."""
    texts: list[str] = []
    wanted = Later(2)

    def consumer(message: Message) -> None:
        wanted(message)
        texts.append(message["text"])

    with apply_routes(route("websocket.receive", consumer)):
        client.connect()
        client.send_text("first")
        client.send_text("second")
        assert (texts, wanted.attempts) == ([], [0])
        assert "Held back by ConsumeLater: 1; advance() the time." in stage.waiting()
        assert stage.advance(0.05) == 1
        assert (texts, wanted.attempts) == ([], [0, 1])
        assert stage.advance(10) == 2
        assert (texts, wanted.attempts) == (["first", "second"], [0, 1, 2, 0])
        assert stage.waiting() == ""


def test_message_of_no_connection_waits_too(stage: Stage) -> None:
    """A message on a channel of one's own is sent again when its delay is over."""
    wanted = Later(1)
    with apply_routes(route("work", wanted)):
        Channel("work").send({})
        assert stage.run_consumers() == 1
        assert stage.run_consumers() == 0
        assert stage.advance(0.06) == 1
    assert wanted.attempts == [0, 1]


def test_message_that_is_wanted_too_often_is_told(stage: Stage) -> None:
    """A worker drops it after ten times, with a line in the log; the test fails."""
    with apply_routes(route("work", Later(100))):
        Channel("work").send({})
        stage.run_consumers()
        for _ in range(9):
            stage.advance(10)
        with pytest.raises(ConsumeLater):
            stage.advance(10)


@pytest.mark.parametrize("raised", [ConsumeLater(), DenyConnection("no")])
def test_steering_exceptions_are_raised_step_by_step(client: WSClient, stage: Stage, raised: Exception) -> None:
    """``consume`` raises them, as 1.x did; what the consumer had sent is gone, and so is the message."""

    def consumer(message: Message) -> None:
        Channel("elsewhere").send({})
        raise raised

    with apply_routes(route("websocket.connect", consumer)):
        with pytest.raises(type(raised)):
            client.send_and_consume("websocket.connect")
        assert client.consume("websocket.connect", fail_on_none=False) is None
    stage.assert_nothing_sent("elsewhere")


def test_action_of_an_exception_is_carried_out(client: WSClient) -> None:
    """A ``ChannelSocketException`` acts on the connection, as by a worker."""

    class Goodbye(ChannelSocketException):
        def run(self, message: Message) -> None:
            assert message.reply_channel is not None
            message.reply_channel.send({"text": "goodbye"})

    def consumer(message: Message) -> None:
        raise Goodbye

    with apply_routes(route("websocket.receive", consumer)):
        client.send_and_consume("websocket.receive", text="x")
        assert client.receive() == "goodbye"


# -- what runs, and when -----------------------------------------------------------------------------------------------


def test_oldest_message_is_handled_first(stage: Stage) -> None:
    """Across channels, in the order in which they were sent."""
    order: list[str] = []
    names = ["b", "a", "c", "a", "b"]
    with apply_routes(route(["a", "b", "c"], lambda message: order.append(message["name"]))):
        for number, name in enumerate(names):
            Channel(name).send({"name": f"{name}{number}"})
        assert stage.run_consumers() == 5
    assert order == ["b0", "a1", "c2", "a3", "b4"]


def test_what_consumers_send_is_handled_as_well(stage: Stage) -> None:
    """Until nothing is left; a group may have a channel as a member."""
    heard: list[str] = []

    def first(message: Message) -> None:
        Group("all").send({"text": "x"})

    with apply_routes([route("first", first), route("second", lambda message: heard.append(message["text"]))]):
        Group("all").add("second")
        Channel("first").send({})
        assert stage.run_consumers() == 2
    assert heard == ["x"]


def test_reply_to_nobody_is_let_go(client: WSClient, stage: Stage) -> None:
    """A reply channel that is no client's leads nowhere."""
    client.join_group("all")
    layer = stage.layer("default").channel_layer
    Channel(layer.new_channel("websocket.send!")).send({"text": "x"})
    assert client.receive() is None


def test_messages_expire_when_time_passes(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """By the clock of the test."""
    Channel("work").send({})
    with apply_routes(route("work", lambda message: pytest.fail("it has expired"))):
        assert stage.advance(61) == 0
    assert "was not taken within 60.0 s" in caplog.text


def test_message_without_route_is_told(client: WSClient) -> None:
    """A frame that no route is for, with the routes and why they do not match; a worker would ignore it."""
    with apply_routes([route("websocket.receive", replying, path="^/chat/$"), route("websocket.connect", print)]):
        client.connect("/other/")
        with pytest.raises(AssertionError, match=r"on 'websocket\.receive' at /other/\. Routes:") as failed:
            client.send_text("x")
    assert "path=^/chat/$ -> tests.channels.test.test_bench.replying: 'path' does not match" in str(failed.value)


def test_end_without_route_is_ignored(client: WSClient) -> None:
    """A disconnect may go unrouted, as under a worker: here it is routed for another path."""
    with apply_routes([route("websocket.receive", replying), route("websocket.disconnect", replying, path="^/chat/$")]):
        client.connect("/")
        client.disconnect()
        with pytest.raises(AssertionError, match=r"No consumer for a message on 'websocket\.disconnect'"):
            client.send_and_consume("websocket.disconnect")


def test_settings_of_the_moment_count(client: WSClient) -> None:
    """A setting that a test overrides is heeded by the next consumer."""
    with apply_routes(route(["websocket.connect", "websocket.receive"], print)):
        with override_settings(CHANNELS={"ACCEPT": "explicit"}):
            client.connect()
            assert not client.is_open
        client.connect()
        assert client.is_open


def test_two_layers_are_served(stage: Stage) -> None:
    """Consumers of one layer may send to the other."""
    config = {"BACKEND": "channel_layers.memory.MemoryChannelLayer", "ROUTING": []}
    with override_settings(CHANNEL_LAYERS={"default": config, "other": config}), Stage() as two:
        routes = [route("there", lambda message: Channel("here", alias="default").send({}))]
        with apply_routes(routes, ["other"]), apply_routes(route("here", print)):
            Channel("there", alias="other").send({})
            assert two.run_consumers() == 2
        two.assert_sent("there", alias="other")
        assert two.get_next_message("there") is None
        Client("other").send("there")
        with pytest.raises(KeyError, match=r"no layer 'othr' of its own, only .*mean 'other'"):
            two.layer("othr")


def test_async_consumers_may_send_and_wait(client: WSClient) -> None:
    """Several things at once in one consumer, on a loop that is its own."""

    async def consumer(message: Message) -> None:
        async def one(number: int) -> None:
            await asyncio.sleep(0)
            assert message.reply_channel is not None
            await message.reply_channel.asend({"text": str(number)})

        await asyncio.gather(one(1), one(2))

    with apply_routes(route("websocket.receive", consumer)):
        client.connect()
        client.send_text("x")
        assert {client.receive(), client.receive()} == {1, 2}
