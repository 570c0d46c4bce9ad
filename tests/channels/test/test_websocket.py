"""WebSocket clients: as a browser, and one step after another as in 1.x."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict
from django.test import override_settings

from channels import Channel, Group, route
from channels.exceptions import DenyConnection, ResponseLater
from channels.message import Message
from channels.sessions import channel_session, enforce_ordering
from channels.test import HandshakeRefused, HttpClient, Stage, WSClient, apply_routes

CONNECT, RECEIVE, DISCONNECT = "websocket.connect", "websocket.receive", "websocket.disconnect"


def reply(**content: Any) -> Callable[[Message], None]:
    """Return a consumer that sends ``content`` back."""

    def consumer(message: Message, **kwargs: Any) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send(content)

    return consumer


def echo(message: Message, **kwargs: Any) -> None:
    """Send back what was sent."""
    assert message.reply_channel is not None
    message.reply_channel.send(message.content)


def join(message: Message, **kwargs: Any) -> None:
    """Put the socket into the group of all."""
    assert message.reply_channel is not None
    Group("all").add(message.reply_channel)


def nothing(message: Message, **kwargs: Any) -> None:
    """Do nothing."""


def seen_by(client: WSClient, act: Callable[[], object], *channels: str) -> list[dict[str, Any]]:
    """Return the contents of the messages on ``channels`` that ``act`` leads to."""
    seen: list[dict[str, Any]] = []
    routes = [route(list(channels), lambda message: seen.append(message.content))]
    with apply_routes([*routes, route([CONNECT, RECEIVE, DISCONNECT], nothing)]):
        act()
    return seen


@pytest.fixture
def echoing(stage: Stage) -> Any:
    """A socket that echoes."""
    with apply_routes([route(CONNECT, join), route(RECEIVE, echo)]):
        yield


# -- the handshake -----------------------------------------------------------------------------------------------------


def test_connect_is_as_of_a_browser(client: WSClient) -> None:
    """The message has every key that an interface server sends, with the path decoded and the query apart."""
    [content] = seen_by(client, lambda: client.connect("/r%C3%B6om/?a=1&a=2", subprotocols=["chat"]), CONNECT)
    assert content == {
        "reply_channel": client.reply_channel,
        "scheme": "ws",
        "path": "/röom/",
        "query_string": b"a=1&a=2",
        "root_path": "",
        "headers": [[b"host", b"testserver"], [b"origin", b"http://testserver"]],
        "client": ["127.0.0.1", 50000],
        "server": ["testserver", 80],
        "subprotocols": ["chat"],
        "order": 0,
    }


@pytest.mark.parametrize(
    ("consumer", "frames"),
    [
        (nothing, []),
        (reply(accept=True), []),
        (reply(text="hi"), ["hi"]),
        (reply(accept=True, text="hi"), ["hi"]),
    ],
)
def test_socket_is_let_in(client: WSClient, consumer: Any, frames: list[str]) -> None:
    """By a function that returns, or by what it sends; an ``accept`` is no frame."""
    with apply_routes(route(CONNECT, consumer)):
        client.connect()
        assert client.is_open
        assert [client.receive() for _ in frames] == frames
        assert client.receive() is None


@pytest.mark.parametrize(
    ("consumer", "status", "reason"),
    [
        (reply(accept=False), 403, "its consumer refused"),
        (reply(close=True), 403, "its consumer refused"),
        (reply(accept=False, status=401, reason="who?", headers=[[b"a", b"b"]], body=b"?"), 401, "who?"),
    ],
)
def test_socket_is_refused(client: WSClient, consumer: Any, status: int, reason: str) -> None:
    """The refusal has status, reason, headers and body."""
    with apply_routes(route(CONNECT, consumer)), pytest.raises(HandshakeRefused) as refused:
        client.connect()
    assert (refused.value.status, refused.value.reason) == (status, reason)
    assert (refused.value.headers, refused.value.content) == (([(b"a", b"b")], b"?") if status == 401 else ([], b""))
    assert str(refused.value) == f"the WebSocket was refused with {status}: {reason}"
    assert not client.is_open


def test_denial_is_a_refusal(client: WSClient, stage: Stage) -> None:
    """With its status; what the consumer had sent is discarded, and nothing is left to look at."""

    def deny(message: Message) -> None:
        reply(text="hello")(message)
        raise DenyConnection("full", status=503, headers=[(b"retry-after", b"9")], content=b"Later")

    with apply_routes(route(CONNECT, deny)), pytest.raises(HandshakeRefused, match="503: full") as refused:
        client.connect()
    assert (refused.value.headers, refused.value.content) == ([(b"retry-after", b"9")], b"Later")
    stage.assert_nothing_sent()


def test_refused_socket_is_in_no_group(client: WSClient, stage: Stage) -> None:
    """Memberships end with the refusal, and no disconnect is sent."""

    def refuse(message: Message) -> None:
        join(message)
        reply(text="early", accept=False)(message)

    with apply_routes([route(CONNECT, refuse), route(DISCONNECT, reply(text="bye"))]):
        with pytest.raises(HandshakeRefused):
            client.connect()
        assert Group("all").channels() == []
        assert client.receive() is None


def test_path_without_route_is_refused(client: WSClient) -> None:
    """With 404 and the routes that were tried; where no route is for connects, one for frames lets in."""
    with (
        apply_routes(route(CONNECT, nothing, path="^/chat/$")),
        pytest.raises(HandshakeRefused, match=r"404: no route for a WebSocket at '/cat/' \(tried .*does not match"),
    ):
        client.connect("/cat/")
    with apply_routes(route(RECEIVE, echo)):
        client.connect()
        client.send_text("hi")
        assert client.receive() == "hi"


def test_consumer_that_raises_in_connect_is_the_tests(client: WSClient) -> None:
    """The exception says more than the 500 that the client would get."""

    def fail(message: Message) -> None:
        raise KeyError("nick")

    with apply_routes(route(CONNECT, fail)):
        with pytest.raises(KeyError, match="nick"):
            client.connect()
        with pytest.raises(AssertionError, match=r"not connected\. In connect\(\), the WebSocket was refused with 500"):
            client.send_text("hi")


def test_decision_may_come_from_elsewhere(client: WSClient) -> None:
    """A consumer that leaves the decision to another is waited for; what is sent meanwhile is in order behind it."""

    def leave(message: Message) -> None:
        join(message)
        Group("all").send({"text": "from the group"})
        raise ResponseLater

    with apply_routes([route(CONNECT, leave), route("door", nothing)]):
        client.connect()
        assert not client.is_open
        with pytest.raises(AssertionError, match="Its handshake is not decided: no consumer has accepted or refused"):
            client.send_text("hi")
        Channel(client.reply_channel).send({"accept": True, "text": "from the door", "subprotocol": "chat"})
        assert [client.receive(), client.receive()] == ["from the door", "from the group"]
        assert (client.is_open, client.subprotocol) == (True, "chat")


def test_accept_may_close(client: WSClient) -> None:
    """Data that is sent with a ``close`` lets the socket in, and closes it behind."""
    with apply_routes([route(CONNECT, reply(text="full", close=4000))]):
        client.connect()
        assert (client.receive(), client.close_code) == ("full", 4000)


def test_client_is_one_socket(client: WSClient, echoing: None) -> None:
    """Connecting twice at a time is a mistake; again after the end is a new connection, with nothing of the old."""
    client.connect()
    first = client.reply_channel
    with pytest.raises(AssertionError, match=r"is connected already\. A client is one socket"):
        client.connect()
    client.send_text("unread")
    client.disconnect()
    client.connect("/again/")
    assert client.reply_channel != first
    assert (client.receive(), client.close_code, client.path) == (None, None, "/again/")


# -- frames ------------------------------------------------------------------------------------------------------------


def test_frames_are_sent_and_received(client: WSClient, echoing: None) -> None:
    """Text, bytes and JSON, each as what it is."""
    client.connect()
    client.send_text("text")
    client.send_bytes(b"bytes")
    client.send_json({"day": datetime.date(2026, 1, 2)})
    client.send_text("")
    assert client.receive_text() == "text"
    assert client.receive_bytes() == b"bytes"
    assert client.receive_json() == {"day": "2026-01-02"}
    assert client.receive_text() == ""


def test_any_frame_is_received(client: WSClient, echoing: None) -> None:
    """Decoded if it is JSON, unless told not to, or else as it is."""
    client.connect()
    for text in ('{"a": 1}', '{"a": 1}', "{"):
        client.send_text(text)
    client.send_bytes(b"x")
    assert [client.receive(), client.receive(json=False), client.receive(), client.receive()] == [
        {"a": 1},
        '{"a": 1}',
        "{",
        b"x",
    ]


def test_frames_have_path_and_order(client: WSClient) -> None:
    """Every event of the connection is numbered and has its path, and no headers."""

    def act() -> None:
        client.connect("/chat/?a=1")
        client.send_text("x")
        client.disconnect(4000, "tired")

    frame, end = seen_by(client, act, RECEIVE, DISCONNECT)
    assert frame == {"reply_channel": client.reply_channel, "path": "/chat/", "order": 1, "text": "x"}
    assert end == {
        "reply_channel": client.reply_channel, "path": "/chat/", "order": 2, "code": 4000, "reason": "tired",
    }  # fmt: skip


def test_other_consumers_are_run(client: WSClient) -> None:
    """Whatever follows from a frame has happened when the call returns; what others send is found when it is read."""
    with apply_routes(
        [
            route(CONNECT, join),
            route(RECEIVE, lambda message: Channel("work").send({"text": message["text"]})),
            route("work", lambda message: Group("all").send({"text": message["text"].upper()})),
        ]
    ):
        client.connect()
        client.send_text("hi")
        assert client.receive() == "HI"
        Channel("work").send({"text": "from a view"})
        assert client.receive() == "FROM A VIEW"


@pytest.mark.parametrize(
    ("receive", "text"),
    [
        (WSClient.receive_bytes, "has received text in place of bytes: 'plain'"),
        (WSClient.receive_json, "has received text that is not JSON: 'plain'"),
    ],
)
def test_other_kind_of_frame_is_told(client: WSClient, echoing: None, receive: Any, text: str) -> None:
    """With what came instead."""
    client.connect()
    client.send_text("plain")
    with pytest.raises(AssertionError, match=f"<WSClient at /> {text}"):
        receive(client)


def test_missing_frame_is_told(client: WSClient, stage: Stage) -> None:
    """With what was sent to others, what is not handled yet, and what has become of the socket."""
    with apply_routes([route(CONNECT, nothing), route(RECEIVE, reply(close=4001, reason="bye")), route("x", nothing)]):
        client.connect()
        Group("others").send({"text": "not here"})
        with pytest.raises(AssertionError) as failed:
            client.receive_text()
        assert str(failed.value).startswith("<WSClient at /> has received nothing.\nSent meanwhile, and not looked at:")
        assert "to group 'others': {'text': 'not here'}" in str(failed.value)
        client.send_text("hi")
        with pytest.raises(AssertionError, match=r"received nothing\.\nIt was closed with 4001 \('bye'\)\."):
            client.receive_text()


def test_message_that_members_could_not_be_sent_is_told(client: WSClient, echoing: None) -> None:
    """A server would log it and send nothing."""
    client.connect()
    Group("all").send({"txt": "hi"})
    with pytest.raises(AssertionError, match=r"to the group 'all' cannot be sent .*mean 'text'\?.* from the test"):
        client.receive()


# -- the end -----------------------------------------------------------------------------------------------------------


def test_consumer_closes(client: WSClient, stage: Stage) -> None:
    """The client learns the code, groups are left, and the application hears of it; later messages are for nobody."""
    ends: list[int] = []
    with apply_routes(
        [
            route(CONNECT, join),
            route(RECEIVE, reply(text="bye", close=True)),
            route(DISCONNECT, lambda message: ends.append(message["code"])),
        ]
    ):
        client.connect()
        client.send_text("hi")
        assert (client.is_open, client.close_code, client.close_reason) == (False, 1000, "")
        assert (ends, Group("all").channels()) == ([1000], [])
        Channel(client.reply_channel).send({"text": "late"})
        assert [client.receive(), client.receive()] == ["bye", None]
        with pytest.raises(AssertionError, match=r"is not connected\. It was closed with 1000\."):
            client.send_text("hi")


def test_group_closes(client: WSClient, echoing: None) -> None:
    """As a group message may."""
    client.connect()
    Group("all").send({"close": 4001, "reason": "logged out"})
    assert client.receive() is None
    assert (client.close_code, client.close_reason) == (4001, "logged out")


def test_message_that_gives_nothing_to_do_is_told(client: WSClient, echoing: None) -> None:
    """A server would log it; here nobody reads a log."""
    client.connect()
    Channel(client.reply_channel).send({})
    with pytest.raises(
        AssertionError, match=r"to a socket: a message to a WebSocket without any key does nothing.*test"
    ):
        client.receive()
    Group("all").send({"text": None})
    with pytest.raises(AssertionError, match=r"the group 'all' cannot .* with nothing but 'text' does nothing"):
        client.receive()


def test_end_that_nobody_reads_is_not_sent(client: WSClient, stage: Stage, echoing: None) -> None:
    """As by a server that knows what the workers read."""
    client.connect()
    client.disconnect()
    assert stage.waiting() == ""
    assert client.close_code == 1000


def test_disconnect_needs_a_connection(client: WSClient) -> None:
    """Closing twice, or before connecting, is a mistake."""
    with pytest.raises(AssertionError, match=r"<WSClient at /> is not connected\. Call connect\(\) first\."):
        client.disconnect()


# -- one step after another, as in 1.x ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "text", "path", "expected"),
    [
        ({}, None, "/", {"path": "/"}),
        ({}, None, "/chat/", {"path": "/chat/"}),
        ({"path": "/mine/"}, None, "/chat/", {"path": "/mine/"}),
        ({}, "plain", "/", {"path": "/", "text": "plain"}),
        ({}, {"a": 1}, "/", {"path": "/", "text": '{"a": 1}'}),
        ({"bytes": b"x", "order": 7}, None, "/chat/?a=1", {"path": "/chat/", "bytes": b"x", "order": 7}),
    ],
)
def test_event_has_what_it_needs(client: WSClient, content: Any, text: Any, path: str, expected: Any) -> None:
    """The path, given either way and without its query; the text, as JSON if it is none; headers in the first one."""
    for number in range(2):
        client.send(RECEIVE, content, text, path)
        [received] = [client.get_next_message(RECEIVE)]
        assert received is not None
        headers = {} if number else {"headers": [[b"host", b"testserver"], [b"origin", b"http://testserver"]]}
        assert received.content == {"reply_channel": client.reply_channel, "order": number, **headers, **expected}


def test_query_is_for_connects(client: WSClient) -> None:
    """A connect has the parameters, with several values each; a frame has none."""
    parameters: list[Any] = []

    def note(message: Message) -> None:
        parameters.append(QueryDict(message["query_string"]).getlist("a") if "query_string" in message else None)

    with apply_routes(route([CONNECT, RECEIVE], note)):
        client.send_and_consume(CONNECT, path="/?a=1&a=2")
        client.send_and_consume(RECEIVE, path="/?a=1&a=2", text="x")
    assert parameters == [["1", "2"], None]


def test_events_are_in_order(stage: Stage) -> None:
    """An ordered client numbers its events, as consumers that enforce the order want; a number given is refused."""
    client = WSClient(ordered=True)
    with apply_routes(route([CONNECT, RECEIVE], enforce_ordering(lambda message: message["order"]))):
        client.send(CONNECT)
        client.send(RECEIVE, text="1")
        client.send(RECEIVE, text="2")
        assert [client.consume(channel) for channel in (CONNECT, RECEIVE, RECEIVE)] == [0, 1, 2]
    with pytest.raises(ValueError, match="leave 'order' out"):
        client.send(RECEIVE, {"order": 3})


@pytest.mark.parametrize("consumer", [nothing, reply(accept=True), reply(text="hi"), reply(accept=True, text="hi")])
def test_connect_is_checked(client: WSClient, consumer: Any) -> None:
    """A connect that lets the socket in passes, and its ``accept`` is out of the way; data are there to be received."""
    with apply_routes(route(CONNECT, consumer)):
        client.send_and_consume(CONNECT)
        received = client.receive()
        assert received in (None, "hi")
        assert client.receive() is None


def test_accept_is_received_where_it_is_not_checked(client: WSClient) -> None:
    """The reply itself is what the test wants to see."""
    with apply_routes(route(CONNECT, reply(accept=True))):
        client.send_and_consume(CONNECT, check_accept=False)
        assert client.receive() == {"accept": True}


@pytest.mark.parametrize("consumer", [reply(accept=False), reply(close=True)])
def test_refusal_fails_the_check(client: WSClient, consumer: Any) -> None:
    """With the status that the client would get, unless it is not to be checked."""
    with apply_routes(route(CONNECT, consumer)):
        with pytest.raises(AssertionError, match=r"The connect was not accepted: .* refused with 403"):
            client.send_and_consume(CONNECT)
        client.send_and_consume(CONNECT, check_accept=False)
    assert client.receive() in ({"accept": False}, {"close": True})


def test_undecided_connect_fails_the_check(client: WSClient) -> None:
    """Under 1.1.8's rule a connect has to be accepted."""
    with apply_routes(route(CONNECT, nothing)), override_settings(CHANNELS={"ACCEPT": "explicit"}):
        with pytest.raises(AssertionError, match=r'no consumer has sent {"accept": True}'):
            client.send_and_consume(CONNECT)
        client.send_and_consume(CONNECT, check_accept=False)


