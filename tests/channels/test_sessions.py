from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from channel_layers.memory import MemoryChannelLayer
from channels.lane_session import MAX_SIZE, ChannelSession
from channels.message import Message
from channels.routing import Route
from channels.sessions import channel_and_http_session, channel_session, enforce_ordering, http_session
from tests.channels.browsers import begun, cookie, nothing, setting, setting_http, stored
from tests.channels.connection import Connection
from tests.channels.workers import Bench, Socket, layer_of

CHANNEL = "websocket.send.tests!1"


def raising(message: Message) -> None:
    """Change the session and raise."""
    message.channel_session["room"] = "lobby"
    raise KeyError("nick")


class Methods:
    @channel_session
    def receive(self, message: Message) -> None:
        message.channel_session["by"] = "method"

    @channel_session
    @channel_session
    def stacked(self, message: Message) -> None:
        message.channel_session["by"] = "method"

    @channel_session
    def third(self, first: object, message: Message) -> None:
        """Have the message where nobody looks for it."""


# -- channel_session ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "consumer",
    [
        channel_session(setting("by", "function")),
        channel_session(channel_session(setting("by", "function"))),
        Methods().receive,
        Methods().stacked,
    ],
)
def test_assignments_reach_the_next_message(consumer: Callable[[Message], None]) -> None:
    """What a function or a method puts into the session is there on the connection's next message."""
    connection = Connection()
    connection.run(consumer)
    assert connection.run(channel_session(nothing)).channel_session["by"] in ("function", "method")


def test_async_consumer_has_the_same_session() -> None:
    """Consumers of both kinds share a connection's session."""

    @channel_session
    async def count(message: Message) -> None:
        message.channel_session["count"] = await message.channel_session.aget("count", 0) + 1

    connection = Connection()
    connection.run(count)
    connection.run(count)
    assert connection.run(channel_session(nothing)).channel_session["count"] == 2


def test_message_elsewhere_is_an_error() -> None:
    """A message as third argument is not found."""
    with pytest.raises(ValueError, match=r"Methods\.third was called without a Message"):
        Methods().third("first", Connection().message())


def test_guide_example_works() -> None:
    """A room that is chosen from the path at connect is known on every later message."""
    seen = []

    @channel_session
    def ws_connect(message: Message) -> None:
        message.channel_session["room"] = message.content["path"].strip("/")

    @channel_session
    def ws_message(message: Message) -> None:
        seen.append(message.channel_session["room"])

    connection = Connection()
    connection.run(ws_connect, "websocket.connect", path="/lobby/")
    connection.run(ws_message)
    connection.run(ws_message, "websocket.disconnect")
    assert seen == ["lobby", "lobby"]


def test_session_travels_from_worker_to_worker() -> None:
    """What a worker has changed returns with the end of the event, and another one gets it with the next."""
    seen = []
    layer = layer_of(
        Route("websocket.connect", channel_session(setting("room", "lobby"))),
        Route("websocket.receive", channel_session(lambda m: seen.append(m.channel_session["room"]))),
    )
    socket = Socket(layer)
    Bench(layer).run(socket.event({}, channel="websocket.connect"))
    (connected,) = socket.received()
    Bench(layer).run(socket.event({}, {}, session=connected.session))
    (received,) = socket.received()
    assert seen == ["lobby", "lobby"]
    assert received.session is None


def test_untouched_session_stays_where_it_is() -> None:
    """A consumer that does not use the session neither reads it nor sends it back."""
    connection = Connection(session=b"whatever it is")
    message = connection.run(channel_session(nothing))
    assert isinstance(message.channel_session, ChannelSession)
    assert not message.channel_session.accessed
    assert message.lane is not None
    assert (message.lane.session, message.lane.changed) == (b"whatever it is", False)


def test_changes_are_saved_when_the_consumer_raises() -> None:
    """An exception goes on, and what was put into the session before it stays."""
    connection = Connection()
    with pytest.raises(KeyError, match="nick"):
        connection.run(channel_session(raising))
    assert connection.run(channel_session(nothing)).channel_session["room"] == "lobby"


def test_session_that_cannot_be_saved_does_not_hide_the_exception() -> None:
    """If a consumer raises and has made its session too large, the log shows both."""

    @channel_session
    def consumer(message: Message) -> None:
        message.channel_session["history"] = "x" * MAX_SIZE
        raise KeyError("nick")

    with pytest.raises(ValueError, match="'history'") as caught:
        Connection().run(consumer)
    assert isinstance(caught.value.__context__, KeyError)


def test_messages_of_one_batch_see_each_other() -> None:
    """Messages that one worker takes together share the lane, so each sees what those before it have changed."""
    connection = Connection()
    first, second = connection.message(), connection.message()
    second.lane = first.lane
    channel_session(setting("room", "lobby"))(first)
    channel_session(nothing)(second)
    assert second.channel_session["room"] == "lobby"


