"""What Python calls a constructor when its arguments are wrong."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


def called(name: str, constructor: Callable[P, T]) -> Callable[P, T]:
    """Return ``constructor``, of which Python says ``name()`` where an argument is missing, unknown or too many.

    It is a copy, and as fast: nothing is wrapped, since a constructor runs for nearly every message.
    """
    given = cast("FunctionType", constructor)
    copy = FunctionType(given.__code__, given.__globals__, given.__name__, given.__defaults__, given.__closure__)
    copy.__kwdefaults__, copy.__annotations__ = given.__kwdefaults__, given.__annotations__
    copy.__doc__, copy.__module__, copy.__qualname__ = given.__doc__, given.__module__, name
    return cast("Callable[P, T]", copy)