def test_close_is_a_reply_like_others(client: WSClient) -> None:
    """Nothing happens by itself: what a close leads to is the test's to do."""
    with apply_routes([route(RECEIVE, reply(text="bye", close=4000)), route(DISCONNECT, nothing)]):
        client.send_and_consume(RECEIVE, text="x")
        assert client.receive() == "bye"
        assert client.close_code is None
        client.send_and_consume(DISCONNECT, {"code": 4000})


def test_old_name(stage: Stage) -> None:
    """``HttpClient`` is what 1.0 called it, and does the same."""
    client = HttpClient()
    with apply_routes([route(CONNECT, nothing), route(RECEIVE, echo)]):
        client.connect("/chat/")
        client.send_json({"a": 1})
        assert client.receive_json() == {"a": 1}
        assert repr(client) == "<HttpClient at /chat/>"


def test_cookies_of_the_handshake_are_the_browsers(client: WSClient) -> None:
    """What a connect consumer sets is in the browser's jar, and what it deletes is not; neither is a message."""
    client.set_cookie("old", "1")

    def consumer(message: Message) -> None:
        message.set_cookie("theme", "dark", samesite="Lax")
        message.delete_cookie("old")

    with apply_routes([route(CONNECT, consumer)]):
        client.connect("/chat/")
    assert client.get_cookies() == {"theme": "dark"}
    assert client.receive() is None


