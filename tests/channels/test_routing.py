from typing import Any

import pytest

from channels.exceptions import DenyConnection
from channels.handler import ViewConsumer
from channels.routing import Match, Route, Router, connect_consumer, include, null_consumer, route, route_class
from tests.channels.routed import MODULE, ChatConsumer, consumer_1, consumer_2, match
from tests.stand_ins import ReplyChannel, message


def test_dict_routing_matches_by_channel() -> None:
    """A dict routes channels to consumers, whatever the messages hold."""
    routing = {"http.request": consumer_1, "websocket.receive": f"{MODULE}.ws_message"}
    assert match(routing, "http.request", path="/x") == (consumer_1, {})
    assert match(routing, "websocket.receive") == (consumer_1, {})
    assert match(routing, "websocket.connect") is None


def test_first_route_wins() -> None:
    """Routes are tried in order; a filter that does not match, or has no value, lets the next one try."""
    routing = [route("chat", consumer_1, path="^/a"), route("chat", consumer_2)]
    assert match(routing, "chat", path="/a")[0] is consumer_1
    assert match(routing, "chat", path="/b")[0] is consumer_2
    assert match(routing, "chat")[0] is consumer_2
    assert match(routing, "chat", path=None)[0] is consumer_2


def test_all_filters_must_match() -> None:
    """Filters are joined by "and"."""
    routing = [route("http.request", consumer_1, path="^/poll/$", method="^POST$")]
    assert match(routing, "http.request", path="/poll/", method="POST") == (consumer_1, {})
    assert match(routing, "http.request", path="/poll/", method="GET") is None
    assert match(routing, "http.request", path="/", method="POST") is None


def test_filters_match_from_the_beginning_of_the_value() -> None:
    """A pattern is anchored at the start, with or without ``^``, and open at the end."""
    routing = [route("chat", consumer_1, path="/b")]
    assert match(routing, "chat", path="/b/c") == (consumer_1, {})
    assert match(routing, "chat", path="/a/b") is None


def test_named_groups_become_keywords() -> None:
    """Groups of all filters are captured; one that took no part is None."""
    routing = [route("chat", consumer_2, path=r"^/(?P<room>\w+)/(?P<page>\d+)?", method="^(?P<verb>[A-Z]+)")]
    assert match(routing, "chat", path="/lobby/", method="GET") == (
        consumer_2,
        {"room": "lobby", "page": None, "verb": "GET"},
    )


@pytest.mark.parametrize("pattern", [r"^/foo/(?P<n>\d+)$", rb"^/foo/(?P<n>\d+)$"])
@pytest.mark.parametrize("value", ["/foo/12", b"/foo/12", type("Text", (str,), {})("/foo/12")])
def test_text_and_bytes_match_each_other(pattern: Any, value: Any) -> None:
    """Patterns and values may each be text or bytes."""
    assert match([route("chat", consumer_2, path=pattern)], "chat", path=value) == (consumer_2, {"n": "12"})
    routing = [include([route("chat", consumer_2, path=pattern)], path=b"^/in")]
    assert match(routing, "chat", path=b"/in/foo/12") == (consumer_2, {"n": "12"})


@pytest.mark.parametrize("value", ["é".encode(), [], {}, 1.5])
def test_values_that_are_no_text_match_nothing(value: Any) -> None:
    """A value without text is no error; its route is passed over."""
    assert match([route("chat", consumer_1, path="")], "chat", path=value) is None


def test_integers_are_matched_as_text() -> None:
    """An integer is matched by its decimal digits."""
    assert match([route("chat", consumer_2, order=r"^(?P<n>\d)$")], "chat", order=4) == (consumer_2, {"n": "4"})


def test_find_returns_the_route() -> None:
    """The worker gets the route itself, with what it captured."""
    made = route("chat", consumer_1, path="^/(?P<x>.)")
    assert Router([made]).find(message("chat", {"path": "/a"})) == Match(made, {"x": "a"})
    assert Router([made]).find(message("other", {"path": "/a"})) is None


def test_class_based_route_matches_its_channels() -> None:
    """Below a prefix as well; the consumer is the class."""
    routing = [include([route_class(ChatConsumer, path="^/chat$")], path="^/v1")]
    assert match(routing, "websocket.connect", path="/v1/chat") == (ChatConsumer, {})
    assert match(routing, "websocket.receive", path="/v1/chat") == (ChatConsumer, {})
    assert match(routing, "websocket.disconnect", path="/v1/chat") is None
    assert match(routing, "websocket.connect", path="/chat") is None


