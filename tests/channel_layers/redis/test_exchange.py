"""Exchanges over a connection that is a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from channel_layers.exceptions import LayerUnavailable
from channel_layers.redis.exchange import Answer, Exchange, Request, arun, run
from channel_layers.redis.protocol import Replies


def steps() -> Exchange[list[object]]:
    """Say two things; say the second once more where it fails."""
    first = yield Request([b"one"])
    try:
        second = yield Request([b"two"], 5.0)
    except LayerUnavailable as error:
        second = yield Request([str(error).encode()])
    return [*first, *second]


def answer(request: Request) -> Replies:
    """Answer in capitals, or fail."""
    commands = request.said_in("run")
    if commands == [b"two"]:
        raise LayerUnavailable("three")
    return [command.upper() for command in commands]


def answer_later(request: Request, answered: Callable[[Answer], None]) -> None:
    """As :func:`answer`, in the next turn of the loop."""

    def go_on() -> None:
        try:
            result: Answer = answer(request)
        except LayerUnavailable as error:
            result = error
        answered(result)

    asyncio.get_running_loop().call_soon(go_on)


def test_an_exchange_is_carried_out_by_threads_and_loops() -> None:
    """It is sent the replies, told of a failure where it asked, and its result is returned."""
    assert run(steps(), answer) == [b"ONE", b"THREE"]
    assert asyncio.run(arun(steps(), answer_later)) == [b"ONE", b"THREE"]


def test_a_failure_that_is_not_handled_is_raised() -> None:
    """An exchange need not know of failures."""

    def short() -> Exchange[None]:
        yield Request([b"two"])

    with pytest.raises(LayerUnavailable, match="three"):
        run(short(), answer)
    with pytest.raises(LayerUnavailable, match="three"):
        asyncio.run(arun(short(), answer_later))


def test_what_has_begun_is_carried_out() -> None:
    """Whoever waited for the result may have been cancelled."""

    async def main() -> None:
        ended = asyncio.Event()

        def long() -> Exchange[None]:
            yield from steps()
            ended.set()

        running = asyncio.create_task(arun(long(), answer_later))
        await asyncio.sleep(0)
        running.cancel()
        await ended.wait()
        assert running.cancelled()

    asyncio.run(main())


def test_commands_can_depend_on_the_run_they_are_said_in() -> None:
    """They are made when there is a link to say them over."""

    def dependent() -> Exchange[list[object]]:
        return (yield Request(lambda run: [run.encode()]))

    assert run(dependent(), answer) == [b"RUN"]
