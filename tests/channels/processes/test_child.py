"""One process, as its parent sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from channels.processes.child import Child, Launch, how_it_ended
from tests.channels.processes.children import PATIENCE, kill, launch


def test_it_tells_when_it_is_ready() -> None:
    """And what it calls itself; then it ends when it is told to."""

    async def main() -> None:
        heard: list[tuple[str, str]] = []
        child = await Child.start("worker 1", launch("works"), lambda child, *said: heard.append(said))
        assert (child.is_ready, child.has_ended) == (False, False)
        assert await child.wait_until_ready(PATIENCE)
        assert child.process == "works"
        assert str(child) == f"worker 1 (process {child.pid})"
        assert child.age >= 0
        child.send(signal.SIGTERM)
        assert await child.wait() == 0
        await child.close()
        assert child.has_ended
        child.send(signal.SIGTERM)
        assert heard == [("ready", "works"), ("finishing", "")]

    asyncio.run(main())


@pytest.mark.parametrize(("behaviour", "status"), [("fails", 2), ("dies", 3)])
def test_one_that_ends_is_not_ready(behaviour: str, status: int) -> None:
    """Whether before it said that it was, or behind."""

    async def main() -> None:
        child = await Child.start("worker", launch(behaviour), lambda *said: None)
        assert await child.wait() == status
        await child.close()
        assert not await child.wait_until_ready(PATIENCE)

    asyncio.run(main())


def test_one_that_dies_early_has_a_name() -> None:
    """It may have taken something before it was ready: by its name the layer can be told."""

    async def main() -> None:
        child = await Child.start("worker 1", launch("takes early"), lambda child, *said: None)
        assert await child.wait() == 4
        await child.close()
        assert (child.process, child.is_ready) == ("early", False)

    asyncio.run(main())


def test_one_that_does_not_start_says_why() -> None:
    """What it ends with."""

    async def main() -> None:
        child = await Child.start("server", launch("fails with a reason"), lambda child, *said: None)
        assert await child.wait() == 1
        await child.close()
        assert child.fault == "the port is taken"

    asyncio.run(main())


def test_one_that_takes_too_long_is_not_ready() -> None:
    """The wait has a limit."""

    async def main() -> None:
        child = await Child.start("worker", launch("starts for ever"), lambda *said: None)
        assert not await child.wait_until_ready(0.0)
        kill(child)
        assert await child.wait() == -signal.SIGKILL
        await child.close()

    asyncio.run(main())


def test_it_ends_with_its_parent() -> None:
    """The end of the line tells it, without a signal: a crash closes that as well."""

    async def main() -> None:
        child = await Child.start("worker", launch("works"), lambda *said: None)
        assert await child.wait_until_ready(PATIENCE)
        child._listening.cancel()
        assert await child.wait() == 0

    asyncio.run(main())


def test_environment_and_descriptors_are_passed_on() -> None:
    """Those that it is started with, and no others."""
    script = "import os, sys; os.write(int(sys.argv[1]), os.environ['GIVEN'].encode())"

    async def main() -> bytes:
        reading, writing = os.pipe()
        started = Launch([sys.executable, "-c", script, str(writing)], {"GIVEN": "yes"}, [writing])
        child = await Child.start("server", started, lambda *said: None)
        os.close(writing)
        assert await child.wait() == 0
        await child.close()
        with os.fdopen(reading, "rb") as file:
            return file.read()

    assert asyncio.run(main()) == b"yes"


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "ended with status 0"), (1, "ended with status 1"), (-9, "was ended by SIGKILL"), (-99, "by signal 99")],
)
def test_how_it_ended(status: int, text: str) -> None:
    """In words."""
    assert text in how_it_ended(status)
