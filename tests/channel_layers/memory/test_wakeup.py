from __future__ import annotations

import asyncio

from channel_layers.memory.wakeup import LoopWakeup, ThreadWakeup


def test_a_thread_is_woken_once() -> None:
    """Before it waits or while it does, and twice is no error; without a wake it waits for its time."""
    wakeup = ThreadWakeup()
    wakeup.wake()
    wakeup.wake()
    wakeup.wait(None)
    wakeup.wait(0.001)


def test_a_coroutine_is_woken_once() -> None:
    """As a thread, and by any thread."""

    async def main() -> None:
        wakeup = LoopWakeup()
        await wakeup.wait(0.001)
        again = LoopWakeup()
        again.wake()
        again.wake()
        await again.wait(10)
        await again.wait()

    asyncio.run(main())


def test_a_loop_that_was_closed_is_not_woken() -> None:
    """Nobody waits there any more."""

    async def make() -> LoopWakeup:
        return LoopWakeup()

    wakeup = asyncio.run(make())
    wakeup.wake()
    assert not wakeup._woken.done()
