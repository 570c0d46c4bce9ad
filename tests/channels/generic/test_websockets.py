"""WebSocket consumers as classes, as their users run them: by routing, in order, with replies and groups."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.utils.translation import gettext_lazy

from channels import Group
from channels.exceptions import DenyConnection
from channels.generic.async_websockets import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from channels.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer
from channels.message import Message
from channels.routing import Route
from channels.test import HandshakeRefused, Stage, WSClient, apply_routes
from tests.channels.browsers import begun
from tests.channels.connection import Connection


class Echo(WebsocketConsumer):
    """Echoes, in a group of its room."""

    def connection_groups(self, **kwargs: Any) -> list[str]:
        return [f"room-{kwargs['room']}"]

    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        if text == "everybody":
            self.group_send(f"room-{kwargs['room']}", text=f"to all in {kwargs['room']}")
        elif text == "bye":
            self.send(text="bye", close=4000)
        elif text == "leave":
            self.close(4001, reason="as you wish")
        else:
            self.send(text=text, bytes=bytes)

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        Group("ends").send({"text": f"{self.path} {message['code']} {kwargs['room']}"})


class AsyncEcho(AsyncWebsocketConsumer):
    """As Echo."""

    def connection_groups(self, **kwargs: Any) -> list[str]:
        return [f"room-{kwargs['room']}"]

    async def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        if text == "everybody":
            await self.group_send(f"room-{kwargs['room']}", text=f"to all in {kwargs['room']}")
        elif text == "bye":
            await self.send(text="bye", close=4000)
        elif text == "leave":
            await self.close(4001, reason="as you wish")
        else:
            await self.send(text=text, bytes=bytes)

    async def disconnect(self, message: Message, **kwargs: Any) -> None:
        await Group("ends").asend({"text": f"{self.path} {message['code']} {kwargs['room']}"})


class Silent(WebsocketConsumer):
    """Lets nobody in: it does not accept."""

    def connect(self, message: Message, **kwargs: Any) -> None:
        Group("tried").send({"text": "somebody"})


class AsyncSilent(AsyncWebsocketConsumer):
    """As Silent."""

    async def connect(self, message: Message, **kwargs: Any) -> None:
        await Group("tried").asend({"text": "somebody"})


class Json(JsonWebsocketConsumer):
    """Answers with what it was sent, and the keyword arguments."""

    def receive(self, content: Any, **kwargs: Any) -> None:
        if content == "everybody":
            self.group_send("all", {"to": "all"}, close=content == "bye")
        else:
            self.send({"content": content, **kwargs}, close=content == "bye")


class AsyncJson(AsyncJsonWebsocketConsumer):
    """As Json."""

    async def receive(self, content: Any, **kwargs: Any) -> None:
        if content == "everybody":
            await self.group_send("all", {"to": "all"}, close=content == "bye")
        else:
            await self.send({"content": content, **kwargs}, close=content == "bye")


Route_ = Callable[..., Route]
echoes = pytest.mark.parametrize("echo", [Echo, AsyncEcho], ids=["plain", "async"])
jsons = pytest.mark.parametrize("json", [Json, AsyncJson], ids=["plain", "async"])


def in_room(consumer: Any) -> apply_routes:
    """Route a class by a path with a room in it."""
    return apply_routes(consumer.as_route(path=r"^/(?P<room>\w+)/$"))


# -- events ------------------------------------------------------------------------------------------------------------


@echoes
def test_frames_reach_receive(client: WSClient, echo: Any) -> None:
    """Text arrives as text, bytes as bytes, and both can be sent."""
    with in_room(echo):
        client.connect("/lobby/")
        client.send_text("hello")
        assert client.receive_text() == "hello"
        client.send_bytes(b"\x00")
        assert client.receive_bytes() == b"\x00"
        assert client.receive() is None


@echoes
def test_socket_is_in_its_groups(client: WSClient, echo: Any) -> None:
    """The groups come from the route's arguments; what a class sends to a group, its members get."""
    with in_room(echo):
        client.connect("/lobby/")
        other = WSClient()
        other.connect("/kitchen/")
        client.send_text("everybody")
        assert client.receive_text() == "to all in lobby"
        assert other.receive() is None
        assert Group("room-lobby").channels() == [client.reply_channel]


@echoes
def test_end_reaches_disconnect(client: WSClient, stage: Stage, echo: Any) -> None:
    """When the socket is closed, ``disconnect`` hears of it, and the socket is in no group any more."""
    with in_room(echo):
        client.connect("/lobby/")
        client.disconnect(1001)
        stage.assert_group_sent("ends", {"text": "/lobby/ 1001 lobby"})
        assert Group("room-lobby").channels() == []


@echoes
@pytest.mark.parametrize(
    ("text", "code", "reason", "last"), [("bye", 4000, "", "bye"), ("leave", 4001, "as you wish", None)]
)
def test_consumer_closes(client: WSClient, echo: Any, text: str, code: int, reason: str, last: str | None) -> None:
    """A socket is closed behind what is sent with it, or by itself, with code and reason."""
    with in_room(echo):
        client.connect("/lobby/")
        client.send_text(text)
        assert (client.close_code, client.close_reason) == (code, reason)
        assert client.receive() == last


