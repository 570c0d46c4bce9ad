"""The event loop of a worker process, for ``async def`` consumers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channels.message import Message


def run_on_loop(consumer: Callable[..., Any], message: Message, kwargs: dict[str, Any], context: Context) -> Any:
    """Run an ``async def`` consumer in ``context`` on the loop of this process; return its result or raise."""
    loop = _loops.get()
    result: Future[Any] = Future()
    coroutine: Coroutine[Any, Any, Any] = consumer(message, **kwargs)
    loop.call_soon_threadsafe(_start, loop, coroutine, context, result)
    return result.result()


def get_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process, which runs in a thread of its own."""
    return _loops.get()


class _Loops:
    """The loop of this process, made at its first use: what is bound to a loop keeps it between two consumers."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="channels-loop", daemon=True).start()
            return self._loop


_loops = _Loops()


def _start(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], context: Context, result: Future[Any]
) -> None:
    task = loop.create_task(contained(coroutine), context=context)
    task.add_done_callback(lambda done: _finish(done, result))


async def contained(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what ``coroutine`` returns; what would end the loop is raised as :exc:`RuntimeError`."""
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:  # would end the loop, and every other consumer with it
        raise RuntimeError(f"the consumer raised {error!r}") from error


def _finish(task: asyncio.Task[Any], result: Future[Any]) -> None:
    if task.cancelled():
        result.set_exception(RuntimeError("the consumer was cancelled"))
    elif (error := task.exception()) is not None:
        result.set_exception(error)
    else:
        result.set_result(task.result())
