"""A connection for the coroutines of one event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from channel_layers.exceptions import LayerDeclined, LayerUnavailable
from channel_layers.redis.connector import Connector, Unknown, Welcome
from channel_layers.redis.exchange import Answer, Request, conclude
from channel_layers.redis.link import LINGER, WOULD_BLOCK, Link
from channel_layers.redis.protocol import Commands, Replies, has_error, portions

Answering: TypeAlias = Callable[[Answer], None]


MANY: Final = 64
"""Bytes of answers that nobody waits for and that are worth a turn of the loop."""


class Batch:
    """The replies that one request waits for; ``limit`` is how many seconds, from ``since`` on."""

    __slots__ = ("answer", "commands", "is_awaited", "limit", "missing", "replies", "since")

    def __init__(self, commands: Commands, limit: float | None, answer: Answering, is_awaited: bool) -> None:
        self.is_awaited = is_awaited
        self.commands = commands
        self.missing = len(commands)
        self.replies: Replies = []
        self.limit = limit
        self.since = time.monotonic()
        self.answer = answer


class Attempt:
    """A link on its way from the thread that opens it to the loop that wants it, or does not any more."""

    def __init__(self, connector: Connector, tracks: bool) -> None:
        self._connector = connector
        self._tracks = tracks
        self._given_up = threading.Event()
        self._link: Link | None = None
        self._lock = threading.Lock()

    def open(self) -> Link:
        """Return a link; called in a thread."""
        link = self._connector.connect(self._connector.timeout, self._given_up.wait, tracks=self._tracks)
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
    without asking. ``welcome``, ``flushed`` and ``lost`` are those of
    :class:`~channel_layers.redis.connection.Connection`.
    """

    def __init__(self, connector: Connector) -> None:
        self.welcome: Welcome | None = None
        self.flushed: Callable[[], None] | None = None
        self.lost: Link | None = None
        self._connector = connector
        self.loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._opening: asyncio.Task[None] | None = None
        self._unsaid: dict[Answering, Request] = {}  # until there is a link
        self._unsent: deque[bytes | memoryview] = deque()
        self._is_full = False
        self._unanswered: deque[Batch] = deque()
        self._awaited = 0  # of these
        self._timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None

    def say(self, request: Request, answer: Answering, is_awaited: bool = True) -> None:
        """Make ``request``; call ``answer`` with the replies, or with what :meth:`ask` raises.

        Replies that nobody awaits may come a moment later, several together.
        """
        if self._link is not None and not self._unsaid:
            self._send(request.said_in(self._link.run), request.wait, answer, is_awaited)
            return
        self._unsaid[answer] = request
        if self._link is None and self._opening is None:
            self._opening = self.loop.create_task(self._open())

    async def ask(self, request: Request) -> Replies:
        """As :meth:`channel_layers.redis.connection.Connection.ask`. The link survives if this is cancelled."""
        replies: asyncio.Future[Replies] = self.loop.create_future()

        def answer(answer: Answer) -> None:
            conclude(replies, *((None, answer) if isinstance(answer, LayerUnavailable) else (answer, None)))

        self.say(request, answer)
        try:
            return await replies
        finally:
            self._unsay(answer)

    def post(self, commands: Commands) -> None:
        """Send ``commands`` without waiting for the replies, if there is a link."""
        if self._link is not None:
            self._send(commands, None, _ignore)

    def close(self) -> None:
        """Close the link; the next request opens another."""
        if self._opening is not None and not self.loop.is_closed():
            self._opening.cancel()
        self._opening = None
        self._unsaid.clear()
        self._fail(ConnectionAbortedError("it was closed"))

    @property
    def run(self) -> str | None:
        """The run of the server that the link leads to, if there is a link."""
        return self._link.run if self._link is not None else None

    def reset(self) -> None:
        """Forget what the last user wanted; what it did not wait for is given up with the link."""
        if self._unanswered or self.flushed is not None:
            self.close()
        self.welcome, self.flushed, self.lost = None, None, None

    def disown(self) -> None:
        """Close this process's copy of a link that belongs to the process it was forked from."""
        if self._link is not None:  # the loop is the parent's: what it watches must not be changed from here
            self._link.close()

    # -- opening ---------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        try:
            link = await self._connect()
        except LayerUnavailable as error:
            self._opening = None
            for answer in self._take_unsaid():
                answer(error)
            return
        link.sock.setblocking(False)
        self._link = link
        self._opening = None
        self.loop.add_reader(link.sock, self._receive)
        if self.welcome is not None and (commands := self.welcome(link)):
            self._send(commands, 0, self._welcomed)
        else:
            self._say_unsaid()

    async def _connect(self) -> Link:
        """Connect in a thread, which is rare, and so needs no second way to resolve names or to begin TLS."""
        attempt = Attempt(self._connector, self.flushed is not None)
        try:
            return await asyncio.to_thread(attempt.open)
        except asyncio.CancelledError:
            attempt.give_up()
            raise

    def _welcomed(self, answer: Answer) -> None:
        if not isinstance(answer, LayerUnavailable):
            self._say_unsaid()
            return
        unsaid = self._take_unsaid()
        self.close()
        for waiting in unsaid:
            waiting(answer)

    def _say_unsaid(self) -> None:
        for answer, request in self._take_unsaid().items():
            self.say(request, answer)

    def _take_unsaid(self) -> dict[Answering, Request]:
        unsaid, self._unsaid = self._unsaid, {}
        return unsaid

    def _unsay(self, answer: Answering) -> None:
        """Nobody waits for ``answer`` any more; a link is not opened for nobody."""
        if self._unsaid.pop(answer, None) is not None and not self._unsaid and self._opening is not None:
            self._opening.cancel()
            self._opening = None

    # -- sending ---------------------------------------------------------------------------------------------------

    def _send(self, commands: Commands, wait: float | None, answer: Answering, is_awaited: bool = True) -> None:
        limit = None if wait is None else wait + self._connector.timeout
        self._unanswered.append(Batch(commands, limit, answer, is_awaited))
        self._awaited += is_awaited
        if self._link is not None:
            self._link.wait_for_more_than(0 if self._awaited else MANY)
        if not is_awaited and self._linger_timer is None:
            self._linger_timer = self.loop.call_later(LINGER, self._end_lingering)
        if limit is not None and self._timer is None:
            self._timer = self.loop.call_later(limit, self._look_after)
        is_idle = not self._unsent
        self._unsent += portions(commands)
        if is_idle:
            self._flush()

    def _flush(self) -> None:
        if self._link is None:
            self._fail(ConnectionResetError("it was lost before the request"))
            return
        try:
            while self._unsent:
                self._send_some(self._link, self._unsent[0])
        except WOULD_BLOCK:
            pass
        except OSError as error:
            self._fail(error)
            return
        self._watch_writing(self._link)

    def _send_some(self, link: Link, portion: bytes | memoryview) -> None:
        sent = link.sock.send(portion)
        if sent == len(portion):
            self._unsent.popleft()
        else:
            self._unsent[0] = memoryview(portion)[sent:]

    def _watch_writing(self, link: Link) -> None:
        if bool(self._unsent) == self._is_full:
            return
        self._is_full = not self._is_full
        if self._is_full:
            self.loop.add_writer(link.sock, self._flush)
        else:
            self.loop.remove_writer(link.sock)

    # -- answers ---------------------------------------------------------------------------------------------------

    def _end_lingering(self) -> None:
        """Receive what nobody waits for, and from now on what comes at once if there is more to come."""
        self._linger_timer = None
        self._receive()
        if self._link is not None and self._unanswered:
            self._link.wait_for_more_than(0)

    def _receive(self) -> None:
        """Read until nothing is left: of a connection that was reset uvloop tells once, whatever it still holds."""
        try:
            while (link := self._link) is not None:
                for reply in link.receive():
                    self._hand_over(reply)
                if self.flushed is not None and link.was_flushed():
                    self.flushed()
                if not link.is_ready():
                    return
        except WOULD_BLOCK:
            return
        except OSError as error:
            self._fail(error)

    def _hand_over(self, reply: object) -> None:
        if not self._unanswered:  # an answer before this one has closed the connection
            return
        batch = self._unanswered[0]
        batch.replies.append(reply)
        batch.missing -= 1
        if batch.missing:
            return
        self._unanswered.popleft()
        self._awaited -= batch.is_awaited
        if has_error(batch.replies):
            self._answer_error(batch)
        else:
            batch.answer(batch.replies)

    def _answer_error(self, batch: Batch) -> None:
        unknown = Unknown(batch.commands, batch.replies)
        if unknown.commands:
            self._send(unknown.commands, 0, partial(self._fill, batch, unknown))
        else:
            self._answer_checked(batch)

    def _fill(self, batch: Batch, unknown: Unknown, answer: Answer) -> None:
        if isinstance(answer, LayerUnavailable):
            batch.answer(answer)
        else:
            unknown.fill(answer)
            self._answer_checked(batch)

    def _answer_checked(self, batch: Batch) -> None:
        try:
            answer: Answer = self._connector.checked(batch.replies)
        except LayerDeclined as error:
            answer = error
        batch.answer(answer)

    def _look_after(self) -> None:
        """Give the link up if its oldest request has waited too long. One timer: most requests end before it does."""
        self._timer = None
        limited = next((batch for batch in self._unanswered if batch.limit is not None), None)
        if limited is None or limited.limit is None:
            return
        left = limited.since + limited.limit - time.monotonic()
        if left <= 0:
            self._fail(TimeoutError("no answer in time"))
        else:
            self._timer = self.loop.call_later(left, self._look_after)

    def _fail(self, error: OSError) -> None:
        """Give the link up; whoever waits for an answer is told."""
        link, self._link = self._link, None
        if link is not None:
            self.lost = link
            self._unwatch(link)
            link.close()
        self._unsent.clear()
        unanswered, self._unanswered, self._awaited = self._unanswered, deque(), 0
        if not self.loop.is_closed():
            for batch in unanswered:
                batch.answer(self._connector.lost(error, batch.since))

    def _unwatch(self, link: Link) -> None:
        if not self.loop.is_closed():
            self.loop.remove_reader(link.sock)
            if self._is_full:
                self.loop.remove_writer(link.sock)
        self._is_full = False
        for timer in (self._timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._linger_timer = None


def _ignore(answer: Answer) -> None:
    """Let an answer go by that nobody waits for."""