def test_sessions_of_two_connections_are_apart() -> None:
    """A session that was returned for another connection is not read."""
    one = Connection(CHANNEL)
    one.run(channel_session(setting("secret", 1)))
    other = Connection("websocket.send.tests!2", session=one.session)
    assert dict(other.run(channel_session(nothing)).channel_session.items()) == {}


@pytest.mark.parametrize("decorator", [channel_session, enforce_ordering, channel_and_http_session])
def test_message_without_reply_channel_is_an_error(decorator: Any) -> None:
    """Without a reply channel there is no connection to have a session."""
    with pytest.raises(ValueError, match=r"'websocket\.receive' has no reply channel"):
        Connection().run(decorator(nothing), reply_channel=None)


def test_method_with_message_without_reply_channel_is_an_error() -> None:
    """Methods get the same error."""
    message = Connection().message(reply_channel="")
    with pytest.raises(ValueError, match="no reply channel"):
        Methods().receive(message)


def test_message_from_elsewhere_needs_a_layer_that_keeps_sessions() -> None:
    """A message that was sent on to another channel came without the session; where nobody has it that is said."""
    layer = MemoryChannelLayer()
    layer.extensions = ["groups", "flush"]  # type: ignore[misc]  # as a layer of a third party may have them
    message = Message({"reply_channel": CHANNEL}, "chat-messages", layer)
    with pytest.raises(ValueError, match="chat-messages") as caught:
        channel_session(nothing)(message)
    assert all(word in str(caught.value) for word in (CHANNEL, "CHANNEL_SESSION_ENGINE", "in the message"))


# -- http_session ------------------------------------------------------------------------------------------------------


def test_session_is_found_by_cookie(engine: str) -> None:
    """A stacked http_session finds the session of the cookie and saves what is changed."""
    session = begun(color="red")
    message = Connection().run(http_session(http_session(setting_http("shape", "round"))), **cookie(session))
    assert message.http_session is not None
    assert message.http_session.session_key == session.session_key
    assert stored(session.session_key) == {"color": "red", "shape": "round"}


def test_headers_may_be_those_of_2016(cached: None) -> None:
    """The cookie is found in a dict of headers too."""
    session = begun(color="red")
    headers = {"cookie": f"sessionid={session.session_key}".encode()}
    assert Connection().run(http_session(nothing), headers=headers).http_session is not None


@pytest.mark.parametrize("encode", [str, str.encode])
def test_parameter_goes_before_cookie(encode: Callable[[str], str | bytes], cached: None) -> None:
    """The GET parameter names the session, also where a cookie names another."""
    session, other = begun(by="parameter"), begun(by="cookie")
    query = encode(f"x=1&session_key={session.session_key}")
    message = Connection().run(http_session(nothing), query_string=query, **cookie(other))
    assert message.http_session is not None
    assert message.http_session["by"] == "parameter"


def test_empty_parameter_leaves_the_cookie(cached: None) -> None:
    """An empty parameter names nothing."""
    message = Connection().run(http_session(nothing), query_string="session_key=", **cookie(begun(by="cookie")))
    assert message.http_session is not None
    assert message.http_session["by"] == "cookie"


@pytest.mark.parametrize(
    "content",
    [{}, {"headers": []}, {"query_string": "session_key=short"}, {"query_string": "session_key=%00" + "a" * 32}],
)
def test_no_key_is_no_session(content: dict[str, Any], cached: None) -> None:
    """Without a key, as on all messages but the first, and with one that cannot be one, there is no session."""
    assert Connection().run(http_session(nothing), **content).http_session is None


@pytest.mark.parametrize(
    "content",
    [{"path": 5, "headers": []}, {"query_string": b"session_key=\xff"}, {"headers": [b"cookie"]}, {"headers": 7}],
)
def test_message_unlike_a_request_is_an_error(content: dict[str, Any]) -> None:
    """What cannot be read as a request is refused, with the channel and the fault."""
    with pytest.raises(ValueError, match=r"'websocket\.receive' is not like an HTTP request"):
        Connection().run(http_session(nothing), **content)


def test_message_without_path_is_an_error() -> None:
    """A message of one's own has no HTTP session."""
    with pytest.raises(ValueError, match="KeyError: 'path'"):
        http_session(nothing)(Message({"text": ""}, "chat-messages", Connection().layer))


def test_untouched_http_session_is_not_read(cached: None) -> None:
    """Nothing is asked of the engine before the session is used."""
    message = Connection().run(http_session(nothing), **cookie(begun()))
    assert message.http_session is not None
    assert not message.http_session.accessed


@pytest.mark.parametrize("stacked", [False, True])
def test_changes_are_not_saved_when_the_consumer_raises(stacked: bool, cached: None) -> None:
    """What a consumer has done to the browser's session before it raised is forgotten."""

    @http_session
    def consumer(message: Message) -> None:
        setting_http("shape", "round")(message)
        raise KeyError("nick")

    session = begun(color="red")
    with pytest.raises(KeyError):
        Connection().run(http_session(consumer) if stacked else consumer, **cookie(session))
    assert stored(session.session_key) == {"color": "red"}


