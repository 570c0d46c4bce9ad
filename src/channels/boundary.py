"""A consumer call is a request boundary, paid for only when something was used.

Language, time zone, URL configuration and script prefix live in context variables: each call runs in a context of its
own, so nothing is left behind and nothing has to be looked at (an access to one of them takes microseconds, a new
context a tenth of one). Database connections live in the thread: they are looked at once one has been opened.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import Any

from asgiref.sync import SyncToAsync, sync_to_async
from django.core.signals import got_request_exception
from django.db import close_old_connections, connections
from django.db.backends.signals import connection_created

from channels.loop import contained, run_on_loop
from channels.message import Message
from channels.pending import Pending, current
from channels.routing import Route
from channels.signals import consumer_finished, consumer_started

_of_thread = threading.local()
"""Has the ``pending`` of a slot's thread, for contexts that a consumer has made itself."""


class Boundary:
    """The boundary around the consumers of one slot. Made in the slot's thread."""

    def __init__(self, pending: Pending, sender: type) -> None:
        self._pending = pending
        self._sender = sender
        self.task: asyncio.Task[Any] | None = None  # of the coroutine that runs
        current.set(pending)
        _of_thread.pending = pending
        self._context: Context = copy_context()

    def call(self, route: Route, message: Message, kwargs: dict[str, Any]) -> None:
        """Run the consumer of ``route`` between two boundaries; save what it has changed in its request's session."""
        if self._pending.uses_database:
            close_old_connections()
        if consumer_started.receivers:
            consumer_started.send(self._sender, environ={})
        try:
            self._run(route, message, kwargs)
            if "request" in message.__dict__:  # it was used
                self._context.copy().run(message.request.finish)
        except MemoryError as error:
            free(error)
            raise
        finally:
            if consumer_finished.receivers:
                consumer_finished.send(self._sender)
            if self._pending.uses_database:
                self._leave_database()

    async def acall(self, route: Route, message: Message, kwargs: dict[str, Any]) -> None:
        """As :meth:`call`, for an ``async def`` consumer: its connections are in Django's thread for such code."""
        if self._pending.uses_database:
            await sync_to_async(close_old_connections)()
        if consumer_started.receivers:
            consumer_started.send(self._sender, environ={})
        try:
            coroutine: Any = route.consumer(message, **kwargs)
            self.task = asyncio.get_running_loop().create_task(contained(coroutine), context=self._context.copy())
            await self.task
            if "request" in message.__dict__:  # it was used
                await sync_to_async(message.request.finish)()
        except MemoryError as error:
            free(error)
            raise
        finally:
            if consumer_finished.receivers:
                consumer_finished.send(self._sender)
            if self._pending.uses_database:
                await sync_to_async(close_old_connections)()

    def _run(self, route: Route, message: Message, kwargs: dict[str, Any]) -> None:
        """Call the consumer in a context of its own."""
        if route.is_async:
            run_on_loop(route.consumer, message, kwargs, self._context.copy())
        else:
            self._context.copy().run(route.consumer, message, **kwargs)

    def report(self) -> None:
        """Tell monitors of the exception being handled, as a failed request would."""
        got_request_exception.send(self._sender, request=None)

    def _leave_database(self) -> None:
        close_old_connections()
        opened = connections.all(initialized_only=True)
        self._pending.uses_database = any(connection.connection is not None for connection in opened)


def visit_shared_thread() -> Future[None]:
    """Return what is done once the thread is free that all coroutines call sync code in."""
    return SyncToAsync.single_thread_executor.submit(lambda: None)


def free(error: MemoryError) -> None:
    """Give back what those hold who were called when there was no more: it takes memory to tell of it."""
    traceback.clear_frames(error.__traceback__)


def note_connection(**kwargs: object) -> None:
    """Remember that the running consumer has opened a database connection, in whatever context."""
    pending = current.get() or getattr(_of_thread, "pending", None)
    if pending is not None:
        pending.uses_database = pending.has_queries = True


connection_created.connect(note_connection, dispatch_uid="channels.boundary")
