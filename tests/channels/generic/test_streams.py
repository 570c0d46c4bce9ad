"""Streams that share a socket: demultiplexers and multiplexers of both kinds."""

from typing import Any, ClassVar

import pytest

from channels import Group, include
from channels.exceptions import DenyConnection, SendNotAvailableOnDemultiplexer
from channels.generic.async_websockets import (
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketDemultiplexer,
    AsyncWebsocketMultiplexer,
)
from channels.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer, WebsocketMultiplexer
from channels.message import Message
from channels.test import HandshakeRefused, Stage, WSClient, apply_routes
from tests.channels.connection import Connection


class Chat(JsonWebsocketConsumer):
    """A stream that answers by its multiplexer."""

    def connect(self, message: Message, **kwargs: Any) -> None:
        super().connect(message, **kwargs)
        kwargs["multiplexer"].send({"hello": kwargs["room"]})

    def receive(self, content: Any, **kwargs: Any) -> None:
        match content["do"]:
            case "answer":
                kwargs["multiplexer"].send({"did": content, "room": kwargs["room"]})
            case "everybody":
                kwargs["multiplexer"].group_send("all", "chat", {"to": "all"}, close=4000)
            case "send":
                self.send(content)
            case "close":
                self.close()

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        Group("ends").send({"text": kwargs["multiplexer"].stream})


class AsyncChat(AsyncJsonWebsocketConsumer):
    """As Chat."""

    async def connect(self, message: Message, **kwargs: Any) -> None:
        await super().connect(message, **kwargs)
        await kwargs["multiplexer"].send({"hello": kwargs["room"]})

    async def receive(self, content: Any, **kwargs: Any) -> None:
        match content["do"]:
            case "answer":
                await kwargs["multiplexer"].send({"did": content, "room": kwargs["room"]})
            case "everybody":
                await kwargs["multiplexer"].group_send("all", "chat", {"to": "all"}, close=4000)
            case "send":
                await self.send(content)
            case "close":
                await self.close()

    async def disconnect(self, message: Message, **kwargs: Any) -> None:
        await Group("ends").asend({"text": kwargs["multiplexer"].stream})


def tick(message: Message, **kwargs: Any) -> None:
    """Count as a stream, as a function."""
    if message.channel_name == "websocket.receive":
        kwargs["multiplexer"].send({"tick": message["text"]})


async def async_tick(message: Message, **kwargs: Any) -> None:
    """As tick."""
    if message.channel_name == "websocket.receive":
        await kwargs["multiplexer"].send({"tick": message["text"]})


class Streams(WebsocketDemultiplexer):
    """Two streams: a class and a function."""

    groups = ("all",)
    consumers: ClassVar = {"chat": Chat.as_route(attrs={"groups": ["chatting"]}).consumer, "clock": tick}


class AsyncStreams(AsyncWebsocketDemultiplexer):
    """As Streams."""

    groups = ("all",)
    consumers: ClassVar = {"chat": AsyncChat.as_route(attrs={"groups": ["chatting"]}).consumer, "clock": async_tick}


both = pytest.mark.parametrize("streams", [Streams, AsyncStreams], ids=["plain", "async"])


def connected(client: WSClient, streams: Any) -> WSClient:
    """Connect ``client`` to the streams of a room, and read the greeting."""
    client.connect("/chat/lobby/")
    assert client.receive_json() == {"stream": "chat", "payload": {"hello": "lobby"}}
    return client


@pytest.fixture
def routed(streams: Any) -> Any:
    """Routes to the streams, below a prefix."""
    with apply_routes([include([streams.as_route(path=r"^/(?P<room>\w+)/$")], path="^/chat")]):
        yield


@both
def test_frame_reaches_the_consumer_of_its_stream(client: WSClient, routed: None, streams: Any) -> None:
    """A consumer gets the payload and the route's arguments, and what it answers says its stream."""
    connected(client, streams)
    client.send_json({"stream": "chat", "payload": {"do": "answer"}})
    assert client.receive_json() == {"stream": "chat", "payload": {"did": {"do": "answer"}, "room": "lobby"}}
    client.send_json({"stream": "clock", "payload": {"n": 1}})
    assert client.receive_json() == {"stream": "clock", "payload": {"tick": '{"n": 1}'}}


@both
def test_connect_and_disconnect_reach_every_consumer(
    client: WSClient, stage: Stage, routed: None, streams: Any
) -> None:
    """All consumers hear of both ends, and groups are those of the demultiplexer and its consumers."""
    connected(client, streams)
    assert Group("all").channels() == Group("chatting").channels() == [client.reply_channel]
    client.disconnect()
    stage.assert_group_sent("ends", {"text": "chat"})


@both
def test_accepts_once(client: WSClient, routed: None, streams: Any) -> None:
    """Only the demultiplexer accepts, whatever its consumers inherit, and only when all have been asked."""
    client.send_and_consume("websocket.connect", path="/chat/lobby/", check_accept=False)
    received = [client.receive(), client.receive(), client.receive()]
    assert received[0] == {"accept": True}
    assert received[1:] == [{"stream": "chat", "payload": {"hello": "lobby"}}, None]


def test_consumer_that_denies_refuses_the_socket(client: WSClient) -> None:
    """One consumer's refusal is the whole socket's, whatever those before it have sent."""

    def deny(message: Message, **kwargs: Any) -> None:
        raise DenyConnection("closed", status=401)

    class Closed(WebsocketDemultiplexer):
        consumers: ClassVar = {"chat": Chat, "door": deny}

    with apply_routes(Closed.as_route(path=r"^/(?P<room>\w+)/$")), pytest.raises(HandshakeRefused, match="401: closed"):
        client.connect("/lobby/")


