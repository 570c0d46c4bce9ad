import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from channels.loop import run_on_loop
from channels.message import Message
from tests.channels.workers import PATIENCE, layer_of

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


def call(consumer: Callable[..., Any], **kwargs: Any) -> Any:
    """Call ``consumer`` as a slot does."""
    context = contextvars.copy_context()
    return run_on_loop(consumer, Message({"n": 1}, "jobs", layer_of()), kwargs, context)


async def loop_of(message: Message) -> tuple[asyncio.AbstractEventLoop, str]:
    """Return the loop and the thread that run this."""
    return asyncio.get_running_loop(), threading.current_thread().name


def test_result_and_arguments() -> None:
    """The consumer gets message and keywords; its result comes back."""

    async def consumer(message: Message, room: str) -> str:
        await asyncio.sleep(0)
        return f"{message['n']} in {room}"

    assert call(consumer, room="lobby") == "1 in lobby"


def test_all_consumers_share_one_loop() -> None:
    """So a client that is bound to its loop can be kept from one consumer to the next."""
    first, second = call(loop_of), call(loop_of)
    assert first == second
    assert second[1] == "channels-loop"


def test_exception_is_raised() -> None:
    """With the traceback of the consumer."""

    async def consumer(message: Message) -> None:
        raise LookupError("no such room")

    with pytest.raises(LookupError, match="no such room") as caught:
        call(consumer)
    assert caught.traceback[-1].name == "consumer"


def test_wrong_arguments_raise() -> None:
    """A consumer that does not take what the route captured is no reason to wait."""
    with pytest.raises(TypeError, match="room"):
        call(loop_of, room="lobby")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_exit_does_not_end_the_loop(error: BaseException) -> None:
    """It ends the consumer alone, as an error that names it."""

    async def consumer(message: Message) -> None:
        raise error

    loop = call(loop_of)
    with pytest.raises(RuntimeError, match=type(error).__name__) as caught:
        call(consumer)
    assert caught.value.__cause__ is error
    assert call(loop_of) == loop


def test_sys_exit_is_contained() -> None:
    """As a library may call it."""

    async def consumer(message: Message) -> None:
        sys.exit("no configuration")

    with pytest.raises(RuntimeError, match="no configuration"):
        call(consumer)


def test_cancelled_consumer_is_an_error() -> None:
    """The slot does not wait for what will never return."""

    async def consumer(message: Message) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="the consumer was cancelled"):
        call(consumer)


def test_context_is_the_one_given() -> None:
    """What a consumer sets stays in its context: neither its caller nor the next one sees it."""

    async def consumer(message: Message) -> str:
        found = variable.get()
        variable.set("inside")
        return found

    assert call(consumer) == "outside"
    assert call(consumer) == "outside"
    assert variable.get() == "outside"


def test_consumers_of_several_slots_run_together() -> None:
    """Two that wait for one another both return, and threads that call first make one loop between them."""
    loops = []

    async def consumer(message: Message, mine: asyncio.Event, other: asyncio.Event) -> None:
        loops.append(asyncio.get_running_loop())
        mine.set()
        async with asyncio.timeout(PATIENCE):
            await other.wait()

    one, two = asyncio.Event(), asyncio.Event()
    threads = [
        threading.Thread(target=call, args=[consumer], kwargs={"mine": mine, "other": other})
        for mine, other in ((one, two), (two, one))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(set(loops)) == 1
    assert len(loops) == 2
