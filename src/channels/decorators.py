"""What the decorators of consumers have in common: one wrapper for functions and methods, plain and ``async def``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, TypeVar, cast

from channels.message import Message
from channels.routing import name_of

C = TypeVar("C", bound=Callable[..., Any])


class Scope:
    """What a decorator does around one call of its consumer.

    Around a plain consumer :meth:`enter` and :meth:`leave` are called, around an ``async def`` one their twins, which
    do the same unless there is something to wait for.
    """

    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        self.message = message

    def enter(self) -> None:
        """Prepare the message; an exception raised here keeps the consumer from being called."""

    def leave(self, error: BaseException | None) -> None:
        """Clean up; ``error`` is what the consumer raised."""

    async def aenter(self) -> None:
        """As :meth:`enter`."""
        self.enter()

    async def aleave(self, error: BaseException | None) -> None:
        """As :meth:`leave`."""
        self.leave(error)

    def __enter__(self) -> None:
        self.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave(error)

    async def __aenter__(self) -> None:
        await self.aenter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aleave(error)


def around(consumer: C, scope: Callable[[Message], Scope]) -> C:
    """Return ``consumer`` with ``scope`` around each of its calls; it keeps its name and its metadata."""
    if iscoroutinefunction(consumer):

        @wraps(consumer)
        async def run(*args: Any, **kwargs: Any) -> Any:
            async with scope(message_of(consumer, args)):
                return await consumer(*args, **kwargs)

    else:

        @wraps(consumer)
        def run(*args: Any, **kwargs: Any) -> Any:
            with scope(message_of(consumer, args)):
                return consumer(*args, **kwargs)

    if not hasattr(consumer, "__qualname__"):
        run.__module__, _, run.__qualname__ = name_of(consumer).rpartition(".")
    return cast("C", run)


def message_of(consumer: object, args: tuple[Any, ...]) -> Message:
    """Return the message that ``consumer`` is called with: the first argument of a function, the second of a method.

    Raises :exc:`ValueError` if neither is a :class:`~channels.message.Message`.
    """
    for argument in args[:2]:
        if isinstance(argument, Message):
            return argument
    raise ValueError(f"{name_of(consumer)} was called without a Message as its first argument, or second if a method")
