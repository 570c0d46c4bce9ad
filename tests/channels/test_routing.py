import functools
import re
import sys
from types import ModuleType
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from channels.exceptions import DenyConnection
from channels.handler import ViewConsumer
from channels.routing import (
    Include,
    Match,
    Route,
    RouteClass,
    Router,
    connect_consumer,
    include,
    name_of,
    null_consumer,
    route,
    route_class,
)
from tests.stand_ins import ReplyChannel, message

MODULE = "tests.channels.routing_project"


def consumer_1(message: Any) -> None:
    """Take no keywords."""


def consumer_2(message: Any, **kwargs: Any) -> None:
    """Take any keywords."""


class ChatConsumer:
    """Class-based, as the generic consumers are."""

    def __init__(self, message: Any, **kwargs: Any) -> None: ...

    @classmethod
    def channel_names(cls) -> set[str]:
        return {"websocket.receive", "websocket.connect"}

    def method(self, message: Any) -> None: ...


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that dotted paths lead to."""
    module = ModuleType(MODULE)
    module.__dict__.update(
        ws_message=consumer_1,
        ChatConsumer=ChatConsumer,
        number=3,
        chat=[route("websocket.receive", consumer_2, path=r"^/(?P<room>\w+)/$")],
        by_channel={"websocket.receive": consumer_1},
    )
    monkeypatch.setitem(sys.modules, MODULE, module)
    return module


def match(routing: Any, channel: str, **content: Any) -> Any:
    """Route a message with ``content``."""
    return Router(routing).match(message(channel, content))


# -- routes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ("chat", ("chat",)),
        (b"chat", ("chat",)),
        (["chat", b"websocket.receive"], ("chat", "websocket.receive")),
        (("chat",), ("chat",)),
        ("requests?f00", ("requests?f00",)),
    ],
)
def test_channels_of_a_route(channels: Any, expected: tuple[str, ...]) -> None:
    """A route reads one channel or several, named in text or bytes."""
    assert route(channels, consumer_1).channels == expected


@pytest.mark.parametrize("name", ["", "chat room", "é", "é".encode(), "a!b", "x" * 100, 3, None])
def test_invalid_channel_names_are_refused(name: Any) -> None:
    """A name that no message could be sent to is an error when the route is made."""
    with pytest.raises((TypeError, ValueError)):
        route([name], consumer_1)


def test_route_without_channels_is_refused() -> None:
    """An empty list of channels is an error that says so."""
    with pytest.raises(ValueError, match="this list is empty"):
        route([], consumer_1)


@pytest.mark.parametrize("consumer", [None, 3, f"{MODULE}.number"])
def test_consumer_must_be_callable(consumer: Any) -> None:
    """What cannot be called is an error that shows it."""
    with pytest.raises(TypeError, match=re.escape(f"a consumer is a callable or its dotted path, not {consumer!r}")):
        route("chat", consumer)


def test_consumer_may_be_a_dotted_path() -> None:
    """A dotted path is resolved when the route is made."""
    assert route("chat", f"{MODULE}.ws_message").consumer is consumer_1


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("ws_message", "a dotted path is 'package.module.name'"),
        ("", "a dotted path is 'package.module.name'"),
        ("no_such_package.consumers.ws_message", "ModuleNotFoundError: No module named 'no_such_package'"),
        (f"{MODULE}.ws_mesage", f"module {MODULE!r} has no 'ws_mesage'. Did you mean 'ws_message'?"),
        (f"{MODULE}.zzz", f"module {MODULE!r} has no 'zzz'."),
    ],
)
def test_import_errors_are_explained(path: str, fault: str) -> None:
    """What cannot be imported is named, with what failed and a suggestion."""
    for make in (lambda: route("chat", path), lambda: include(path)):
        with pytest.raises(ImproperlyConfigured) as caught:
            make()
        assert str(caught.value) == f"cannot import {path!r}: {fault}"


def test_two_filters_cannot_share_a_group() -> None:
    """A group name in two filters of one route would be one keyword for two values."""
    with pytest.raises(ValueError, match="two filters name a group 'x'"):
        route("http.request", consumer_1, path="^/(?P<x>a)", method="^(?P<x>GET)")


def test_unnamed_groups_are_refused() -> None:
    """Filters take named groups only."""
    with pytest.raises(ValueError, match="unnamed groups"):
        route("http.request", consumer_1, path=r"^/chat/([a-z]+)/$")


def test_ordered_belongs_to_the_route() -> None:
    """Routes are ordered unless they say otherwise, also below a prefix."""
    assert route("chat", consumer_1).ordered
    unordered = route("websocket.receive", consumer_1, ordered=False)
    assert not unordered.ordered
    assert not include([unordered], path="^/chat").routes[0].ordered
    assert not route_class(ChatConsumer, ordered=False).ordered


def test_names_of_2016() -> None:
    """The short names are the classes."""
    assert (route, route_class, include) == (Route, RouteClass, Include)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (route("websocket.receive", consumer_1, path="^/chat/$"), "websocket.receive path=^/chat/$ -> {}consumer_1"),
        (route(["a", "b"], consumer_2), "a/b -> {}consumer_2"),
        (route_class(ChatConsumer), "websocket.connect/websocket.receive -> {}ChatConsumer"),
    ],
)
def test_text_of_a_route(made: Route, text: str) -> None:
    """A route reads as channels, filters and consumer."""
    assert str(made) == text.format(f"{__name__}.")
    assert repr(made) == f"<{type(made).__name__} {made}>"


@pytest.mark.parametrize(
    ("consumer", "name"),
    [
        (consumer_1, "consumer_1"),
        (ChatConsumer, "ChatConsumer"),
        (ChatConsumer.method, "ChatConsumer.method"),
        (ChatConsumer(None).method, "ChatConsumer.method"),
        (ChatConsumer(None), "ChatConsumer"),
        (functools.partial(consumer_1, None), "consumer_1"),
    ],
)
def test_name_of(consumer: object, name: str) -> None:
    """Functions, methods and classes have a dotted path; objects go by their class."""
    assert name_of(consumer) == f"{__name__}.{name}"


def test_name_is_that_of_the_consumer() -> None:
    """A route is named for its consumer."""
    assert route("chat", consumer_1).name == f"{__name__}.consumer_1"


def test_class_based_route_reads_the_channels_of_its_class() -> None:
    """route_class() asks the class, or what a dotted path leads to, for its channels."""
    for made in (route_class(ChatConsumer), route_class(f"{MODULE}.ChatConsumer")):
        assert made.channels == ("websocket.connect", "websocket.receive")
        assert made.consumer is ChatConsumer


@pytest.mark.parametrize("consumer", [consumer_1, f"{MODULE}.ws_message"])
def test_class_based_route_needs_channel_names(consumer: Any) -> None:
    """A plain function is an error that names it."""
    with pytest.raises(ValueError, match=r"consumer_1 has no channel_names\(\)"):
        route_class(consumer)


# -- matching ----------------------------------------------------------------------------------------------------------


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


# -- includes ----------------------------------------------------------------------------------------------------------


def test_guide_routing() -> None:
    """The example of the guide routes as the guide says."""
    http_routing = [route("http.request", consumer_1, path=r"^/poll/$", method=r"^POST$")]
    chat_routing = [
        route("websocket.connect", consumer_2, path=r"^/(?P<room>[a-zA-Z0-9_]+)/$"),
        route("websocket.disconnect", consumer_1),
    ]
    router = Router([include(chat_routing, path=r"^/chat"), include(http_routing)])
    assert [r.filters["path"].pattern for r in router.routes] == [
        r"^/chat/(?P<room>[a-zA-Z0-9_]+)/$",
        r"^/chat",
        r"^/poll/$",
    ]
    connect = message("websocket.connect", {"path": "/chat/django/"})
    assert router.match(connect) == (consumer_2, {"room": "django"})
    assert router.match(message("websocket.disconnect", {"path": "/chat/django/"})) == (consumer_1, {})
    assert router.match(message("http.request", {"path": "/poll/", "method": "POST"})) == (consumer_1, {})


def test_prefix_with_a_group() -> None:
    """Groups of prefix and route are both captured; the bare inner path does not match any more."""
    routing = [include(f"{MODULE}.chat", path=r"^/(?P<site>\w+)")]
    assert match(routing, "websocket.receive", path="/a/lobby/") == (consumer_2, {"site": "a", "room": "lobby"})
    assert match(routing, "websocket.receive", path="/lobby/") is None


@pytest.mark.parametrize("routing", [f"{MODULE}.by_channel", {"websocket.receive": consumer_1}, ()])
def test_kinds_of_routing(routing: Any) -> None:
    """Dotted paths, dicts and tuples can be included, with and without prefix."""
    assert len(include(routing).routes) == len(include(routing, path="^/x").routes) == bool(routing)


def test_nested_includes_combine_from_the_inside() -> None:
    """Prefixes are put in front one after the other, the outermost last."""
    inner = include([route("chat", consumer_1, path="^/c$"), route("chat", consumer_2)], path="^/b")
    routes = include([inner], path="^/a", method="^GET$").routes
    assert [r.filters["path"].pattern for r in routes] == ["^/a/b/c$", "^/a/b"]
    assert [r.filters["method"].pattern for r in routes] == ["^GET$", "^GET$"]


def test_prefix_of_another_key_passes_filters_through() -> None:
    """Filters that the include does not mention stay as they are."""
    made = include([route("chat", consumer_1, path="/anywhere")], method="GET").routes[0]
    assert {key: pattern.pattern for key, pattern in made.filters.items()} == {"path": "/anywhere", "method": "GET"}


def test_without_anchor_nothing_combines() -> None:
    """A pattern without ``^`` is fine alone and an error in a combination, when the include is made."""
    assert include([route("chat", consumer_1)], path="/chat").routes[0].filters["path"].pattern == "/chat"
    for prefix, inner in (("/chat", "^/room"), ("^/chat", "/room")):
        with pytest.raises(ValueError, match=r"both must begin with '\^'"):
            include([route("chat", consumer_1, path=inner)], path=prefix)


def test_group_of_prefix_cannot_be_that_of_another_filter() -> None:
    """A bare prefix may not repeat a group of a different filter either."""
    with pytest.raises(ValueError, match="two filters name a group 'x'"):
        include([route("chat", consumer_1, method="^(?P<x>.)")], path="^/(?P<x>.)")


def test_routing_of_the_user_is_never_changed() -> None:
    """Prefixes, added and default routes leave list and routes as they were."""
    inner = route("websocket.receive", consumer_1, path="^/x")
    routing: list[Any] = [inner]
    router = Router([include(routing, path="^/y")])
    other = Router(routing)
    other.add_route(route("chat", consumer_2))
    other.check_default(consumer_2)
    assert routing == [inner]
    assert inner.filters["path"].pattern == "^/x"
    assert router.routes[0].filters["path"].pattern == "^/y/x"


@pytest.mark.parametrize("routing", [None, 3, {"a"}, f"{MODULE}.number", ModuleType("routing")])
def test_what_is_no_routing_is_refused(routing: Any) -> None:
    """The error shows what was given."""
    with pytest.raises(TypeError, match="a routing is a list or a dict, or a dotted path to one, not"):
        Router(routing)


@pytest.mark.parametrize("entry", [f"{MODULE}.chat", [], consumer_1])
def test_what_is_no_route_is_refused(entry: Any) -> None:
    """An entry of a routing is a route or an include."""
    with pytest.raises(TypeError, match=r"a routing holds route\(\), route_class\(\) and include\(\), not"):
        Router([entry])


names = st.text("abc", min_size=1, max_size=2)


@given(st.lists(names, min_size=1, max_size=4), names)
def test_depth_of_nesting_makes_no_difference(prefixes: list[str], room: str) -> None:
    """Nested includes match exactly the path of their prefixes in a row, and capture the same."""
    routing: Any = [route("chat", consumer_2, path=r"^/(?P<room>\w+)/$")]
    for prefix in reversed(prefixes):
        routing = [include(routing, path=f"^/{prefix}")]
    path = "".join(f"/{prefix}" for prefix in prefixes)
    assert match(routing, "chat", path=f"{path}/{room}/") == (consumer_2, {"room": room})
    assert match(routing, "chat", path=f"{path}/{room}") is None
    assert match(routing, "chat", path=f"/x{path}/{room}/") is None


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
    name = f"{__name__}.consumer"
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
        ]
    )
    assert router.suspicious() == []


# -- default routes ----------------------------------------------------------------------------------------------------


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
        f"{__name__}.consumer_1: 'path' does not match '/chat/')"
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
