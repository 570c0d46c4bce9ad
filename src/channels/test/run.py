"""One consumer's run in a test: the worker's own runner, except that what goes wrong is told to the test."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import Any

from asgiref.sync import async_to_sync

from channel_layers.envelope import AGAIN, RAISED
from channel_layers.slot import Refused
from channels.boundary import Boundary
from channels.exceptions import DenyConnection
from channels.message import Message
from channels.pending import Pending
from channels.routing import DISCONNECT, RECEIVE, Match, Route, Router
from channels.runner import Runner
from channels.test.commits import run_callbacks
from channels.worker import Worker


class NoConsumer(AssertionError):
    """No route is for a message; the text tells which were tried."""


class Run:
    """What came of a run: ``result`` is what the consumer returned, ``errors`` what was raised by it or its sends."""

    def __init__(self) -> None:
        self.result: Any = None
        self.errors: list[BaseException] = []

    def note_refused(self, refusal: Refused) -> None:
        """A send of the consumer was refused when it left."""
        self.errors.append(refusal.error)

    def note_raised(self) -> None:
        """The exception that is being handled ends the run."""
        error = sys.exception()
        assert error is not None
        self.errors.append(error)

    def outcome(self) -> Any:
        """Return the result, or raise the first error."""
        if self.errors:
            raise self.errors[0]
        return self.result


class BenchBoundary(Boundary):
    """Keeps database connections open, and runs everything in the thread of the test."""

    def __init__(self, pending: Pending, run: Run) -> None:
        super().__init__(pending, Worker)
        self._own = run

    def _run(self, route: Route, message: Message, kwargs: dict[str, Any]) -> None:
        call = async_to_sync(_awaited) if route.is_async else _called
        try:
            self._own.result = self._context.copy().run(call, route, message, kwargs)
        finally:
            self._context.copy().run(run_callbacks)

    def _leave_database(self) -> None:
        self._pending.uses_database = False


class BenchRouter:
    """Finds what a router finds. For a message without a route it finds a consumer that says so by raising.

    With ``steers`` a disconnect may go unrouted, as under a worker.
    """

    def __init__(self, router: Router, steers: bool) -> None:
        self._router = router
        self._ignored = {RECEIVE} if steers else {RECEIVE, DISCONNECT}

    def find(self, message: Message) -> Match:
        """Return the route of ``message``."""
        try:
            found = self._router.find(message)
        except Exception as error:  # noqa: BLE001 - raised to the test by Run.outcome
            return _raising(message, error)
        is_ignored = message.channel_name in self._ignored
        if found is None or (is_ignored and found.route in self._router.default_routes):
            return _raising(message, NoConsumer(self._explanation(message)))
        return found

    def _explanation(self, message: Message) -> str:
        tried = "\n".join(f"  - {sentence}" for sentence in self._router.tried(message)) or "  - none"
        path = message.get("path")
        place = f" at {path}" if path else ""
        return f"No consumer for a message on {message.channel_name!r}{place}. Routes:\n{tried}"


class BenchRunner(Runner):
    """Notes in ``run`` what a worker would log; ``steers`` as in :meth:`channels.test.bench.Bench.run`."""

    def __init__(self, worker: Worker, pending: Pending, run: Run, steers: bool) -> None:
        super().__init__(worker, pending)
        self._boundary = BenchBoundary(pending, run)
        self._router = BenchRouter(worker.channel_layer.router, steers)  # type: ignore[assignment]  # all that is used
        self._own = run
        self._steers = steers

    def _again(self, found: Match, message: Message) -> int:
        if self._steers and super()._again(found, message) == AGAIN:
            return AGAIN
        return self._told()

    def _told(self) -> int:
        """Let the test know of an exception by which the consumer steers, with the effect that it has on its sends."""
        self._pending.discard()
        self._own.note_raised()
        return RAISED

    def _deny(self, found: Match, message: Message, denial: DenyConnection) -> int:
        return super()._deny(found, message, denial) if self._steers else self._told()

    def _raised(self, found: Match, message: Message) -> int:
        self._own.note_raised()
        self._boundary.report()
        return RAISED


def _raising(message: Message, error: Exception) -> Match:
    def consumer(message: Message) -> None:
        raise error

    return Match(Route(message.channel_name, consumer), {})


def _called(route: Route, message: Message, kwargs: dict[str, Any]) -> Any:
    return route.consumer(message, **kwargs)


async def _awaited(route: Route, message: Message, kwargs: dict[str, Any]) -> Any:
    awaitable = route.consumer(message, **kwargs)
    assert isinstance(awaitable, Awaitable)
    return await awaitable