# -- router ------------------------------------------------------------------------------------------------------------


def test_channels_of_a_router() -> None:
    """All channels that some route reads, also of class-based and added routes."""
    router = Router([route(["a", "b"], consumer_1), include([route_class(ChatConsumer)])])
    assert router.channels == {"a", "b", "websocket.connect", "websocket.receive"}
    router.add_route(include([route("c", consumer_1)]))
    assert "c" in router.channels
    assert router.match(message("c")) == (consumer_1, {})


def test_tried_tells_why_no_route_matched() -> None:
    """Each route of the channel has a sentence; the others are named by their channels."""
    router = Router(
        [
            route("websocket.connect", consumer_1, path="^/chat/$"),
            route("websocket.connect", consumer_1, method="^GET$"),
            route("websocket.connect", consumer_2, client="x"),
            route(["websocket.receive", "chat"], consumer_1),
            route("websocket.connect", consumer_2),
        ]
    )
    name = f"{MODULE}.consumer"
    assert router.tried(message("websocket.connect", {"path": "/caht/", "client": ["::1", 1]})) == [
        f"websocket.connect path=^/chat/$ -> {name}_1: 'path' does not match '/caht/'",
        f"websocket.connect method=^GET$ -> {name}_1: the message has no 'method'",
        f"websocket.connect client=x -> {name}_2: 'client' does not match ['::1', 1]",
        f"websocket.connect -> {name}_2: matches",
        "Other routes are for chat, websocket.receive.",
    ]


def test_tried_suggests_a_channel() -> None:
    """A message on a channel that nobody reads is told of the one that was perhaps meant."""
    router = Router([route("chat.receive", consumer_1)])
    assert router.tried(message("chat.recieve")) == ["Other routes are for chat.receive. Did you mean 'chat.receive'?"]
    assert Router([]).tried(message("chat")) == []


def test_tried_shows_neither_secrets_nor_books() -> None:
    """Values that may hold tokens are left out, and long ones cut."""
    router = Router([route("a", consumer_1, query_string="^x"), route("a", consumer_1, path="^x")])
    secret, long = router.tried(message("a", {"query_string": b"token=1", "path": "/" * 1000}))
    assert secret.endswith("'query_string' does not match")
    assert long.endswith("/…")
    assert len(long) < 300


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            route("websocket.recieve", consumer_1),
            "no interface server sends to 'websocket.recieve'. Did you mean 'websocket.receive'?",
        ),
        (
            route(["http.Request", "chat"], consumer_1),
            "no interface server sends to 'http.Request'. Did you mean 'http.request'?",
        ),
        (
            route("websocket.connect", consumer_1, pth="^/"),
            "no message on 'websocket.connect' has a 'pth'. Did you mean 'path'?",
        ),
        (route("websocket.receive", consumer_1, method="^GET"), "no message on 'websocket.receive' has a 'method'."),
        (
            route(["websocket.connect", "websocket.receive"], consumer_1, path=r"^chat/$"),
            "path='^chat/$' matches no path, since each begins with '/': write '^/chat/$'",
        ),
    ],
)
def test_suspicious_routes_are_told(made: Route, sentence: str) -> None:
    """Misspelt channels and filters of the known protocols are found."""
    assert Router([made]).suspicious() == [f"{made}: {sentence}"]


def test_ordinary_routes_are_not_suspicious() -> None:
    """Right names, and channels of one's own with any filter, pass."""
    router = Router(
        [
            route("http.request", consumer_1, path="^/", method="^GET"),
            route(["websocket.connect", "websocket.receive", "websocket.disconnect"], consumer_1, path="^/"),
            route("http.disconnect", consumer_1),
            route(["chat-messages", "chat.receive", "websocket.notes"], consumer_1, room="^lobby"),
            route("chat-messages", consumer_1, path="^lobby"),
        ]
    )
    assert router.suspicious() == []


