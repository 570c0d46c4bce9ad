"""A connection for threads: opened when it is needed, and again when it was lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from channel_layers.exceptions import LayerUnavailable
from channel_layers.redis.connector import Connector, Unknown, Welcome
from channel_layers.redis.exchange import REST, Request, Rest
from channel_layers.redis.link import Link
from channel_layers.redis.protocol import Commands, Replies, has_error

IDLE: Final = 0.005
"""Seconds without a request after which a link is looked at before it is used: servers close what is idle, and a look
costs as much as a third of a request."""


class Connection:
    """One request at a time; the others wait for their turn.

    ``welcome`` says what is sent first on every new link. ``flushed`` is called when the server says that it was
    emptied. ``pause`` waits between attempts to connect. ``lost`` is a link that ended without an answer: the
    server may still hold it.
    """

    def __init__(self, connector: Connector) -> None:
        self.welcome: Welcome | None = None
        self.flushed: Callable[[], None] | None = None
        self.pause: Callable[[float], object] = time.sleep
        self.lost: Link | None = None
        self._connector = connector
        self._link: Link | None = None
        self._rest: Rest | None = None  # that was sent and not asked for
        self._rest_replies: Replies | None = None  # to that, where they had to be received
        self._used = 0.0
        self._turn = threading.Lock()
        self._is_to_close = False

    def ask(self, request: Request, patience: float | None = None) -> Replies:
        """Return the replies to ``request``.

        Raises :exc:`LayerUnavailable` if no link can be had in ``patience`` seconds, by default the timeout of the
        layer, or if the link fails before the last reply; then nothing is sent again.
        """
        patience = self._connector.timeout if patience is None else patience
        if not self._turn.acquire(timeout=max(patience, 0)):
            raise LayerUnavailable(f"the connection to {self._connector.address} was busy for {patience:.1f} s")
        try:
            if request.commands is REST:
                return self._rest_answered(request.wait)
            link = self._opened(patience)
            replies = self._answered(link, request.said_in(link.run), request.wait, request.rest)
        finally:
            self._turn.release()
            if self._is_to_close:
                self.close()
        if self.flushed is not None and link.was_flushed():
            self.flushed()
        return replies

    def close(self) -> None:
        """Close the link, behind the request that is under way; the next one opens another."""
        self._is_to_close = True  # by whoever has its turn, unless that is nobody
        if self._turn.acquire(blocking=False):
            try:
                self._drop()
                self._is_to_close = False
            finally:
                self._turn.release()

    @property
    def run(self) -> str | None:
        """The run of the server that the link leads to, if there is a link."""
        return self._link.run if self._link is not None else None

    def reset(self) -> None:
        """Forget what the last user wanted; a link that is told of flushes speaks another protocol."""
        if self.flushed is not None:
            self.close()
        self.welcome, self.flushed, self.pause, self.lost = None, None, time.sleep, None

    def disown(self) -> None:
        """Close this process's copy of a link that belongs to the process it was forked from."""
        if self._link is not None:
            self._link.close()

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()
            if self._rest is not None and self._rest_replies is None:
                self._rest, self.lost = None, link

    def _opened(self, patience: float) -> Link:
        self._end_rest()
        if self._link is not None and time.monotonic() - self._used > IDLE and self._link.has_ended():
            self._drop()
        if self._link is None:
            self._link = link = self._connector.connect(patience, self.pause, tracks=self.flushed is not None)
            if self.welcome is not None and (commands := self.welcome(link)):
                self._answered(link, commands, 0)
        return self._link

    def _answered(self, link: Link, commands: Commands, wait: float | None, rest: Rest | None = None) -> Replies:
        limit = None if wait is None else wait + self._connector.timeout
        if rest is not None:
            self._rest, self._rest_replies = rest, None
        replies = self._exchanged(link, partial(link.request, commands, limit, rest.commands if rest else ()))
        return self._checked(link, commands, replies, limit) if has_error(replies) else replies

    def _rest_answered(self, wait: float | None) -> Replies:
        limit = None if wait is None else wait + self._connector.timeout
        if self._rest is None:
            raise self._connector.lost(ConnectionResetError("the link was closed"), time.monotonic())
        commands, replies = self._rest.commands, self._received_rest(self._rest, limit)
        self._rest = self._rest_replies = None
        if not has_error(replies):
            return replies
        return self._checked(self._opened(self._connector.timeout), commands, replies, limit)

    def _end_rest(self) -> None:
        """Have the server answer what it takes its time for, so that something else can be asked."""
        if self._rest is not None and self._rest_replies is None:
            self._rest.cut()
            self._rest_replies = self._received_rest(self._rest, self._connector.timeout)

    def _received_rest(self, rest: Rest, limit: float | None) -> Replies:
        if self._rest_replies is not None:
            return self._rest_replies
        assert self._link is not None  # a link that is dropped takes its rest along
        return self._exchanged(self._link, partial(self._link.answers, len(rest.commands), limit))

    def _checked(self, link: Link, commands: Commands, replies: Replies, limit: float | None) -> Replies:
        """Return ``replies`` with those that an unknown script has; raise what any other error means."""
        self._end_rest()
        unknown = Unknown(commands, replies)
        if unknown.commands:
            self._rest = self._rest_replies = None  # it was answered before what goes before it was done
            unknown.fill(self._exchanged(link, partial(link.request, unknown.commands, limit)))
        return self._connector.checked(replies)

    def _exchanged(self, link: Link, exchange: Callable[[], Replies]) -> Replies:
        begun = self._used = time.monotonic()
        try:
            return exchange()
        except OSError as error:
            self.lost = link
            self._drop()
            raise self._connector.lost(error, begun) from error
        except BaseException:  # what is interrupted between request and reply cannot be used again
            self.lost = link
            self._drop()
            raise
