"""Which consumer handles which message: routes, their combination, and the router that finds them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from inspect import iscoroutinefunction
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from channel_layers import messages
from channel_layers.names import check_readable
from channel_layers.suggestions import did_you_mean
from channels.exceptions import DenyConnection
from channels.handling import AT_MOST_ONCE, Handling, class_of
from channels.patterns import Filter, combine, compile_filter, text_of

if TYPE_CHECKING:
    from channels.message import Message

Consumer = Callable[..., object]

CONNECT, RECEIVE, DISCONNECT = "websocket.connect", "websocket.receive", "websocket.disconnect"

PROTOCOL_KEYS: dict[str, frozenset[str]] = {
    "http.request": frozenset(messages.HttpRequest.__annotations__),
    "http.disconnect": frozenset(messages.HttpDisconnect.__annotations__),
    CONNECT: frozenset(messages.WebSocketConnect.__annotations__),
    RECEIVE: frozenset(messages.WebSocketReceive.__annotations__),
    DISCONNECT: frozenset(messages.WebSocketDisconnect.__annotations__),
}
"""Channels that interface servers send to, and the keys of their messages."""

PRIVATE_KEYS = frozenset({"query_string", "headers", "body", "text", "bytes", "content"})
"""Keys whose values stay out of explanations, because tokens and user data travel in them."""

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


def name_of(consumer: object) -> str:
    """Return the dotted path of a function, method or class, or of the class of any other object."""
    if isinstance(consumer, functools.partial):
        return name_of(consumer.func)
    named = consumer if hasattr(consumer, "__qualname__") else type(consumer)
    return f"{named.__module__}.{named.__qualname__}"


class Route:
    """A consumer, the channels it reads and the filters a message must pass to get there.

    ``channels`` is a name or a list of names, ``consumer`` a callable or its dotted path. Each filter is a regular
    expression for the value under its key; all must match, from the beginning of the value. Named groups become
    keyword arguments of the consumer. ``ordered=False`` lets events of one connection overlap. ``is_async`` is whether
    the consumer is an ``async def`` function.

    ``delivery="at-least-once"`` is for channels of your own: a message whose run raises or ends with its process is
    delivered again, up to ``retries`` times, and then set aside. ``traffic`` is the class that the channel belongs to
    when slots are reserved, ``"http"``, ``"websocket"`` or ``"background"``; by default its name tells.

    A run that takes longer than ``soft_limit`` seconds is logged with its stack; one that takes longer than
    ``hard_limit`` is given up: its client is answered, what it still sends is discarded, its process is replaced.

    Raises :exc:`ValueError` or :exc:`TypeError` for a name or a filter that cannot be used, and
    :exc:`~django.core.exceptions.ImproperlyConfigured` for a dotted path that cannot be imported.
    """

    def __init__(
        self,
        channels: str | bytes | Iterable[str | bytes],
        consumer: Consumer | str,
        *,
        ordered: bool = True,
        delivery: str = AT_MOST_ONCE,
        retries: int | None = None,
        traffic: str | None = None,
        soft_limit: float | None = None,
        hard_limit: float | None = None,
        **filters: Filter,
    ) -> None:
        self.channels = _channel_names(channels)
        self.consumer = _loaded_consumer(consumer)
        self.name = name_of(self.consumer)
        self.is_async = is_async(self.consumer)
        self.ordered = ordered
        self.handling = Handling(ordered, delivery, retries, traffic, soft_limit, hard_limit)
        self.is_limited = self.handling.is_limited
        self.filters = {key: compile_filter(key, pattern) for key, pattern in filters.items()}
        self._matchers = tuple((key, pattern.match, bool(pattern.groups)) for key, pattern in self.filters.items())
        self.bare_match = Match(self, {})
        groups = list(chain.from_iterable(pattern.groupindex for pattern in self.filters.values()))
        for group in set(groups):
            if groups.count(group) > 1:
                raise ValueError(f"{self}: two filters name a group {group!r}; give one of them another name")
        if fault := self.handling.fault(self.channels):
            raise ValueError(f"{self}: {fault}")

    def captures(self, content: Mapping[str, Any]) -> dict[str, str | None] | None:
        """Return the named groups of all filters if ``content`` passes them, else ``None``."""
        kwargs: dict[str, str | None] = {}
        for key, match, has_groups in self._matchers:
            value = content.get(key)
            # Every message passes here; nearly all values are plain text.
            text = value if value.__class__ is str else text_of(value)
            found = None if text is None else match(text)
            if found is None:
                return None
            if has_groups:
                kwargs |= found.groupdict()
        return kwargs

    def refusal(self, content: Mapping[str, Any], keys: Iterable[str] | None = None) -> str:
        """Return why ``content`` does not pass the filters (those of ``keys`` only, if given), or ``""``."""
        for key in self.filters if keys is None else self.filters.keys() & keys:
            value = content.get(key)
            text = text_of(value)
            if value is None:
                return f"the message has no {key!r}"
            if text is None or not self.filters[key].match(text):
                shown = "" if key in PRIVATE_KEYS else f" {_shortened(repr(value))}"
                return f"{key!r} does not match{shown}"
        return ""

    def prefixed(self, prefixes: Mapping[str, Filter]) -> Route:
        """Return this route below ``prefixes``: appended where it has a filter of that key, else filters of its own."""
        filters: dict[str, Filter] = {**self.filters}
        for key, prefix in prefixes.items():
            compiled = compile_filter(key, prefix)
            filters[key] = combine(key, compiled, self.filters[key]) if key in self.filters else compiled
        options: dict[str, Any] = {**self.handling._asdict(), **filters}
        return Route(self.channels, self.consumer, **options)

    def __str__(self) -> str:
        filters = "".join(f" {key}={pattern.pattern}" for key, pattern in self.filters.items())
        return f"{'/'.join(self.channels)}{filters} -> {self.name}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class RouteClass(Route):
    """A route to a class-based consumer (or its dotted path), which names its channels itself; options as of Route."""

    def __init__(self, consumer: Consumer | str, **filters: Any) -> None:
        consumer = _loaded_consumer(consumer)
        channel_names = getattr(consumer, "channel_names", None)
        if not callable(channel_names):
            raise ValueError(f"{name_of(consumer)} has no channel_names(); route_class() takes class-based consumers")
        super().__init__(sorted(channel_names()), consumer, **filters)


class Include:
    """The routes of another routing below prefixes.

    ``routing`` is a list or tuple of routes and includes, a dict of channels and consumers, or a dotted path to
    either; it is never changed. A prefix is appended to the filter of the same key, so that ``^/chat`` and
    ``^/(?P<room>[a-z]+)$`` become ``^/chat/(?P<room>[a-z]+)$``; :func:`~channels.patterns.combine` says what it
    refuses. A route without a filter of that key is filtered by the bare prefix.
    """

    def __init__(self, routing: Routing, **prefixes: Filter) -> None:
        self.routes = [route.prefixed(prefixes) if prefixes else route for route in _flattened(routing)]


route, route_class, include = Route, RouteClass, Include

Routing = str | Mapping[str, Consumer | str] | Sequence[Route | Include]


class Match(NamedTuple):
    """The route of a message, and what its filters captured: keyword arguments of the consumer."""

    route: Route
    kwargs: dict[str, str | None]


class Router:
    """Finds the first route that a message passes.

    ``routes`` are those of ``routing``, flattened and in its order; ``default_routes`` come after them. ``retries``
    says of which channels messages are delivered again, and how often; ``traffic`` is the class of each channel;
    ``awaited`` are the channels that some ``async def`` consumer reads.
    """

    def __init__(self, routing: Routing) -> None:
        self.routes = _flattened(routing)
        self.default_routes: list[Route] = []
        self._index()

    @property
    def channels(self) -> set[str]:
        """Names of the channels that some route reads."""
        return set(self._by_channel)

    def find(self, message: Message) -> Match | None:
        """Return the first route that ``message`` passes, with what its filters captured."""
        content, name = message.content, message.channel_name
        path = content.get("path")
        if name in self._judged_by_path and type(path) is str and len(path) <= MAX_KEPT_PATH:
            return self._find_by_path(name, path)
        return self._search(name, content)

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
        self.routes += _flattened([route])
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
        path = _shortened(repr(message.content.get("path")))
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
        self._judged_by_path = {
            name for name, routes in by_channel.items() if all(route.filters.keys() <= {"path"} for route in routes)
        }
        self._find_by_path = functools.lru_cache(MAX_KEPT)(lambda name, path: self._search(name, {"path": path}))


def is_async(consumer: Consumer) -> bool:
    """Return whether a call of ``consumer`` is to be awaited: a function, an object, or a class and so its instance."""
    if isinstance(consumer, type):
        return hasattr(consumer, "__await__")
    return iscoroutinefunction(consumer) or iscoroutinefunction(getattr(consumer, "__call__", None))  # noqa: B004 - of an instance


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


def _channel_names(channels: str | bytes | Iterable[str | bytes]) -> tuple[str, ...]:
    names = [channels] if isinstance(channels, (str, bytes)) else list(channels)
    if not names:
        raise ValueError("a route needs the name of a channel, or several; this list is empty")
    # Bytes outside ASCII become U+FFFD, which the check of the name refuses.
    return tuple(check_readable(n.decode("ascii", "replace") if isinstance(n, bytes) else n) for n in names)


def _loaded_consumer(consumer: Consumer | str) -> Consumer:
    loaded: Consumer = _load(consumer) if isinstance(consumer, str) else consumer
    if not callable(loaded):
        raise TypeError(f"a consumer is a callable or its dotted path, not {consumer!r}")
    return loaded


def _load(path: str) -> Any:
    """Return what the dotted path ``path`` names."""
    module_name, _, attribute = path.rpartition(".")
    if not module_name:
        raise ImproperlyConfigured(f"cannot import {path!r}: a dotted path is 'package.module.name'")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ImproperlyConfigured(f"cannot import {path!r}: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        hint = did_you_mean(attribute, vars(module))
        raise ImproperlyConfigured(f"cannot import {path!r}: module {module_name!r} has no {attribute!r}.{hint}")
    return getattr(module, attribute)


def _flattened(routing: Routing) -> list[Route]:
    """Return the routes of ``routing`` in order, as a list of its own."""
    loaded = _load(routing) if isinstance(routing, str) else routing
    if isinstance(loaded, Mapping):
        return [Route(channel, consumer) for channel, consumer in loaded.items()]
    if not isinstance(loaded, (list, tuple)):
        raise TypeError(f"a routing is a list or a dict, or a dotted path to one, not {routing!r} ({type(loaded)})")
    return [route for entry in loaded for route in _routes_of(entry)]


def _routes_of(entry: object) -> list[Route]:
    if isinstance(entry, Route):
        return [entry]
    if isinstance(entry, Include):
        return entry.routes
    raise TypeError(f"a routing holds route(), route_class() and include(), not {entry!r}")


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


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