def test_default_routes_come_last() -> None:
    """They take what no route of the user wants, also of routes that are added later."""
    router = Router([route("http.request", consumer_1, path="^/poll")])
    router.check_default(consumer_2)
    router.add_route(route("http.request", null_consumer, path="^/late"))
    assert router.channels == {"http.request", "websocket.connect", "websocket.receive", "websocket.disconnect"}
    consumers = [router.match(message("http.request", {"path": p})) for p in ("/poll", "/late", "/other")]
    assert consumers == [(consumer_1, {}), (null_consumer, {}), (consumer_2, {})]
    for channel in ("websocket.receive", "websocket.disconnect"):
        assert router.match(message(channel)) == (null_consumer, {})
    assert len(router.routes) == 2


def test_default_http_consumer_is_django() -> None:
    """Without another one, requests go to Django's views."""
    router = Router([])
    router.check_default()
    found = router.find(message("http.request"))
    assert found is not None
    assert isinstance(found.route.consumer, ViewConsumer)


def test_default_routes_are_installed_once() -> None:
    """A second call replaces what the first installed."""
    router = Router([])
    router.check_default(consumer_1)
    router.check_default(consumer_2)
    assert router.match(message("http.request")) == (consumer_2, {})
    assert len(router.default_routes) == 3


def connect(routing: Any, path: str = "/chat/", **content: Any) -> list[Any]:
    """Route a connect with the default routes; return what was sent."""
    router, channel = Router(routing), ReplyChannel()
    router.check_default(consumer_2)
    connecting = message("websocket.connect", {"path": path, **content}, channel)
    found = router.find(connecting)
    assert found is not None
    found.route.consumer(connecting, **found.kwargs)
    return [content for content, _ in channel.sent]


@pytest.mark.parametrize("channel", ["websocket.receive", "websocket.disconnect"])
@pytest.mark.parametrize("filters", [{}, {"path": "^/chat"}, {"path": "^/chat", "text": "^{"}, {"order": "1"}])
def test_connect_is_accepted_for_later_events(channel: str, filters: dict[str, Any]) -> None:
    """Where no route is for connecting, the path of a route for later events lets the socket in."""
    assert connect([route(channel, consumer_1, **filters)]) == [{"accept": True}]


@pytest.mark.parametrize(
    "routing",
    [
        [],
        [route("http.request", consumer_1)],
        [route("websocket.receive", consumer_1, path="^/other")],
        [route("websocket.connect", consumer_1, path="^/strict"), route("websocket.receive", consumer_1)],
        [route_class(ChatConsumer, path="^/strict"), route("websocket.disconnect", consumer_1, path="^/chat")],
    ],
)
def test_other_connects_are_refused(routing: Any) -> None:
    """A connect that nothing lets in is refused with 404; a looser route for receiving lets nothing in."""
    with pytest.raises(DenyConnection) as caught:
        connect(routing)
    assert caught.value.status == 404


def test_matched_connect_is_left_to_its_consumer() -> None:
    """The default decides nothing where a route matches."""
    assert connect([route("websocket.connect", consumer_1, path="^/chat")]) == []


def test_refusal_names_the_routes_that_were_tried() -> None:
    """The reason, for the log, has path and routes."""
    with pytest.raises(DenyConnection) as caught:
        connect([route("websocket.connect", consumer_1, path="^/strict")])
    assert caught.value.reason == (
        "no route for a WebSocket at '/chat/' (tried websocket.connect path=^/strict -> "
        f"{MODULE}.consumer_1: 'path' does not match '/chat/')"
    )
    with pytest.raises(DenyConnection, match=r"at '/' \(tried none\)"):
        connect([], path="/")


def test_refusal_lists_a_bounded_number_of_routes() -> None:
    """A large routing does not fill the log."""
    with pytest.raises(DenyConnection, match=r"; and 40 more\)$"):
        connect([route("websocket.receive", consumer_1, path=f"^/{n}$") for n in range(50)])


def test_connect_consumer_accepts() -> None:
    """It accepts whatever was captured, and needs a socket to accept."""
    channel = ReplyChannel()
    connect_consumer(message("websocket.connect", {}, channel), room="lobby")
    assert channel.sent == [({"accept": True}, False)]
    with pytest.raises(ValueError, match=r"'websocket\.connect' without reply channel"):
        connect_consumer(message("websocket.connect"))


def test_null_consumer_does_nothing() -> None:
    """It takes any message and keywords."""
    channel = ReplyChannel()
    null_consumer(message("websocket.receive", {}, channel), room="lobby")
    assert channel.sent == []