@echoes
def test_instance_is_returned(client: WSClient, echo: Any) -> None:
    """A consumer's run gives the instance, to look at in a test."""
    with in_room(echo):
        instance = client.send_and_consume("websocket.connect", path="/lobby/")
        assert isinstance(instance, echo)
        assert (instance.path, instance.kwargs) == ("/lobby/", {"room": "lobby"})


@pytest.mark.parametrize("base", [WebsocketConsumer, AsyncWebsocketConsumer])
def test_class_without_methods_accepts_and_ignores(client: WSClient, base: Any) -> None:
    """What is not overridden does nothing, but for connect, which accepts."""
    with apply_routes(base.as_route(attrs={"groups": ["all"]})):
        client.connect()
        client.send_text("hello")
        client.send_bytes(b"hello")
        assert client.receive() is None
        assert Group("all").channels() == [client.reply_channel]
        client.disconnect()


@pytest.mark.parametrize("base", [JsonWebsocketConsumer, AsyncJsonWebsocketConsumer])
def test_json_class_without_methods_ignores(client: WSClient, base: Any) -> None:
    """So it is for JSON."""
    with apply_routes(base.as_route()):
        client.connect()
        client.send_json({"a": 1})
        assert client.receive() is None


def test_bytes_beside_an_empty_text_arrive() -> None:
    """A message whose text is ``None`` is one of bytes."""
    received: list[Any] = []

    class Listener(WebsocketConsumer):
        def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
            received.append((text, bytes))

    Connection().run(Listener, text=None, bytes=b"x")
    Connection().run(Listener, text="")
    assert received == [(None, b"x"), ("", None)]


def test_nothing_to_send_is_an_error() -> None:
    """Neither text nor bytes is refused, with the way to close; empty ones are frames."""

    class Sender(WebsocketConsumer):
        def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
            self.send(close=True)

    with pytest.raises(ValueError, match=r"give text or bytes; close\(\) closes"):
        Connection().run(Sender, text="x")


def test_message_from_no_socket_is_told() -> None:
    """A message without reply channel cannot be accepted."""
    with pytest.raises(ValueError, match=r"'websocket\.connect' without reply channel comes from no WebSocket"):
        Connection().run(WebsocketConsumer, "websocket.connect", reply_channel=None)


def test_single_group_name_is_told() -> None:
    """A name in place of a list would be taken for its letters."""
    with pytest.raises(TypeError, match=r"WebsocketConsumer are a list of names, not one name: \['chat'\]"):
        Connection().run(WebsocketConsumer.as_route(attrs={"groups": "chat"}).consumer, "websocket.connect")


# -- the handshake -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", [Silent, AsyncSilent])
def test_override_of_connect_has_to_accept(client: WSClient, silent: Any) -> None:
    """As in 1.x a class that overrides ``connect`` accepts by itself; if it does not, the client gets 403."""
    with (
        apply_routes(silent.as_route()),
        pytest.raises(HandshakeRefused, match=r"403: connect\(\) of its class") as refused,
    ):
        client.connect()
    assert refused.value.status == 403


@pytest.mark.parametrize("answer", [{"accept": True}, {"text": "welcome"}, {"accept": True, "text": "welcome"}])
def test_override_of_connect_accepts_by_an_answer(client: WSClient, answer: dict[str, Any]) -> None:
    """By ``accept``, or by data: either lets the socket in."""

    class Welcoming(WebsocketConsumer):
        def connect(self, message: Message, **kwargs: Any) -> None:
            assert message.reply_channel is not None
            message.reply_channel.send(answer)

    with apply_routes(Welcoming.as_route()):
        client.connect()
        assert client.is_open
        assert client.receive() == answer.get("text")


def test_override_of_connect_accepts_by_super(client: WSClient) -> None:
    """What the base does can be asked for, ahead of or behind what else is to be sent."""

    class Welcoming(WebsocketConsumer):
        def connect(self, message: Message, **kwargs: Any) -> None:
            self.send(text="before")
            super().connect(message, **kwargs)
            self.send(text="behind")

    with apply_routes(Welcoming.as_route()):
        client.connect()
        assert [client.receive(), client.receive(), client.receive()] == ["before", "behind", None]


def test_close_in_connect_refuses(client: WSClient) -> None:
    """A socket that is closed before it is accepted is not let in."""

    class Closing(WebsocketConsumer):
        def connect(self, message: Message, **kwargs: Any) -> None:
            self.close()

    with apply_routes(Closing.as_route()), pytest.raises(HandshakeRefused, match="403"):
        client.connect()


def test_denial_in_connect_refuses(client: WSClient) -> None:
    """``DenyConnection`` refuses with its status."""

    class Denying(WebsocketConsumer):
        def connect(self, message: Message, **kwargs: Any) -> None:
            raise DenyConnection("full", status=503)

    with apply_routes(Denying.as_route()), pytest.raises(HandshakeRefused, match="503: full"):
        client.connect()


