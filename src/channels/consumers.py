"""Consumers: how a route finds them, what they are called, and whether a call is awaited."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from channel_layers.suggestions import did_you_mean

Consumer = Callable[..., object]


def name_of(consumer: object) -> str:
    """Return the dotted path of a function, method or class, or of the class of any other object."""
    if isinstance(consumer, functools.partial):
        return name_of(consumer.func)
    named = consumer if hasattr(consumer, "__qualname__") else type(consumer)
    return f"{named.__module__}.{named.__qualname__}"


def is_async(consumer: Consumer) -> bool:
    """Return whether a call of ``consumer`` is to be awaited: a function, an object, or a class and so its instance."""
    if isinstance(consumer, type):
        return hasattr(consumer, "__await__")
    return iscoroutinefunction(consumer) or iscoroutinefunction(getattr(consumer, "__call__", None))  # noqa: B004 - of an instance


def loaded_consumer(consumer: Consumer | str) -> Consumer:
    """Return the callable that ``consumer`` is, or that its dotted path names.

    Raises :exc:`TypeError` for anything else, and what :func:`load` raises.
    """
    loaded: Consumer = load(consumer) if isinstance(consumer, str) else consumer
    if not callable(loaded):
        raise TypeError(f"a consumer is a callable or its dotted path, not {consumer!r}")
    return loaded


def load(path: str) -> Any:
    """Return what the dotted path ``path`` names.

    Raises :exc:`~django.core.exceptions.ImproperlyConfigured` if it cannot be imported, with what may have been meant.
    """
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
