"""Clients of any protocol, one step after another."""

from typing import Any

import pytest

from channels import Channel, Group, route
from channels.handler import AsgiHandler
from channels.message import Message
from channels.sessions import channel_session
from channels.test import Client, HttpClient, Stage, WSClient, apply_routes


@pytest.fixture
def plain(stage: Stage) -> Client:
    """A client of no protocol in particular."""
    return Client()


def answer(message: Message, **kwargs: Any) -> str:
    """Answer, and return something."""
    assert message.reply_channel is not None
    message.reply_channel.send({"answer": message["n"]})
    return f"answered {message['n']}"


@channel_session
def count(message: Message) -> int:
    """Count the messages of a connection."""
    message.channel_session["count"] = message.channel_session.get("count", 0) + 1
    total: int = message.channel_session["count"]
    return total


# -- sending and consuming ---------------------------------------------------------------------------------------------


def test_message_is_sent_consumed_and_answered(plain: Client) -> None:
    """With the reply channel in it; ``consume`` gives what the consumer returned."""
    with apply_routes(route("ask", answer)):
        plain.send("ask", {"n": 1})
        assert plain.receive() is None
        assert plain.consume("ask") == "answered 1"
        assert plain.receive() == {"answer": 1}
        assert plain.receive() is None
        assert plain.send_and_consume("ask", {"n": 2}) == "answered 2"


def test_content_is_copied(plain: Client) -> None:
    """What is changed in the dict afterwards does not travel."""
    content = {"n": 1}
    with apply_routes(route("ask", answer)):
        plain.send("ask", content)
        content["n"] = 2
        assert plain.consume("ask") == "answered 1"
    assert "reply_channel" not in content


def test_messages_of_anybody_are_consumed(plain: Client) -> None:
    """Those that consumers and the test send too, and those of other clients, in order."""
    with apply_routes(route("work", lambda message: message["n"])):
        Channel("work").send({"n": 1})
        Client().send("work", {"n": 2})
        assert [plain.consume("work"), plain.consume("work")] == [1, 2]


def test_session_passes_from_event_to_event(plain: Client) -> None:
    """What one consumer left in the channel session, the next one finds, also where both events were sent before."""
    with apply_routes(route(["a", "b"], count)):
        plain.send("a")
        plain.send("b")
        assert (plain.consume("a"), plain.consume("b")) == (1, 2)
        assert Client().send_and_consume("a") == 1


def test_taken_message_lets_the_next_one_leave(plain: Client) -> None:
    """A message that the test takes for itself counts as handled."""
    plain.send("a", {"n": 1})
    plain.send("b", {"n": 2})
    first, second = plain.get_next_message("a"), plain.get_next_message("b")
    assert first is not None
    assert second is not None
    assert (first["n"], second["n"]) == (1, 2)
    assert first.reply_channel is not None
    assert first.reply_channel.name == plain.reply_channel
    assert first.lane is not None
    assert plain.get_next_message("a") is None


def test_value_that_cannot_travel_is_refused(plain: Client) -> None:
    """With its path, as by any send."""
    with pytest.raises(TypeError, match="sizes"):
        plain.send("a", {"sizes": {1, 2}})


# -- what is missing ---------------------------------------------------------------------------------------------------


def test_nothing_to_consume_is_told(plain: Client) -> None:
    """With the likely name, and what waits elsewhere; or ``None`` is returned."""
    with apply_routes(route("thumbnails", print)):
        Channel("thumbnails").send({})
        with pytest.raises(AssertionError, match=r"'thumbnail'\. Did you mean 'thumbnails'\? .* 1 on 'thumbnails'"):
            plain.consume("thumbnail")
        assert plain.consume("thumbnail", fail_on_none=False) is None


def test_event_that_comes_first_is_told(plain: Client) -> None:
    """An event leaves when the one before is done, so that one has to be consumed before."""
    plain.send("a")
    plain.send("b")
    with pytest.raises(AssertionError, match=r"an event of this client on 'a' comes first.*Call consume\('a'\) before"):
        plain.consume("b")


def test_message_without_consumer_is_told(plain: Client) -> None:
    """With the routes; or ``None`` is returned."""
    with apply_routes(route("b", print, n="^1$")):
        for channel in ("a", "b"):
            with pytest.raises(AssertionError, match=f"No consumer for a message on '{channel}'"):
                plain.send_and_consume(channel, {"n": 2})
            assert plain.send_and_consume(channel, {"n": 2}, fail_on_none=False) is None


def test_consumer_of_a_channel_is_found(plain: Client) -> None:
    """Whatever the filters; a channel without one is told."""
    with apply_routes(route("ask", answer, n="^1$")):
        assert plain.get_consumer_by_channel("ask") is answer
        with pytest.raises(AssertionError, match=r"No route is for 'asks'\. Did you mean 'ask'\?"):
            plain.get_consumer_by_channel("asks")


# -- reply channels and groups -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "event", "prefix"),
    [
        (Client, "", "test.client."),
        (Client, "sms.received", "test.client."),
        (Client, "websocket.receive", "websocket.send."),
        (Client, "http.request", "http.response."),
        (WSClient, "", "websocket.send."),
        (WSClient, "chat-messages", "websocket.send."),
        (HttpClient, "http.request", "http.response."),
        (HttpClient, "websocket.connect", "websocket.send."),
    ],
)
def test_reply_channel_is_of_the_protocol(stage: Stage, kind: type[Client], event: str, prefix: str) -> None:
    """As the first event tells, so that replies are checked as by an interface server."""
    client = kind()
    if event:
        client.send(event)
    assert client.reply_channel.startswith(prefix)
    assert client.reply_channel == client.reply_channel
    assert client.reply_channel in repr(client) or kind is not Client


def test_group_messages_are_received(plain: Client) -> None:
    """By a client that joined, in order with what is sent to it alone."""
    plain.join_group("all")
    Group("all").send({"text": "1"})
    Channel(plain.reply_channel).send({"text": "2"})
    Group("others").send({"text": "3"})
    assert [plain.receive(), plain.receive(), plain.receive()] == [{"text": "1"}, {"text": "2"}, None]


def test_request_is_answered(stage: Stage) -> None:
    """A consumer of requests, Django's views for one, answers an HTTP client."""
    client = HttpClient()
    client.send_and_consume("http.request", {"method": "GET"}, path="/hello/")
    response = client.receive()
    assert (response["status"], response["content"]) == (200, b"Hello")


def test_request_is_answered_later(stage: Stage) -> None:
    """Somebody else may answer, who knows the reply channel."""
    from django.http import HttpResponse  # as the guide has it

    client = HttpClient()
    client.send("http.request", {"method": "GET"})
    client.join_group("waiting")
    for reply in AsgiHandler.encode_response(HttpResponse("late")):
        Group("waiting").send(reply)
    assert client.receive()["content"] == b"late"
