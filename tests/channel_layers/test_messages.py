from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from channel_layers.exceptions import InvalidContent
from channel_layers.messages import (
    HTTP_KIND,
    WEBSOCKET_KIND,
    HttpBodyChunk,
    HttpRequest,
    HttpResponse,
    WebSocketConnect,
    WebSocketDisconnect,
    WebSocketReceive,
    WebSocketReply,
    check_effect,
    check_reply,
    check_reply_of_kind,
)

SOCKET = f"{WEBSOCKET_KIND}.p1!k1"
REQUEST = f"{HTTP_KIND}.p1!k1"
KEYS = st.sampled_from(["text", "bytes", "accept", "close", "status", "content", "x"])


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"text": "hello"},
        {"text": ""},
        {"text": mark_safe("<b>")},
        {"text": lazystr("later")},
        {"text": None, "bytes": b"x"},
        {"bytes": bytearray(b"x")},
        {"bytes": memoryview(b"x")},
        {"accept": True},
        {"accept": False, "status": 401, "headers": [], "body": b"no"},
        {"accept": True, "text": "welcome", "subprotocol": "chat"},
        {"close": True},
        {"close": False},
        {"close": None},
        {"close": 0},
        {"close": 1000, "reason": "done"},
        {"close": 1003},
        {"close": 1014},
        {"close": 3000},
        {"close": 4999},
        {"text": "bye", "close": True},
        {"close": True, "reason": None},
        {"accept": False, "status": None, "body": None},
        {"reply_channel": SOCKET, "path": "/", "order": 3, "text": "sent on"},
    ],
)
def test_replies_to_a_socket_that_are_accepted(content: dict[str, Any]) -> None:
    """Text or bytes, accept, close, and keys of received messages beside them."""
    assert check_reply(SOCKET, content) is None  # type: ignore[func-returns-value]  # that it returns is the point


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            {"txt": "hello"},
            r"a reply to a WebSocket has no key 'txt': did you mean 'text'\? Keys: accept, body, bytes",
        ),
        ({"data": 1}, "has no key 'data': put data of your own into the text, as JSON for instance"),
        ({"text": "a", "b": 1, 3: 1}, "has no key '3', 'b'"),
        ({"text": "a", "bytes": b"b"}, "has 'text' or 'bytes', not both: send two messages"),
        ({"text": b"a"}, "'text' in a reply is str or None, not bytes: b'a'; encode it first, json.dumps"),
        ({"text": {"a": 1}}, "'text' in a reply is str or None, not dict: .*json.dumps"),
        ({"text": 1}, "'text' in a reply is str or None, not int: 1"),
        ({"bytes": "a"}, "'bytes' in a reply is bytes or bytearray or memoryview or None, not str: 'a'"),
        ({"bytes": lazystr("a")}, "'bytes' in a reply is bytes or .*, not"),
        ({"accept": 1}, "'accept' in a reply is bool, not int: 1"),
        ({"accept": None}, "'accept' in a reply is bool, not NoneType"),
        ({"close": "now"}, "'close' in a reply is bool or int or None, not str: 'now'"),
        (
            {"close": 1005},
            "close code 1005 cannot be sent: use True .1000., 1000-1003, 1007-1014, or your own",
        ),
        ({"close": 1004}, "close code 1004 cannot be sent"),
        ({"close": 1006}, "close code 1006 cannot be sent"),
        ({"close": 1015}, "close code 1015 cannot be sent"),
        ({"close": 999}, "close code 999 cannot be sent"),
        ({"close": 2999}, "close code 2999 cannot be sent"),
        ({"close": 5000}, "close code 5000 cannot be sent"),
        ({"close": -1}, "close code -1 cannot be sent"),
        ({"close": True, "reason": b"done"}, "'reason' in a reply is str or None, not bytes: b'done'"),
        ({"accept": False, "status": "401"}, "'status' in a reply is int or None, not str: '401'"),
        ({"accept": False, "body": "no"}, "'body' in a reply is bytes or bytearray or memoryview or None, not str"),
    ],
)
def test_replies_to_a_socket_that_are_refused(content: dict[str, Any], sentence: str) -> None:
    """What its server could not act on is refused where it is sent, with what to do instead."""
    with pytest.raises(InvalidContent, match=sentence):
        check_reply(SOCKET, content)


