"""Requests and their replies as generators: what a verb says to the server is written once, for both halves.

An exchange yields a :class:`Request`, is sent the replies, and returns its result. Where a connection fails,
:exc:`~channel_layers.exceptions.LayerUnavailable` is raised at the ``yield``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from functools import partial
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from channel_layers.exceptions import LayerUnavailable
from channel_layers.redis.protocol import Commands, Replies

T = TypeVar("T")


class Rest(NamedTuple):
    """Commands that leave in the same write, behind a request; the server may wait for ever before it answers them.

    The answer is asked for with :data:`REST`. What is asked before that has the wait end first, by ``cut``; the answer
    is kept.
    """

    commands: Commands
    cut: Callable[[], object]


class Request(NamedTuple):
    """Commands that leave in one write. The server may think about them for ``wait`` seconds, ``None``: for ever.

    Commands that say in which run of the server they are said are made by a function, once there is a link. A ``rest``
    is for connections of threads only. What the exchange does next depends on the answer to a question (``asks``).
    """

    commands: Commands | Callable[[str], Commands]
    wait: float | None = 0.0
    rest: Rest | None = None
    asks: bool = False

    def said_in(self, run: str) -> Commands:
        """Return the commands for a link to the server's run ``run``."""
        return self.commands(run) if callable(self.commands) else self.commands


REST: Final[Commands] = []
"""Stands for the rest that was sent last, where its replies are asked for; there is none where the link was lost."""

Exchange = Generator[Request, Replies, T]
Answer: TypeAlias = Replies | LayerUnavailable
Say: TypeAlias = Callable[[Request, Callable[[Answer], None]], None]
Done: TypeAlias = Callable[[T | None, Exception | None], None]


def run(exchange: Exchange[T], ask: Callable[[Request], Replies]) -> T:
    """Carry out ``exchange`` over a connection that blocks."""
    try:
        request = next(exchange)
        while True:
            try:
                replies = ask(request)
            except LayerUnavailable as error:
                request = exchange.throw(error)
            else:
                request = exchange.send(replies)
    except StopIteration as end:
        result: T = end.value
        return result


class Conversation(Generic[T]):
    """An exchange over a connection of an event loop, carried out by its callbacks: a task would cost more than it.

    ``say(request, answer)`` calls ``answer`` with the replies or the error. ``done(result, error)`` is called in the
    end. What has begun is carried out, whoever waits for it.
    """

    __slots__ = ("_done", "_exchange", "_say")

    def __init__(self, exchange: Exchange[T], say: Say, done: Done[T]) -> None:
        self._exchange = exchange
        self._say = say
        self._done = done

    def begin(self) -> None:
        """Make the first request."""
        self._go_on(partial(next, self._exchange))

    def _answered(self, answer: Answer) -> None:
        step = self._exchange.throw if isinstance(answer, LayerUnavailable) else self._exchange.send
        self._go_on(partial(step, answer))  # type: ignore[arg-type]  # each step takes its kind of answer

    def _go_on(self, step: Callable[[], Request]) -> None:
        try:
            request = step()
        except StopIteration as end:
            self._done(end.value, None)
        except Exception as error:  # noqa: BLE001 - whoever waits for the result raises it
            self._done(None, error)
        else:
            self._say(request, self._answered)


async def arun(exchange: Exchange[T], say: Say) -> T:
    """As :func:`run`, over a connection of an event loop."""
    result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    Conversation(exchange, say, partial(conclude, result)).begin()
    return await result


def conclude(future: asyncio.Future[T], result: T | None, error: Exception | None) -> None:
    """Let ``future`` have the end of a conversation, unless nobody waits for it any more."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]  # without an error there is a result
