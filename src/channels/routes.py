"""Routes: a consumer, what it reads, and what must be true of a message to get there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from channel_layers.names import check_readable
from channels.consumers import Consumer, is_async, load, loaded_consumer, name_of
from channels.handling import AT_MOST_ONCE, Handling
from channels.patterns import Filter, combine, compile_filter, text_of

PRIVATE_KEYS = frozenset({"query_string", "headers", "body", "text", "bytes", "content"})
"""Keys whose values stay out of explanations, because tokens and user data travel in them."""

MAX_SHOWN = 200
"""Characters of a value that an explanation shows."""


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
        self.consumer = loaded_consumer(consumer)
        self.name = name_of(self.consumer)
        self.is_async = is_async(self.consumer)
        self.ordered = ordered
        self.handling = Handling(ordered, delivery, retries, traffic, soft_limit, hard_limit)
        self.is_limited = self.handling.is_limited
        self.filters = {key: compile_filter(key, pattern) for key, pattern in filters.items()}
        self._matchers = tuple((key, pattern.match, bool(pattern.groups)) for key, pattern in self.filters.items())
        self.bare_match = Match(self, {})
        if fault := _shared_group(self.filters) or self.handling.fault(self.channels):
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
                what = "" if key in PRIVATE_KEYS else f" {shown(value)}"
                return f"{key!r} does not match{what}"
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
        consumer = loaded_consumer(consumer)
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
        self.routes = [route.prefixed(prefixes) if prefixes else route for route in flattened(routing)]


Routing = str | Mapping[str, Consumer | str] | Sequence[Route | Include]


class Match(NamedTuple):
    """The route of a message, and what its filters captured: keyword arguments of the consumer."""

    route: Route
    kwargs: dict[str, str | None]


def flattened(routing: Routing) -> list[Route]:
    """Return the routes of ``routing`` in order, as a list of its own."""
    loaded = load(routing) if isinstance(routing, str) else routing
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


def _shared_group(filters: Mapping[str, re.Pattern[str]]) -> str:
    """Return what is wrong if two filters name one group, which would be one keyword argument; else ``""``."""
    named = Counter(chain.from_iterable(pattern.groupindex for pattern in filters.values()))
    group, times = named.most_common(1)[0] if named else ("", 0)
    return f"two filters name a group {group!r}; give one of them another name" if times > 1 else ""


def _channel_names(channels: str | bytes | Iterable[str | bytes]) -> tuple[str, ...]:
    names = [channels] if isinstance(channels, (str, bytes)) else list(channels)
    if not names:
        raise ValueError("a route needs the name of a channel, or several; this list is empty")
    # Bytes outside ASCII become U+FFFD, which the check of the name refuses.
    return tuple(check_readable(n.decode("ascii", "replace") if isinstance(n, bytes) else n) for n in names)


def shown(value: object) -> str:
    """Return what explanations show of a value in a message: its beginning, as Python writes it."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
