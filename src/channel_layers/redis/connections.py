"""The connections of one layer in one process: how many there are, and who uses which.

* one for what threads write, and one for each event loop that writes;
* one for each slot and each inbox in use, because these wait in the server: sharing one would need a thread that
  wakes the others, which costs every message a change of threads. They go back to a shelf when they are not needed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from channel_layers.redis import exchange
from channel_layers.redis.connection import Connection
from channel_layers.redis.connector import Connector, Welcome
from channel_layers.redis.exchange import Answer, Conversation, Done, Exchange, Request
from channel_layers.redis.loop_connection import LoopConnection
from channel_layers.redis.protocol import Commands, Replies

T = TypeVar("T")


class LoopShelf:
    """The connections of one event loop."""

    def __init__(self, connector: Connector, welcome: Welcome) -> None:
        self.writing = LoopConnection(connector)
        self.writing.welcome = welcome
        self.idle: list[LoopConnection] = []
        self.all = {self.writing}


class Connections:
    """Makes connections, lends them, and closes them. Thread-safe.

    ``welcome`` says what is sent first on every new link that is written to.
    """

    def __init__(self, connector: Connector, welcome: Welcome) -> None:
        self.connector = connector
        self._welcome = welcome
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._writing = Connection(self.connector)
        self._writing.welcome = self._welcome
        self._idle: list[Connection] = []
        self._all = {self._writing}
        self._loops: dict[asyncio.AbstractEventLoop, LoopShelf] = {}

    # -- exchanges -------------------------------------------------------------------------------------------------

    def run(self, steps: Exchange[T]) -> T:
        """Carry out an exchange over the writing connection; what waits in the server uses one of its own."""
        return exchange.run(steps, self._ask)

    async def arun(self, steps: Exchange[T]) -> T:
        """As :meth:`run`, over the connections of the running loop."""
        return await exchange.arun(steps, self.say)

    def begin(self, steps: Exchange[T], done: Done[T]) -> None:
        """As :meth:`arun`, and call ``done`` in the end, which need not be soon."""
        Conversation(steps, partial(self.say, is_awaited=False), done).begin()

    def say_at_once(self, commands: Commands) -> Replies:
        """Send ``commands`` with a single attempt to connect.

        Over a connection of its own, because a signal handler may call this in the middle of another request.
        """
        with self.lent() as connection:
            return connection.ask(Request(commands), patience=0)

    def _ask(self, request: Request) -> Replies:
        if request.wait == 0:
            return self._writing.ask(request)
        with self.lent() as connection:
            return connection.ask(request)

    def say(self, request: Request, answer: Callable[[Answer], None], is_awaited: bool = True) -> None:
        """Make a request over a connection of the running loop; what waits in the server has one of its own."""
        if request.wait == 0:
            self.shelf().writing.say(request, answer, is_awaited or request.asks)
            return
        connection = self.alend()

        def answered(result: Answer) -> None:
            self.atake_back(connection)
            answer(result)

        connection.say(request, answered)

    # -- lending ---------------------------------------------------------------------------------------------------

    def lend(self) -> Connection:
        """Return a connection for one user, until :meth:`take_back`."""
        with self._lock:
            connection = self._idle.pop() if self._idle else Connection(self.connector)
            self._all.add(connection)
            return connection

    def take_back(self, connection: Connection) -> None:
        """Put a connection on the shelf for its next user."""
        connection.reset()
        with self._lock:
            is_known = connection in self._all
            if is_known:
                self._idle.append(connection)
        if not is_known:  # all were closed while it was lent
            connection.close()

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        """Lend a connection for a block."""
        connection = self.lend()
        try:
            yield connection
        finally:
            self.take_back(connection)

    def alend(self) -> LoopConnection:
        """As :meth:`lend`, for the running loop."""
        shelf = self.shelf()
        connection = shelf.idle.pop() if shelf.idle else LoopConnection(self.connector)
        shelf.all.add(connection)
        return connection

    def atake_back(self, connection: LoopConnection) -> None:
        """As :meth:`take_back`. Closed instead if a request is under way: nobody can wait for its answer any more."""
        connection.reset()
        shelf = self._loops.get(connection.loop)
        if shelf is not None and connection in shelf.all:
            shelf.idle.append(connection)

    def shelf(self) -> LoopShelf:
        """Return the connections of the running loop; those of loops that have ended are closed."""
        loop = asyncio.get_running_loop()
        shelf = self._loops.get(loop)
        if shelf is None:
            self._close_ended_loops()
            shelf = self._loops[loop] = LoopShelf(self.connector, self._welcome)
        return shelf

    # -- ending ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close everything; what is used afterwards opens anew."""
        with self._lock:
            connections, shelves = self._all, list(self._loops.items())
            self._idle, self._all, self._loops = [], {self._writing}, {}
        for connection in connections:
            connection.close()
        for loop, shelf in shelves:
            _close_shelf(loop, shelf)

    def forget(self, name: str) -> None:
        """Begin anew, as ``name``, in a process that was just forked: what was open belongs to the parent."""
        for connection in self._all:
            connection.disown()
        for shelf in self._loops.values():
            for loop_connection in shelf.all:
                loop_connection.disown()
        self.connector.name = name
        self._begin()

    def _close_ended_loops(self) -> None:
        for loop in [loop for loop in list(self._loops) if loop.is_closed()]:
            shelf = self._loops.pop(loop, None)
            if shelf is not None:
                _close_shelf(loop, shelf)


def _close_shelf(loop: asyncio.AbstractEventLoop, shelf: LoopShelf) -> None:
    """Close connections of ``loop``: in the loop where it still runs, which may be in another thread."""
    for connection in shelf.all:
        if loop.is_running():
            loop.call_soon_threadsafe(connection.close)
        else:
            connection.close()
