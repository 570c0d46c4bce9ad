"""Server-sent events: what an event looks like, and what a view's stream does with requests of each kind."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.test import RequestFactory, override_settings
from django.urls import path
from django.utils.safestring import mark_safe
from hypothesis import given, settings
from hypothesis import strategies as st

from channels import Group, route
from channels.handler import ViewConsumer
from channels.sse import END, EventStream, event, last_event_id
from channels.test import Client, Stage, apply_routes


def written(message: dict[str, Any]) -> str:
    """Return an event as it is written, and see that the stream goes on behind it."""
    assert message["more_content"]
    return bytes(message["content"]).decode()


def stream(request: HttpRequest) -> HttpResponseBase:
    """A stream that begins with what was missed."""
    last = int(last_event_id(request) or 3)
    return EventStream(request, ["news"], (event(f"news {number}", id=number) for number in range(last + 1, 4)))


def shy(request: HttpRequest) -> HttpResponseBase:
    """A stream with headers of its own, which follows two groups."""
    headers = {"Cache-Control": "no-store", "X-Own": "1"}
    return EventStream(request, ("news", "weather"), retry=500, headers=headers)


urlpatterns = [path("stream/", stream), path("shy/", shy)]


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    """A client whose requests are answered by the views here."""
    with override_settings(ROOT_URLCONF=__name__), apply_routes(route("http.request", ViewConsumer())):
        yield Client()


def ask(client: Client, path: str = "/stream/", method: str = "GET", **headers: str) -> dict[str, Any]:
    """Send a request, and return the first message of the response with its headers as a dict."""
    pairs = [(b"host", b"testserver"), *((key.replace("_", "-").encode(), headers[key].encode()) for key in headers)]
    client.send_and_consume("http.request", {"method": method, "path": path, "headers": pairs})
    reply: dict[str, Any] = client.receive()
    return {**reply, "headers": {name.decode().lower(): value.decode() for name, value in reply["headers"]}}


# -- events ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (event("hello"), "data: hello\n\n"),
        (event("", id=0), "id: 0\ndata: \n\n"),
        (event("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (event("größe", id=7, name="size"), "id: 7\nevent: size\ndata: größe\n\n"),
        (event({"a": [1, None]}), 'data: {"a": [1, null]}\n\n'),
        (event(datetime.date(2020, 1, 2)), 'data: "2020-01-02"\n\n'),
        (event(mark_safe("<b>"), id="x y"), "id: x y\ndata: <b>\n\n"),
    ],
)
def test_an_event_is_text_or_json(message: dict[str, Any], text: str) -> None:
    """Each line of it in a field of its own."""
    assert written(message) == text


@pytest.mark.parametrize("field", ["id", "name"])
@pytest.mark.parametrize("text", ["a\nb", "a\rdata: b", "a\0"])
def test_a_field_is_one_line(field: str, text: str) -> None:
    """More would be a field that somebody else has written."""
    with pytest.raises(ValueError, match=f"^the {field} of an event is on one line and without NUL, not "):
        event("x", **{field: text})


@settings(deadline=None)
@given(st.text())
def test_any_text_arrives(text: str) -> None:
    """As the standard puts it together again, line by line; only the kinds of line breaks become one."""
    try:
        lines = written(event(text)).removesuffix("\n\n").split("\n")
    except UnicodeEncodeError:
        return  # surrogates are no text
    assert all(line.startswith("data: ") for line in lines)
    assert "\n".join(line[6:] for line in lines) == text.replace("\r\n", "\n").replace("\r", "\n")


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_is_open(client: Client) -> None:
    """It begins at once, nothing in between keeps it, and what is sent to the group comes behind."""
    reply = ask(client)
    assert (reply["status"], reply["content"], reply["more_content"]) == (200, b":\n\n", True)
    assert reply["headers"]["content-type"] == "text/event-stream; charset=utf-8"
    assert reply["headers"]["cache-control"] == "no-cache"
    assert reply["headers"]["x-accel-buffering"] == "no"
    assert client.receive() is None
    Group("news").send(event("more", id=4))
    Group("news").send(END)
    assert client.receive() == event("more", id=4)
    assert client.receive() == END


def test_a_page_that_comes_back_has_what_it_missed(client: Client) -> None:
    """Before anything else."""
    ask(client, last_event_id="1")
    Group("news").send(event("news 4", id=4))
    assert [written(client.receive()) for _ in range(3)] == [
        "id: 2\ndata: news 2\n\n",
        "id: 3\ndata: news 3\n\n",
        "id: 4\ndata: news 4\n\n",
    ]


def test_nothing_falls_between_what_was_missed_and_what_comes(client: Client) -> None:
    """The client is in the group before the view looks."""

    def missed() -> Iterator[dict[str, Any]]:
        Group("news").send(event("meanwhile"), immediately=True)
        yield event("missed")

    def view(request: HttpRequest) -> HttpResponseBase:
        return EventStream(request, "news", missed())

    with override_settings(ROOT_URLCONF=type("Urls", (), {"urlpatterns": [path("stream/", view)]})):
        ask(client)
    assert {written(client.receive()), written(client.receive())} == {"data: meanwhile\n\n", "data: missed\n\n"}


def test_headers_and_groups_may_be_others(client: Client) -> None:
    """Those of the view go before."""
    reply = ask(client, "/shy/")
    assert reply["content"] == b"retry: 500\n\n"
    assert (reply["headers"]["cache-control"], reply["headers"]["x-own"]) == ("no-store", "1")
    Group("news").send(event("n"))
    Group("weather").send(event("w"))
    assert [written(client.receive()) for _ in range(2)] == ["data: n\n\n", "data: w\n\n"]


def test_middleware_leaves_it_alone(client: Client) -> None:
    """Nobody could compress what follows."""
    middleware = ["django.middleware.gzip.GZipMiddleware", "django.middleware.http.ConditionalGetMiddleware"]
    with override_settings(MIDDLEWARE=middleware):
        reply = ask(client, accept_encoding="gzip")
    assert reply["content"] == b":\n\n"
    assert "content-encoding" not in reply["headers"]
    assert "etag" not in reply["headers"]


def test_head_is_not_open(client: Client) -> None:
    """There is nothing to wait for, and nobody joins."""
    reply = ask(client, method="HEAD")
    assert (reply["status"], reply["content"], reply["more_content"]) == (200, b"", False)
    assert Group("news").channels() == []


def test_the_last_id_is_text() -> None:
    """Whatever a browser sends; none is an empty text."""
    requests = RequestFactory()
    assert last_event_id(requests.get("/")) == ""
    assert last_event_id(requests.get("/", HTTP_LAST_EVENT_ID="gr\xc3\xb6\xc3\x9fe")) == "größe"
    assert last_event_id(requests.get("/", HTTP_LAST_EVENT_ID="\xff")) == "\ufffd"


def test_a_stream_needs_an_interface_server() -> None:
    """Under another server the error says so."""
    with pytest.raises(ImproperlyConfigured, match=r"^/stream/ is answered by a stream of events, .* by WSGIRequest"):
        stream(RequestFactory().get("/stream/"))
