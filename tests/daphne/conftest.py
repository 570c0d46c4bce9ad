"""Tests that are coroutines run in virtual time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Iterator

import pytest
import uvloop

from tests.daphne import virtual_time
from tests.daphne.site import LIMIT, Play


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function; leave all others to pytest."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    virtual_time.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def play(request: pytest.FixtureRequest) -> Iterator[Play]:
    """Run a coroutine on one loop and on the other, within the limit."""

    async def limited(scene: Awaitable[None]) -> None:
        async with asyncio.timeout(LIMIT):
            await scene

    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda scene: runner.run(limited(scene))