def test_async_consumer_changes_the_http_session(cached: None) -> None:
    """An async def consumer reads and changes it with Django's coroutines; it is saved if it returns."""

    @http_session
    async def change(message: Message) -> None:
        assert message.http_session is not None
        await message.http_session.aset("shape", await message.http_session.aget("color"))
        if message.get("text") == "raise":
            raise KeyError("nick")

    session = begun(color="red")
    with pytest.raises(KeyError):
        Connection().run(change, text="raise", **cookie(session))
    assert stored(session.session_key) == {"color": "red"}
    Connection().run(change, **cookie(session))
    assert stored(session.session_key) == {"color": "red", "shape": "red"}


# -- channel_and_http_session ------------------------------------------------------------------------------------------


def test_later_messages_have_the_http_session(engine: str) -> None:
    """The key is kept in the channel session; a message without cookie gets the session of that key."""
    session, connection = begun(color="red"), Connection()
    consumer = channel_and_http_session(nothing)
    first = connection.run(consumer, "websocket.connect", **cookie(session))
    assert first.channel_session[settings.SESSION_COOKIE_NAME] == session.session_key
    for message in (connection.run(consumer), connection.run(consumer)):
        assert message.http_session is not None
        assert message.http_session.session_key == session.session_key
        assert message.http_session["color"] == "red"
        assert message.lane is not None
        assert not message.lane.changed


def test_changes_on_later_messages_are_saved(cached: None) -> None:
    """A session that was found by the kept key is saved like one that came with a cookie."""
    session, connection = begun(color="red"), Connection()
    connection.run(channel_and_http_session(nothing), "websocket.connect", **cookie(session))
    connection.run(channel_and_http_session(setting_http("shape", "round")))
    assert stored(session.session_key) == {"color": "red", "shape": "round"}


def test_async_consumer_has_both_sessions(cached: None, cached_channel_sessions: None) -> None:
    """The key is kept and found for async def consumers as well, also where an engine has the channel session."""

    @channel_and_http_session
    async def consumer(message: Message) -> None:
        assert message.http_session is not None
        message["color"] = await message.http_session.aget("color")

    session, connection = begun(color="red"), Connection()
    connection.run(consumer, "websocket.connect", **cookie(session))
    assert connection.run(consumer)["color"] == "red"


def test_connection_without_http_session_has_none_later() -> None:
    """Where no key came with the first message there is none to keep."""
    connection = Connection()
    connection.run(channel_and_http_session(nothing), "websocket.connect")
    assert connection.run(channel_and_http_session(nothing)).http_session is None
    assert connection.session is None


def test_key_that_is_kept_is_not_replaced(cached: None) -> None:
    """The first session of a connection stays the one that later messages get."""
    first, second, connection = begun(n=1), begun(n=2), Connection()
    connection.run(channel_and_http_session(nothing), **cookie(first))
    connection.run(channel_and_http_session(nothing), **cookie(second))
    message = connection.run(channel_and_http_session(nothing))
    assert message.http_session is not None
    assert message.http_session["n"] == 1


def test_key_of_a_session_that_is_gone_is_not_kept(cached: None) -> None:
    """A session that turned out not to exist before its key was kept leaves no key."""

    @http_session
    def consumer(message: Message) -> None:
        assert message.http_session is not None
        message.http_session.get("color")
        channel_and_http_session(nothing)(message)

    connection = Connection()
    connection.run(consumer, query_string="session_key=" + "a" * 32)
    assert connection.session is None


# -- enforce_ordering --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decorator", [enforce_ordering, enforce_ordering(), enforce_ordering(slight=True), enforce_ordering(slight=False)]
)
def test_events_of_a_connection_run_in_order(decorator: Callable[[Any], Any]) -> None:
    """With or without arguments it runs each event where it is, and gives it the channel session."""
    orders: list[int] = []

    def consumer(message: Message) -> None:
        """Note the order."""
        orders.append(message["order"])
        message.channel_session["last"] = message["order"]

    decorated, connection = decorator(consumer), Connection()
    for _ in range(3):
        connection.run(decorated)
    assert orders == [0, 1, 2]
    assert connection.run(channel_session(nothing)).channel_session["last"] == 2
    assert decorated.__doc__ == "Note the order."


def test_async_events_run_in_order() -> None:
    """It decorates async def consumers too."""
    orders: list[int] = []

    @enforce_ordering(slight=True)
    async def consumer(message: Message) -> None:
        orders.append(message["order"])

    connection = Connection()
    connection.run(consumer)
    connection.run(consumer)
    assert orders == [0, 1]


def test_message_without_order_is_an_error() -> None:
    """A message that has no place in an order is refused."""
    message = Connection().message()
    del message.content["order"]
    with pytest.raises(ValueError, match=r"'websocket\.receive' has no 'order'"):
        enforce_ordering(nothing)(message)
