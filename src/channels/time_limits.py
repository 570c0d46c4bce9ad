"""Limits of time for the consumers of a route: who takes too long is shown, and then given up."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Final

from channels.message import Message
from channels.routing import Route
from channels.timers import Timers, forked

logger = logging.getLogger("django.channels")

FRAMES: Final = 20
"""Innermost frames of a stack that are shown."""


Abandon = Callable[[str, "TimeLimit"], object]
"""Called with a sentence and the limit that a run has reached."""


class TimeLimit:
    """The limits of one run of ``route``, which begins now and is over with :meth:`end`.

    At the soft limit ``stack()`` is logged, at the hard one ``abandon(reason, limit)`` is called; both in a thread of
    their own, which may come at the very moment when the run ends, or a little later: ``is_over`` tells.
    """

    def __init__(self, route: Route, message: Message, abandon: Abandon, stack: Callable[[], list[str]]) -> None:
        self._route = route
        self._where = _where(message)
        self._began = time.monotonic()
        self._abandon = abandon
        self._stack = stack
        self.is_over = False
        if route.handling.soft_limit is not None:
            _timers[0].after(route.handling.soft_limit, self._show)
        if route.handling.hard_limit is not None:
            _timers[0].after(route.handling.hard_limit, self._give_up)

    def end(self) -> None:
        """The run is over."""
        self.is_over = True

    def if_still_running(self, seconds: float, call: Callable[[], object]) -> None:
        """Make ``call`` in so many seconds, unless the run is over then."""

        def look() -> None:
            if not self.is_over:
                call()

        later(seconds, look)

    def _show(self) -> None:
        if not self.is_over:
            stack = "".join(self._stack()[-FRAMES:])
            seconds = time.monotonic() - self._began
            logger.warning(
                "%s has run for %.1f s (soft_limit) on %s:\n%s", self._route.name, seconds, self._where, stack
            )

    def _give_up(self) -> None:
        if not self.is_over:
            reason = (
                f"{self._route.name} was over its hard_limit of {self._route.handling.hard_limit:g} s on {self._where}"
            )
            logger.error("%s; it is given up:\n%s", reason, "".join(self._stack()[-FRAMES:]))
            self._abandon(reason, self)


def later(seconds: float, call: Callable[[], None]) -> None:
    """Make ``call`` in so many seconds, in the thread of the limits."""
    _timers[0].after(seconds, call)


def stack_of_thread(thread: int) -> list[str]:
    """Return the stack of a thread of this process, as text."""
    frame = sys._current_frames().get(thread)
    return [] if frame is None else traceback.format_stack(frame)


def this_thread() -> Callable[[], list[str]]:
    """Return what returns the stack of the calling thread, whoever calls that."""
    thread = threading.get_ident()
    return lambda: stack_of_thread(thread)


def _where(message: Message) -> str:
    path, reply = message.get("path"), message.reply_channel
    return " ".join(filter(None, [message.channel_name, path, str(reply) if reply is not None else ""]))


def _begin_anew() -> None:
    _timers[:] = [Timers("channels-limits")]


_timers: list[Timers] = []
_begin_anew()
forked(_begin_anew)