def test_a_consumer_of_another_channel_changes_the_session(client: WSClient, stage: Stage) -> None:
    """By the copy beside the queue: it begins as the client's, and what is changed there comes with the next event."""

    @channel_session
    def work(message: Message) -> None:
        message.channel_session["seen"] = [*message.channel_session.get("seen", []), "work"]

    @channel_session
    def receive(message: Message) -> None:
        message.channel_session.setdefault("seen", ["receive"])
        Channel("work").send({"reply_channel": message["reply_channel"]})

    with apply_routes([route(CONNECT, nothing), route(RECEIVE, receive), route("work", work)]):
        client.connect("/")
        client.send_text("one")
        client.send_text("two")
    assert client.channel_session["seen"] == ["receive", "work", "work"]


def test_a_session_that_a_test_begins_is_known_elsewhere(client: WSClient, cached: None) -> None:
    """A client whose first event is no connect has its session beside the queue, too."""
    client.session["color"] = "red"
    client.session.save()
    client.set_cookie("sessionid", client.session.session_key or "")
    found: list[Any] = []

    @channel_session
    def work(message: Message) -> None:
        found.append(message.channel_session.get("color"))

    with apply_routes([route(RECEIVE, nothing), route("work", work)]):
        client.send_and_consume(RECEIVE, text="x")
        Channel("work").send({"reply_channel": client.reply_channel})
        client.consume("work")
    assert found == ["red"]