@pytest.mark.parametrize(
    "content",
    [
        {"status": 200, "headers": [(b"a", b"b")], "content": b"x", "more_content": True},
        {"status": 404},
        {"status": 200, "status_text": b"OK"},
        {"content": b"chunk"},
        {"content": bytearray(b"chunk")},
        {"more_content": False},
        {"status": 999, "content": memoryview(b"")},
    ],
)
def test_replies_to_a_request_that_are_accepted(content: dict[str, Any]) -> None:
    """A response begins with its status; parts that follow have content or an end."""
    assert check_reply(REQUEST, content) is None  # type: ignore[func-returns-value]  # that it returns is the point


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"text": "hello"}, "a reply to an HTTP request has no key 'text'"),
        ({"stats": 200}, r"has no key 'stats': did you mean 'status'\?"),
        ({}, "a reply to an HTTP request begins with 'status'; nothing in this one can be sent"),
        ({"headers": []}, "begins with 'status'"),
        ({"status": "200"}, "the status of a response is a number from 100 to 999, not '200'"),
        ({"status": None}, "the status of a response is a number from 100 to 999, not None"),
        ({"status": True}, "the status of a response is a number from 100 to 999, not True"),
        ({"status": 99}, "the status of a response is a number from 100 to 999, not 99"),
        ({"status": 1000}, "the status of a response is a number from 100 to 999, not 1000"),
        ({"content": "text"}, "'content' in a reply is bytes or bytearray or memoryview, not str: 'text'"),
        ({"status": 200, "content": None}, "'content' in a reply is bytes or .*, not NoneType"),
    ],
)
def test_replies_to_a_request_that_are_refused(content: dict[str, Any], sentence: str) -> None:
    """As for sockets, each fault has its sentence."""
    with pytest.raises(InvalidContent, match=sentence):
        check_reply(REQUEST, content)


@pytest.mark.parametrize(
    "content",
    [
        {"text": ""},
        {"bytes": b""},
        {"accept": True},
        {"accept": False},
        {"close": True},
        {"close": False, "text": None},
        {"headers": []},
        {"path": "/", "text": "sent on"},
    ],
)
def test_messages_that_a_socket_can_act_on(content: dict[str, Any]) -> None:
    """An empty frame is a frame, and a ``close`` that is not meant this time was considered."""
    assert check_effect(content) is None  # type: ignore[func-returns-value]  # that it returns is the point


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({}, "without any key"),
        ({"text": None}, "with nothing but 'text'"),
        ({"path": "/", "order": 2, "code": 1000}, "with nothing but 'code', 'order', 'path'"),
        ({"reason": "bye"}, "with nothing but 'reason'"),
        ({"status": 401, "body": b"no"}, "with nothing but 'body', 'status'"),
    ],
)
def test_messages_that_come_to_nothing(content: dict[str, Any], found: str) -> None:
    """The sentence has the keys that are there, and those that there could be."""
    sentence = f"a message to a WebSocket {found} does nothing: .*'text' or 'bytes', .* Keys: accept, body, bytes"
    with pytest.raises(InvalidContent, match=sentence):
        check_effect(content)


def test_a_fault_names_its_key() -> None:
    """What counts faults tells them apart by it; a message that is wrong as a whole has none."""
    for content, key in (
        ({"txt": "hello"}, "txt"),
        ({"text": 1}, "text"),
        ({"text": "a", "bytes": b"a"}, "bytes"),
        ({"close": 5}, "close"),
    ):
        with pytest.raises(InvalidContent) as refused:
            check_reply(SOCKET, content)
        assert refused.value.key == key
    with pytest.raises(InvalidContent) as refused:
        check_effect({})
    assert refused.value.key == ""


def test_connections_of_other_protocols_are_not_judged() -> None:
    """Only the server of a kind knows what its replies look like."""
    assert check_reply("udp.send.p1!k1", {"anything": 1}) is None  # type: ignore[func-returns-value]  # as above


def test_a_long_value_is_cut_short() -> None:
    """An error shows the beginning of what was sent."""
    with pytest.raises(InvalidContent) as refused:
        check_reply(SOCKET, {"text": b"x" * 1000})
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("kind", [WEBSOCKET_KIND, HTTP_KIND])
def test_a_server_checks_group_messages_the_same_way(kind: str) -> None:
    """A group cannot know its members: the server that holds them judges by their kind."""
    with pytest.raises(InvalidContent, match="has no key 'txt'"):
        check_reply_of_kind(kind, {"txt": "hello"})
    check_reply_of_kind(WEBSOCKET_KIND, {"text": "hello"})


@pytest.mark.parametrize(
    ("kind", "received"),
    [
        (WEBSOCKET_KIND, (WebSocketConnect, WebSocketReceive, WebSocketDisconnect, WebSocketReply)),
        (HTTP_KIND, (HttpRequest, HttpBodyChunk, HttpResponse)),
    ],
)
def test_keys_of_received_messages_are_known(kind: str, received: tuple[type, ...]) -> None:
    """No key of a message of the same protocol is called unknown."""
    for message in received:
        for key in message.__annotations__:
            assert "no key" not in refusal(kind, {"status": 200, key: None})


@given(st.dictionaries(KEYS, st.none() | st.integers() | st.text() | st.binary() | st.booleans()))
def test_any_reply_is_accepted_or_refused(content: dict[str, Any]) -> None:
    """The check raises InvalidContent with a sentence about the reply, and nothing else."""
    for kind in (WEBSOCKET_KIND, HTTP_KIND):
        assert re.search("^$|reply|close code|status of a response", refusal(kind, content))


def refusal(kind: str, content: dict[str, Any]) -> str:
    """Return why a connection of ``kind`` cannot be sent ``content``; nothing if it can."""
    try:
        check_reply_of_kind(kind, content)
    except InvalidContent as error:
        return str(error)
    return ""
