from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.routing import Include, Route, RouteClass, Router, include, route, route_class
from tests.channels.routed import MODULE, ChatConsumer, consumer_1, consumer_2, match
from tests.stand_ins import message


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
    assert str(made) == text.format(f"{MODULE}.")
    assert repr(made) == f"<{type(made).__name__} {made}>"


def test_name_is_that_of_the_consumer() -> None:
    """A route is named for its consumer."""
    assert route("chat", consumer_1).name == f"{MODULE}.consumer_1"


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
