"""Which consumer handles which message: the router, and what it does with messages that no route is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from channel_layers import messages
from channel_layers.suggestions import did_you_mean
from channels.consumers import Consumer
from channels.exceptions import DenyConnection
from channels.handling import class_of
from channels.naming import called
from channels.patterns import with_slash
from channels.routes import Include, Match, Route, RouteClass, Routing, flattened, shown

if TYPE_CHECKING:
    from channels.message import Message

__all__ = [
    "CONNECT",
    "DISCONNECT",
    "RECEIVE",
    "Include",
    "Match",
    "Route",
    "RouteClass",
    "Router",
    "connect_consumer",
    "include",
    "null_consumer",
    "route",
    "route_class",
]

route, route_class, include = Route, RouteClass, Include
for _name, _written in (("route", Route), ("route_class", RouteClass), ("include", Include)):
    _written.__init__ = called(_name, _written.__init__)  # type: ignore[method-assign]  # an error is to say what was written

CONNECT, RECEIVE, DISCONNECT = "websocket.connect", "websocket.receive", "websocket.disconnect"

PROTOCOL_KEYS: dict[str, frozenset[str]] = {
    "http.request": frozenset(messages.HttpRequest.__annotations__),
    "http.disconnect": frozenset(messages.HttpDisconnect.__annotations__),
    CONNECT: frozenset(messages.WebSocketConnect.__annotations__),
    RECEIVE: frozenset(messages.WebSocketReceive.__annotations__),
    DISCONNECT: frozenset(messages.WebSocketDisconnect.__annotations__),
}
"""Channels that interface servers send to, and the keys of their messages."""

MAX_TRIED = 10
"""Routes that a refused handshake lists in the log."""

MAX_KEPT, MAX_KEPT_PATH = 1024, 200
"""Paths whose routes a router remembers, and the characters of the longest of them."""


def null_consumer(message: Message, **kwargs: object) -> None:
    """Do nothing."""


def connect_consumer(message: Message, **kwargs: object) -> None:
    """Accept the WebSocket."""
    if message.reply_channel is None:
        raise ValueError(f"a message on {message.channel_name!r} without reply channel has no WebSocket to accept")
    message.reply_channel.send({"accept": True})


class Router:
    """Finds the first route that a message passes.

    ``routes`` are those of ``routing``, flattened and in its order; ``default_routes`` come after them. ``retries``
    says of which channels messages are delivered again, and how often; ``traffic`` is the class of each channel;
    ``awaited`` are the channels that some ``async def`` consumer reads.
    """

    def __init__(self, routing: Routing) -> None:
        self.routes = flattened(routing)
        self.default_routes: list[Route] = []
        self._index()

    @property
    def channels(self) -> set[str]:
        """Names of the channels that some route reads."""
        return set(self._by_channel)

    def find(self, message: Message) -> Match | None:
        """Return the first route that ``message`` passes, with what its filters captured."""
        content, name = message.content, message.channel_name
        kept, path = self._kept.get(name), content.get("path")
        if kept is None or type(path) is not str:
            return self._search(name, content)
        return kept[path] if path in kept else self._search_by_path(name, path, kept)

    def _search_by_path(self, name: str, path: str, kept: dict[str, Match | None]) -> Match | None:
        found = self._search(name, {"path": path})
        if len(path) <= MAX_KEPT_PATH:
            if len(kept) >= MAX_KEPT:
                kept.clear()
            kept[path] = found
        return found

    def _search(self, name: str, content: Mapping[str, Any]) -> Match | None:
        for candidate in self._by_channel.get(name, ()):
            kwargs = candidate.captures(content)
            if kwargs is not None:
                return Match(candidate, kwargs) if kwargs else candidate.bare_match
        return None

    def match(self, message: Message) -> tuple[Consumer, dict[str, str | None]] | None:
        """Return consumer and keyword arguments of the first route that ``message`` passes."""
        found = self.find(message)
        return (found.route.consumer, {**found.kwargs}) if found else None

    def tried(self, message: Message) -> list[str]:
        """Return why ``message`` has no route: a sentence for each of its channel, one for all others together."""
        name = message.channel_name
        own = [candidate for candidate in self.routes if name in candidate.channels]
        sentences = [f"{candidate}: {candidate.refusal(message.content) or 'matches'}" for candidate in own]
        others = {channel for candidate in self.routes for channel in candidate.channels} - {name}
        if others:
            hint = "" if own else did_you_mean(name, others)
            sentences.append(f"Other routes are for {', '.join(sorted(others))}.{hint}")
        return sentences

    def suspicious(self) -> list[str]:
        """Return a sentence for each channel and filter of the routing that looks misspelt."""
        return [sentence for candidate in self.routes for sentence in _suspicions(candidate)]

    def add_route(self, route: Route | Include) -> None:
        """Append a route, before the default routes."""
        self.routes += flattened([route])
        self._index()

    def check_default(self, http_consumer: Consumer | None = None) -> None:
        """Install the default routes, for messages that no other route wants.

        HTTP requests go to ``http_consumer``, else to Django's views; WebSocket events without a route are ignored,
        and connects decided by :meth:`default_connect`.
        """
        # By name, because the handler comes after routing in the order of imports.
        consumer = http_consumer or import_string("channels.handler.ViewConsumer")()
        self.default_routes = [
            Route("http.request", consumer),
            Route(CONNECT, self.default_connect),
            Route([RECEIVE, DISCONNECT], null_consumer),
        ]
        self._index()

    def default_connect(self, message: Message) -> None:
        """Decide a connect that no route matches.

        Where no route at all judges connects, the socket is accepted if its path is that of a route for later
        events. Otherwise it is refused with 404, because a looser route for receiving must not let in what a
        stricter one for connecting was meant to judge.

        Raises :exc:`~channels.exceptions.DenyConnection`, with the routes that were tried as its reason.
        """
        judges = [candidate for candidate in self.routes if CONNECT in candidate.channels]
        later = [candidate for candidate in self.routes if not {RECEIVE, DISCONNECT}.isdisjoint(candidate.channels)]
        keys = None if judges else ("path",)
        refusals = [(candidate, candidate.refusal(message.content, keys)) for candidate in judges or later]
        if not judges and any(not refusal for _, refusal in refusals):
            return connect_consumer(message)
        tried = "; ".join(f"{candidate}: {refusal}" for candidate, refusal in refusals[:MAX_TRIED])
        more = f"; and {len(refusals) - MAX_TRIED} more" if len(refusals) > MAX_TRIED else ""
        path = shown(message.content.get("path"))
        raise DenyConnection(f"no route for a WebSocket at {path} (tried {tried or 'none'}{more})", status=404)

    def _index(self) -> None:
        by_channel: dict[str, list[Route]] = {}
        for candidate in self.routes + self.default_routes:
            for channel in candidate.channels:
                by_channel.setdefault(channel, []).append(candidate)
        self._by_channel = by_channel
        self.retries = {channel: n for channel, routes in by_channel.items() if (n := _chances(channel, routes)) >= 0}
        self.traffic = {channel: _traffic(channel, routes) for channel, routes in by_channel.items()}
        self.awaited = {channel for channel, routes in by_channel.items() if any(each.is_async for each in routes)}
        # Events of a connection come with its path again and again: what was found is kept where nothing else decides.
        # Measured in instructions, searching again is a tenth of what a worker does for an echo.
        self._kept: dict[str, dict[str, Match | None]] = {
            name: {} for name, routes in by_channel.items() if all(route.filters.keys() <= {"path"} for route in routes)
        }


def _chances(channel: str, routes: Sequence[Route]) -> int:
    """Return how often messages of ``channel`` are delivered again, on which its routes have to agree; -1 for never."""
    first, *others = routes
    for other in others:
        if other.handling.chances != first.handling.chances:
            raise ImproperlyConfigured(
                f"{first} and {other} read {channel!r} with different delivery or retries; "
                "messages are kept by channel, so give one of the routes a channel of its own"
            )
    return first.handling.chances


def _traffic(channel: str, routes: Sequence[Route]) -> str:
    said = (each.handling.traffic for each in routes)
    return next(filter(None, said), class_of(channel))


def _suspicions(route: Route) -> Iterable[str]:
    for channel in route.channels:
        known = PROTOCOL_KEYS.get(channel)
        if known is None:
            hint = did_you_mean(channel, PROTOCOL_KEYS, similarity=0.8)
            if hint:
                yield f"{route}: no interface server sends to {channel!r}.{hint}"
            continue
        for key in sorted(route.filters.keys() - known):
            yield f"{route}: no message on {channel!r} has a {key!r}.{did_you_mean(key, known)}"
    path = route.filters.get("path")
    if path and not PROTOCOL_KEYS.keys().isdisjoint(route.channels) and (better := with_slash(path)):
        yield f"{route}: path={path.pattern!r} matches no path, since each begins with '/': write {better!r}"
