"""One consumer's run in a test: the worker's own runner, except that what goes wrong is told to the test."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import Any

from asgiref.sync import async_to_sync

from channel_layers.envelope import AGAIN, RAISED, Envelope
from channel_layers.slot import Refused
from channels.boundary import Boundary
from channels.exceptions import DenyConnection
from channels.message import LaneState, Message
from channels.pending import Pending
from channels.routing import DISCONNECT, RECEIVE, Match, Route
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


class BenchRunner(Runner):
    """Notes in ``run`` what a worker would log; ``steers`` as in :meth:`channels.test.bench.Bench.run`."""

    def __init__(self, worker: Worker, pending: Pending, run: Run, steers: bool) -> None:
        super().__init__(worker, pending)
        self._boundary = BenchBoundary(pending, run)
        self._own = run
        self._steers = steers

    def _contained(self, content: dict[str, Any], envelope: Envelope, lane: LaneState | None) -> int:
        try:
            return self._handle(content, envelope, lane)
        except Exception:  # noqa: BLE001 - raised to the test by Run.outcome
            self._own.note_raised()
            return RAISED

    def _routed(self, message: Message) -> Match | None:
        found = self._router.find(message)
        name = message.channel_name
        is_ignored = name == RECEIVE or (name == DISCONNECT and not self._steers)
        if found is None or (is_ignored and found.route in self._router.default_routes):
            tried = "\n".join(f"  - {sentence}" for sentence in self._router.tried(message)) or "  - none"
            path = message.get("path")
            place = f" at {path}" if path else ""
            self._own.errors.append(NoConsumer(f"No consumer for a message on {name!r}{place}. Routes:\n{tried}"))
            return None
        return found

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


def _called(route: Route, message: Message, kwargs: dict[str, Any]) -> Any:
    return route.consumer(message, **kwargs)


async def _awaited(route: Route, message: Message, kwargs: dict[str, Any]) -> Any:
    awaitable = route.consumer(message, **kwargs)
    assert isinstance(awaitable, Awaitable)
    return await awaitable
