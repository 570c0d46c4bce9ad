"""Requests and their replies as generators: what a verb says to the server is written once, for both halves.

An exchange yields a :class:`Request`, is sent the replies, and returns its result. Where a connection fails,
:exc:`~channel_layers.exceptions.LayerUnavailable` is raised at the ``yield``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import NamedTuple, TypeVar

from channel_layers.exceptions import LayerUnavailable
from channel_layers.redis.protocol import Commands, Replies

T = TypeVar("T")


class Request(NamedTuple):
    """Commands that leave in one write. The server may think about them for ``wait`` seconds, ``None``: for ever.

    Commands that say in which run of the server they are said are made by a function, once there is a link.
    """

    commands: Commands | Callable[[str], Commands]
    wait: float | None = 0.0

    def said_in(self, run: str) -> Commands:
        """Return the commands for a link to the server's run ``run``."""
        return self.commands(run) if callable(self.commands) else self.commands


Exchange = Generator[Request, Replies, T]


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


async def arun(exchange: Exchange[T], ask: Callable[[Request], Awaitable[Replies]]) -> T:
    """As :func:`run`, over a connection of an event loop."""
    try:
        request = next(exchange)
        while True:
            try:
                replies = await ask(request)
            except LayerUnavailable as error:
                request = exchange.throw(error)
            else:
                request = exchange.send(replies)
    except StopIteration as end:
        result: T = end.value
        return result