# -- JSON --------------------------------------------------------------------------------------------------------------


@jsons
def test_json_is_decoded_and_encoded(client: WSClient, json: Any) -> None:
    """The content of a frame arrives decoded, with the route's arguments, and what is sent is encoded."""
    with in_room(json):
        client.connect("/lobby/")
        client.send_json({"a": [1, None]})
        assert client.receive_json() == {"content": {"a": [1, None]}, "room": "lobby"}
        client.send_json("bye")
        assert client.receive_json() == {"content": "bye", "room": "lobby"}
        assert client.close_code == 1000


@jsons
def test_json_goes_to_groups(client: WSClient, json: Any) -> None:
    """A class sends JSON to a group."""
    with apply_routes(json.as_route(attrs={"groups": ["all"]})):
        client.connect()
        client.send_json("everybody")
        assert client.receive_json() == {"to": "all"}


@jsons
@pytest.mark.parametrize(
    ("content", "fault"), [({"text": "{"}, "Expecting"), ({"bytes": b"{}"}, "takes text with JSON")]
)
def test_what_is_no_json_is_an_error(json: Any, content: dict[str, Any], fault: str) -> None:
    """Text that is no JSON, and bytes, are the consumer's error: it is logged and the socket stays open."""
    with pytest.raises(ValueError, match=fault):
        Connection().run(json.as_route().consumer, **content)


@jsons
def test_codec_can_be_replaced(client: WSClient, json: Any) -> None:
    """Overridden hooks are used to receive, to send, and to send to groups."""

    class Shouting(json):  # type: ignore[misc]  # either class
        groups = ("all",)

        @classmethod
        def decode_json(cls, text: str) -> Any:
            return text.removeprefix("in:")

        @classmethod
        def encode_json(cls, content: Any) -> str:
            return f"out:{content}"

    with apply_routes(Shouting.as_route()):
        client.connect()
        client.send_text("in:hello")
        client.send_text("in:everybody")
        assert client.receive_text() == "out:{'content': 'hello'}"
        assert client.receive_text() == "out:{'to': 'all'}"


def test_values_of_django_are_encoded() -> None:
    """Dates and lazy strings need no encoder of one's own."""
    content = {"day": datetime.date(2026, 1, 2), "name": gettext_lazy("Name")}
    assert JsonWebsocketConsumer.encode_json(content) == '{"day": "2026-01-02", "name": "Name"}'


# -- sessions and users ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["http_user", "http_user_and_session"])
def test_user_is_known_on_every_message(client: WSClient, database: None, attribute: str, engine: str) -> None:
    """With either attribute every message has the user of the browser's session; with the second that session too."""
    seen: list[tuple[str, str, str | None]] = []

    class Knowing(WebsocketConsumer):
        def note(self, message: Message) -> None:
            session = message.http_session
            seen.append((message.channel_name, message.user.get_username(), session.session_key if session else None))

        def connect(self, message: Message, **kwargs: Any) -> None:
            super().connect(message, **kwargs)
            self.note(message)

        def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
            self.note(self.message)

        def disconnect(self, message: Message, **kwargs: Any) -> None:
            self.note(message)

    user = _user("ada")
    client.force_login(user)
    key = client.session.session_key
    with apply_routes(Knowing.as_route(attrs={attribute: True})):
        client.connect()
        client.send_text("x")
        client.disconnect()
    later = key if attribute == "http_user_and_session" else None
    channels = ("websocket.connect", "websocket.receive", "websocket.disconnect")
    assert seen == [(channel, "ada", key if number == 0 else later) for number, channel in enumerate(channels)]
    user.delete()


def test_async_methods_have_user_and_sessions(client: WSClient, cached: None) -> None:
    """The attributes work for coroutine methods too."""
    seen: list[Any] = []

    class Knowing(AsyncWebsocketConsumer):
        http_user_and_session = True

        async def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
            assert self.message.http_session is not None
            seen.append((self.message.user.is_anonymous, await self.message.http_session.aget("color")))

    client.set_cookie("sessionid", begun(color="blue").session_key or "")
    with apply_routes(Knowing.as_route()):
        client.connect()
        client.send_text("x")
    assert seen == [(True, "blue")]


@pytest.mark.parametrize("attribute", ["strict_ordering", "slight_ordering"])
def test_order_is_kept(attribute: str) -> None:
    """The lane keeps the order, so the attributes only refuse messages that came by none."""
    consumer = WebsocketConsumer.as_route(attrs={attribute: True}).consumer
    assert not Connection().run(consumer, text="x").channel_session.modified
    unordered = Message(
        {"reply_channel": "websocket.send.tests!1", "text": "x"}, "websocket.receive", Connection().layer
    )
    with pytest.raises(ValueError, match="has no 'order'"):
        consumer(unordered)


def _user(name: str) -> Any:
    from django.contrib.auth.models import User  # models load with the apps

    return User.objects.create_user(name)
