"""What the decorators of consumers have in common: one wrapper for functions and methods, plain and ``async def``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from channels.consumers import is_async, name_of
from channels.message import Message

C = TypeVar("C", bound=Callable[..., Any])


class Scope:
    """What a decorator does around its consumer, for any number of calls at a time.

    Around a plain consumer :meth:`admits`, :meth:`enter` and :meth:`leave` are called, around an ``async def`` one
    their twins, which do the same unless there is something to wait for.
    """

    def admits(self, message: Message) -> bool:
        """Return whether the consumer is to be called at all; if not, nothing else here is."""
        return True

    def enter(self, message: Message) -> None:
        """Prepare ``message``; an exception raised here keeps the consumer from being called."""

    def leave(self, message: Message, error: BaseException | None) -> None:
        """Finish what the consumer has done with ``message``; ``error`` is what it raised."""

    async def aadmits(self, message: Message) -> bool:
        """As :meth:`admits`."""
        return self.admits(message)

    async def aenter(self, message: Message) -> None:
        """As :meth:`enter`."""
        self.enter(message)

    async def aleave(self, message: Message, error: BaseException | None) -> None:
        """As :meth:`leave`."""
        self.leave(message, error)


def around(consumer: C, scope: Scope) -> C:
    """Return ``consumer`` with ``scope`` around each of its calls; it keeps its name and its metadata."""
    run = (_async_wrapper if is_async(consumer) else _wrapper)(consumer, scope)
    if not hasattr(consumer, "__qualname__"):  # a functools.partial, or an object that is called
        run.__module__, _, run.__qualname__ = name_of(consumer).rpartition(".")
    return cast("C", run)


def _wrapper(consumer: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    @wraps(consumer)
    def run(*args: Any, **kwargs: Any) -> Any:
        message = message_of(consumer, args)
        if not scope.admits(message):
            return None
        scope.enter(message)
        try:
            result = consumer(*args, **kwargs)
        except BaseException as error:
            scope.leave(message, error)
            raise
        scope.leave(message, None)
        return result

    return run


def _async_wrapper(consumer: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    @wraps(consumer)
    async def run(*args: Any, **kwargs: Any) -> Any:
        message = message_of(consumer, args)
        if not await scope.aadmits(message):
            return None
        await scope.aenter(message)
        try:
            result = await consumer(*args, **kwargs)
        except BaseException as error:
            await scope.aleave(message, error)
            raise
        await scope.aleave(message, None)
        return result

    return run


def message_of(consumer: object, args: tuple[Any, ...]) -> Message:
    """Return the message that ``consumer`` is called with: the first argument of a function, the second of a method.

    Raises :exc:`ValueError` if neither is a :class:`~channels.message.Message`.
    """
    for argument in args[:2]:
        if isinstance(argument, Message):
            return argument
    raise ValueError(f"{name_of(consumer)} was called without a Message as its first argument, or second if a method")
