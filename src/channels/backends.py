"""What a ``BACKEND`` names: a class of ours or of others, or one that an earlier Channels had under that path."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Any, Final, get_args, get_type_hints

from django.utils.module_loading import import_string

from channel_layers.base import BaseChannelLayer
from channel_layers.suggestions import did_you_mean

LOCAL: Final = "channel_layers.local.LocalChannelLayer"
MEMORY: Final = "channel_layers.memory.MemoryChannelLayer"
REDIS: Final = "channel_layers.redis.RedisChannelLayer"

ALIASES: Final[Mapping[str, str]] = {
    "asgiref.inmemory.ChannelLayer": MEMORY,
    "asgi_redis.RedisChannelLayer": REDIS,
    "asgi_redis.core.RedisChannelLayer": REDIS,
}
"""Paths of 1.x and what answers to them here, whoever else owns the module."""

_PLAIN: Final[Mapping[type, str]] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "None",
}
_CHANNELS_4: Final = (
    "is a layer of Channels 2 to 4, whose consumers are of another kind; the one here is {}, with options of its "
    "own, and an entry of CHANNEL_LAYERS has a ROUTING (see the guide on porting from Channels 4)"
)
RETIRED: Final[Mapping[str, str]] = {
    "channels.database_layer.DatabaseChannelLayer": (
        f"kept messages in tables that every process asked once a second, and is no more: {MEMORY!r} serves one "
        f"process, {REDIS!r} any number"
    ),
    "asgi_ipc.IPCChannelLayer": (
        f"is not for this release; on one machine {LOCAL!r} does the same, with nothing to set up"
    ),
    "asgi_rabbitmq.RabbitmqChannelLayer": f"is not for this release; between machines there is {REDIS!r}",
    "channels.layers.InMemoryChannelLayer": _CHANNELS_4.format(repr(MEMORY)),
    "channels_redis.core.RedisChannelLayer": _CHANNELS_4.format(repr(REDIS)),
    "channels_redis.pubsub.RedisPubSubChannelLayer": _CHANNELS_4.format(repr(REDIS)),
}
"""Paths of earlier releases that nothing answers to, and the way out."""


def load(path: str) -> type[BaseChannelLayer]:
    """Import the class that ``path`` names; raise :exc:`ImportError`, with a name that may have been meant."""
    try:
        backend: type[BaseChannelLayer] = import_string(ALIASES.get(path, path))
    except ImportError as error:
        hint = did_you_mean(path, [LOCAL, MEMORY, REDIS, *ALIASES])
        raise ImportError(f"{error}.{hint}") from error
    return backend


def unknown_options(backend: type, given: Iterable[str]) -> list[str]:
    """Return one sentence for each name in ``given`` that ``backend`` takes no option of."""
    known = _options_of(backend)
    if known is None:
        return []
    listed = ", ".join(sorted(known))
    return [
        f"has an unknown option {name!r}.{did_you_mean(str(name), known)} Options: {listed}"
        for name in given
        if name not in known
    ]


def unfit_options(backend: type, given: Mapping[str, object]) -> list[str]:
    """Return one sentence for each option that is not of the plain type that the constructor says; without making one.

    Each follows the place of the option. What is no number, text, or truth value is for the constructor to judge.
    """
    hints = _types_of(backend)
    return [
        f"[{name!r}] is {_expected(hints[name])}, not {value!r}"
        for name, value in given.items()
        if name in hints and not _fits(value, hints[name])
    ]


def _types_of(backend: type) -> dict[str, set[type]]:
    """Return the plain types of the options of ``backend`` that have no others."""
    found: dict[str, set[type]] = {}
    for owner in (each for each in reversed(backend.__mro__) if "__init__" in vars(each)):
        for name, hint in _annotations_of(vars(owner)["__init__"]).items():
            found[name] = set(get_args(hint)) if isinstance(hint, UnionType) else {hint}
    return {name: types for name, types in found.items() if types <= _PLAIN.keys()}


def _annotations_of(constructor: Callable[..., None]) -> dict[str, Any]:
    try:
        return get_type_hints(constructor)
    except Exception:  # noqa: BLE001 - those of others may name what exists for a type checker alone
        return {}


def _fits(value: object, types: set[type]) -> bool:
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, tuple(types)) or (isinstance(value, int) and float in types)


def _expected(types: set[type]) -> str:
    return " or ".join(text for plain, text in _PLAIN.items() if plain in types)


def _options_of(backend: type) -> set[str] | None:
    """Return the names that the constructor of ``backend`` and those it hands others on to take; ``None``: any."""
    found: set[str] = set()
    for owner in (each for each in backend.__mro__ if "__init__" in vars(each)):
        parameters = inspect.signature(vars(owner)["__init__"]).parameters.values()
        found |= {each.name for each in parameters if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)}
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            return found - {"self", "clock"}
    return None
