"""An event loop whose clock stands still while there is work and jumps to the next timer when there is none."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final

INSTANT: Final = 1e-4
"""Seconds that :func:`idle` lets pass: less than any time limit."""


class _JumpingSelector(selectors.SelectSelector):
    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is left that could happen: this test would wait for ever")
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on which an hour takes no time; for code that uses no threads."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jumping.now


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)


async def idle() -> None:
    """Return when all that could happen now has happened."""
    await asyncio.sleep(INSTANT)


async def turns_until(condition: Callable[[], object]) -> None:
    """Let the loop turn until ``condition`` holds, and not once more."""
    while not condition():  # noqa: ASYNC110 - what is counted here are the turns
        await asyncio.sleep(0)


async def elapse(seconds: float) -> None:
    """Let ``seconds`` pass, with everything that is due in them."""
    await asyncio.sleep(seconds)
    await idle()