@both
def test_group_message_says_its_stream(client: WSClient, routed: None, streams: Any) -> None:
    """A multiplexer sends to a group on a stream, and may close behind it."""
    connected(client, streams)
    client.send_json({"stream": "chat", "payload": {"do": "everybody"}})
    assert client.receive_json() == {"stream": "chat", "payload": {"to": "all"}}
    assert client.close_code == 4000


@both
def test_consumer_can_close_the_socket(client: WSClient, routed: None, streams: Any) -> None:
    """A stream's consumer closes the socket, and with it all streams."""
    connected(client, streams)
    client.send_json({"stream": "chat", "payload": {"do": "close"}})
    assert client.close_code == 1000


# -- sending around the streams ----------------------------------------------------------------------------------------


@both
def test_send_of_a_streams_consumer_is_refused(client: WSClient, routed: None, streams: Any) -> None:
    """What ``send`` would send has no stream, so it is refused, with the way that has; by itself the class can send."""
    connected(client, streams)
    with pytest.raises(SendNotAvailableOnDemultiplexer, match=r"Chat handles one stream.*use multiplexer\.send"):
        client.send_json({"stream": "chat", "payload": {"do": "send"}})
    alone = streams.consumers["chat"].as_route(attrs={"connect": JsonWebsocketConsumer.connect})
    if streams is Streams:
        with apply_routes(alone):
            other = WSClient()
            other.connect()
            other.send_json({"do": "send"})
            assert other.receive_json() == {"do": "send"}


def test_send_of_a_demultiplexer_is_refused() -> None:
    """So it is for the demultiplexer itself, to its socket and to groups."""

    class Bypass(WebsocketDemultiplexer):
        def receive(self, content: Any, **kwargs: Any) -> None:
            self.send(content)

    with pytest.raises(SendNotAvailableOnDemultiplexer, match="Bypass shares its socket out to streams"):
        Connection().run(Bypass, text="{}")
    with pytest.raises(SendNotAvailableOnDemultiplexer, match=r"WebsocketMultiplexer\.group_send\(name, stream"):
        Bypass.group_send("all", {})


def test_send_of_an_async_demultiplexer_is_refused() -> None:
    """So it is for its twin."""

    class Bypass(AsyncWebsocketDemultiplexer):
        async def receive(self, content: Any, **kwargs: Any) -> None:
            await (self.send if content else self.group_send)(content)

    for text in ("[]", "[1]"):
        with pytest.raises(SendNotAvailableOnDemultiplexer, match="AsyncWebsocketMultiplexer"):
            Connection().run(Bypass.as_route().consumer, text=text)


# -- frames ------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        ([], "not list"),
        ({"payload": {}}, "'stream' and 'payload', not one with 'payload'"),
        ({"stream": "chat"}, "not one with 'stream'"),
        ({}, "not one with nothing in it"),
        ({"stream": "chta", "payload": {}}, r"the stream 'chta', only 'chat', 'clock'\. Did you mean 'chat'\?"),
        ({"stream": ["chat"], "payload": {}}, r"the stream \['chat'\]"),
        ({"stream": "chat", "payload": "secret"}, "stream 'chat' is an object, not str$"),
    ],
)
def test_bad_frame_is_an_error(client: WSClient, routed: None, streams: Any, frame: Any, fault: str) -> None:
    """What has no stream, a stream without consumer, or no object for a payload is refused; the socket stays open."""
    connected(client, streams)
    with pytest.raises(ValueError, match=fault):
        client.send_json(frame)
    assert client.is_open


def test_multiplexer_can_be_replaced(client: WSClient) -> None:
    """A class of one's own encodes in its own way."""

    class Shouting(WebsocketMultiplexer):
        @classmethod
        def encode_json(cls, content: Any) -> str:
            return f"{content['stream'].upper()}: {content['payload']}"

    class Loud(WebsocketDemultiplexer):
        consumers: ClassVar = {"clock": tick}
        multiplexer_class = Shouting

    with apply_routes(Loud.as_route()):
        client.connect()
        client.send_json({"stream": "clock", "payload": {}})
        assert client.receive_text() == "CLOCK: {'tick': '{}'}"


@pytest.mark.parametrize("multiplexer", [WebsocketMultiplexer, AsyncWebsocketMultiplexer])
def test_message_of_a_stream(multiplexer: Any) -> None:
    """A message is JSON with stream and payload; it may close."""
    assert multiplexer.encode("chat", {"a": 1}) == {"text": '{"stream": "chat", "payload": {"a": 1}}'}
    assert multiplexer.encode("chat", {}, close=4000)["close"] == 4000


@pytest.mark.parametrize(
    ("base", "consumer", "kinds"),
    [
        (WebsocketDemultiplexer, AsyncChat, "is an async consumer.*a plain one"),
        (AsyncWebsocketDemultiplexer, tick, "is a plain consumer.*an async one"),
    ],
)
def test_kinds_do_not_mix(base: Any, consumer: Any, kinds: str) -> None:
    """A consumer that the demultiplexer could not call is found when its class is made."""
    with pytest.raises(TypeError, match=rf"Mixed\.consumers\['chat'\] {kinds}"):
        type("Mixed", (base,), {"consumers": {"chat": consumer}})
