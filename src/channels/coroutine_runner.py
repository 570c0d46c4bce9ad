"""Runs ``async def`` consumers: as :mod:`channels.runner`, on the loop of the process."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from channel_layers.envelope import AGAIN, RAISED, Envelope
from channels.boundary import visit_shared_thread
from channels.message import LaneState, Message
from channels.routing import Match
from channels.runner import Runner
from channels.time_limits import FRAMES, TimeLimit, later, stack_of_thread

logger = logging.getLogger("django.channels")

GRACE: Final = 1.0
"""Seconds that a consumer has to end that was cancelled, before it is given up, and the process with it."""

Contents = list[dict[str, Any]]


class CoroutineRunner(Runner):
    """Runs ``async def`` consumers on the loop."""

    _task: asyncio.Task[Any] | None = None
    _thread = 0
    replace: Callable[[str], object] = logger.error
    """Called with a sentence once this process should be replaced."""

    async def arun(self, envelope: Envelope, contents: Contents) -> tuple[LaneState | None, int, int]:
        """Handle ``contents``; return the lane, how the last one ended and its number, for :meth:`finish`."""
        self._task = asyncio.current_task()
        self._thread = threading.get_ident()
        lane = self._begin(envelope)
        outcome, handled = RAISED, 0
        for handled, content in enumerate(contents):  # noqa: B007 - the number of the last one
            outcome = await self._ahandle(content, envelope, lane)
            if outcome == AGAIN:
                break
        return lane, outcome, handled

    async def _ahandle(self, content: dict[str, Any], envelope: Envelope, lane: LaneState | None) -> int:
        try:
            message, found = self._routed(content, envelope, lane)
            if found is None:
                return self._unrouted(message, envelope)
            started = time.perf_counter()
            outcome = await self._acall(found, message)
            if self._trace:
                self._show(found, message, started)
        except Exception as error:  # noqa: BLE001 - logged by _broken
            return self._broken(error, envelope)
        return outcome

    async def _acall(self, found: Match, message: Message) -> int:
        self._pending.begin(found.route.name)
        limit = TimeLimit(found.route, message, self._cancel, self._stack) if found.route.is_limited else None
        try:
            await self._boundary.acall(found.route, message, found.kwargs)
        except BaseException as error:  # noqa: BLE001 - whatever a consumer raises ends its call, never the loop
            return self._steered(error, found, message)
        finally:
            if limit is not None:
                self._end_limit(limit)
        return self._returned(message)

    def _cancel(self, reason: str, limit: TimeLimit) -> None:
        """End the run of a consumer that is over its limit; it raises where it waits, if it does."""
        assert self._task is not None
        self._task.get_loop().call_soon_threadsafe(self._task.cancel, reason)
        limit.if_still_running(GRACE, partial(self._insist, reason, limit))
        later(GRACE, partial(self._look_at_thread, reason, visit_shared_thread()))

    def _insist(self, reason: str, limit: TimeLimit) -> None:
        logger.error("%s; it could not be cancelled:\n%s", reason, "".join(self._stack()[-FRAMES:]))
        self.abandon(f"{reason}, and could not be cancelled", limit)

    def _look_at_thread(self, reason: str, probe: Future[None]) -> None:
        """See whether what was cancelled goes on in the thread that all code under ``sync_to_async`` shares."""
        if not probe.done():
            self.replace(f"{reason}, and holds up the thread of sync_to_async")

    def _stack(self) -> list[str]:
        task = self._boundary.task
        if task is None:
            return []
        if asyncio.current_task(task.get_loop()) is task:  # it computes, or waits without giving the loop back
            return stack_of_thread(self._thread)
        return [line for frame in task.get_stack() for line in traceback.format_stack(frame, 1)]
