"""A connection for the coroutines of one event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque

from channel_layers.redis.connector import Connector, Unknown, Welcome
from channel_layers.redis.exchange import Request
from channel_layers.redis.link import WOULD_BLOCK, Link
from channel_layers.redis.protocol import Commands, Replies


class Batch:
    """The replies that one request waits for."""

    __slots__ = ("answered", "missing", "replies")

    def __init__(self, missing: int) -> None:
        self.missing = missing
        self.replies: Replies = []
        self.answered: asyncio.Future[Replies] = asyncio.get_running_loop().create_future()


class Attempt:
    """A link on its way from the thread that opens it to the loop that wants it, or does not any more."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._given_up = threading.Event()
        self._link: Link | None = None
        self._lock = threading.Lock()

    def open(self) -> Link:
        """Return a link; called in a thread."""
        link = self._connector.connect(self._connector.timeout, self._given_up.wait)
        with self._lock:
            self._link = link
            if self._given_up.is_set():
                link.close()
        return link

    def give_up(self) -> None:
        """Let nothing stay open that comes of it."""
        with self._lock:
            self._given_up.set()
            if self._link is not None:
                self._link.close()


class LoopConnection:
    """Any number of requests at a time; they leave in the order they were made in and are answered in it.

    A socket watched by the loop and no transport: a transport can only be closed while its loop runs, and loops end
    without asking. ``welcome`` and ``lost`` are those of :class:`~channel_layers.redis.connection.Connection`.
    """

    def __init__(self, connector: Connector) -> None:
        self.welcome: Welcome | None = None
        self.lost = 0
        self._connector = connector
        self.loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._opening = asyncio.Lock()
        self._unsent = bytearray()
        self._is_full = False
        self._unanswered: deque[Batch] = deque()

    async def ask(self, request: Request) -> Replies:
        """As :meth:`channel_layers.redis.connection.Connection.ask`. The link survives if this is cancelled."""
        if self._link is None:
            await self._open()
        return await self._answered(request.said_in(self.run or ""), request.wait)

    def post(self, commands: Commands) -> None:
        """Send ``commands`` without waiting for the replies, if there is a link."""
        if self._link is not None:
            self._send(commands).answered.add_done_callback(_retrieve)

    def close(self) -> None:
        """Close the link; the next request opens another."""
        self._fail(ConnectionAbortedError("it was closed"))

    @property
    def run(self) -> str | None:
        """The run of the server that the link leads to, if there is a link."""
        return self._link.run if self._link is not None else None

    def reset(self) -> None:
        """Forget what the last user wanted; what it did not wait for is given up with the link."""
        self.welcome, self.lost = None, 0
        if self._unanswered:
            self.close()

    def disown(self) -> None:
        """Close this process's copy of a link that belongs to the process it was forked from."""
        if self._link is not None:  # the loop is the parent's: what it watches must not be changed from here
            self._link.close()

    async def _open(self) -> None:
        async with self._opening:
            if self._link is not None:
                return
            link = await self._connect()
            link.sock.setblocking(False)
            self._link = link
            self.loop.add_reader(link.sock, self._receive)
            if self.welcome is not None and (commands := self.welcome(link)):
                await self._answered(commands, 0)

    async def _connect(self) -> Link:
        """Connect in a thread, which is rare, and so needs no second way to resolve names or to begin TLS."""
        attempt = Attempt(self._connector)
        try:
            return await asyncio.to_thread(attempt.open)
        except asyncio.CancelledError:
            attempt.give_up()
            raise

    async def _answered(self, commands: Commands, wait: float | None) -> Replies:
        limit = None if wait is None else wait + self._connector.timeout
        replies = await self._exchanged(commands, limit)
        unknown = Unknown(commands, replies)
        if unknown.commands:
            unknown.fill(await self._exchanged(unknown.commands, limit))
        return self._connector.checked(replies)

    async def _exchanged(self, commands: Commands, limit: float | None) -> Replies:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(limit):
                return await self._send(commands).answered
        except TimeoutError as error:
            self._fail(TimeoutError("no answer in time"))
            raise self._connector.lost(error, begun) from error
        except OSError as error:
            raise self._connector.lost(error, begun) from error

    def _send(self, commands: Commands) -> Batch:
        batch = Batch(len(commands))
        self._unanswered.append(batch)
        is_idle = not self._unsent
        self._unsent += b"".join(commands)
        if is_idle:
            self._flush()
        return batch

    def _flush(self) -> None:
        if self._link is None:
            self._fail(ConnectionResetError("it was lost before the request"))
            return
        try:
            del self._unsent[: self._link.sock.send(self._unsent)]
        except WOULD_BLOCK:
            pass
        except OSError as error:
            self._fail(error)
            return
        self._watch_writing(self._link)

    def _watch_writing(self, link: Link) -> None:
        if bool(self._unsent) == self._is_full:
            return
        self._is_full = not self._is_full
        if self._is_full:
            self.loop.add_writer(link.sock, self._flush)
        else:
            self.loop.remove_writer(link.sock)

    def _receive(self) -> None:
        try:
            while (link := self._link) is not None:
                for reply in link.receive():
                    self._hand_over(reply)
                if not link.holds_more():
                    return
        except WOULD_BLOCK:
            return
        except OSError as error:
            self._fail(error)

    def _hand_over(self, reply: object) -> None:
        batch = self._unanswered[0]
        batch.replies.append(reply)
        batch.missing -= 1
        if not batch.missing:
            self._unanswered.popleft()
            if not batch.answered.done():
                batch.answered.set_result(batch.replies)

    def _fail(self, error: OSError) -> None:
        """Give the link up; whoever waits for an answer is told."""
        link, self._link = self._link, None
        if link is not None:
            self.lost = link.client_id
            self._unwatch(link)
            link.close()
        self._unsent.clear()
        while self._unanswered:
            batch = self._unanswered.popleft()
            if not batch.answered.done() and not self.loop.is_closed():
                batch.answered.set_exception(error)

    def _unwatch(self, link: Link) -> None:
        if not self.loop.is_closed():
            self.loop.remove_reader(link.sock)
            if self._is_full:
                self.loop.remove_writer(link.sock)
        self._is_full = False


def _retrieve(answered: asyncio.Future[Replies]) -> None:
    if not answered.cancelled():
        answered.exception()
