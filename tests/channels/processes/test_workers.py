"""The workers of a layer as processes: how they are started, and what follows from what they say."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channels.layers import ChannelLayerWrapper
from channels.processes import workers
from channels.processes.child import Child, Launch
from channels.processes.workers import WorkerOptions, Workers
from tests.channels.processes.children import PATIENCE, kill, launch


class Layer(MemoryChannelLayer):
    """Notes which processes have been reported to have ended."""

    crosses_processes: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []
        self.is_away = False

    async def awithdraw(self, process: str) -> None:
        if self.is_away:
            raise LayerUnavailable("the layer cannot be reached")
        self.ended.append(process)


class Scripts(WorkerOptions):
    """Starts scripts in place of workers."""

    def launch(self, name: str, is_new: bool) -> Launch:
        return launch(os.environ["BEHAVIOUR"])


class Kept:
    """Workers that run in the background of a test."""

    def __init__(self, **options: Any) -> None:
        self.layer = Layer()
        self.workers = Workers(
            ChannelLayerWrapper(self.layer, "default", []), Scripts(stop_timeout=PATIENCE, **options)
        )
        self.fleet = self.workers.fleet
        self.running = asyncio.create_task(self.workers.run())

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - several things, some of which nobody tells
                await asyncio.sleep(0.01)

    async def ready(self, after: Child | None = None) -> Child:
        """Return the process in the first place, once it is another than ``after`` and ready."""

        def is_ready() -> bool:
            child = self.fleet.places[0].child
            return child is not None and child is not after and child.is_ready

        await self.until(is_ready)
        child = self.fleet.places[0].child
        assert child is not None
        return child

    async def stopped(self) -> bool:
        self.workers.stop()
        async with asyncio.timeout(PATIENCE):
            return await self.running


@pytest.fixture(autouse=True)
def behave(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[str], None]:
    """Say how processes behave that start from now on."""
    caplog.set_level(logging.INFO, "django.channels.processes")
    monkeypatch.setenv("BEHAVIOUR", "works")
    return lambda behaviour: monkeypatch.setenv("BEHAVIOUR", behaviour)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test in a loop."""

    async def whole() -> None:
        await main()

    asyncio.run(whole())


def words(**options: Any) -> list[str]:
    """Return the command line for the first process, behind the program."""
    return list(WorkerOptions(as_called=False, **options).launch("worker 1", False).command[3:])


def test_command_line_has_what_was_asked_for() -> None:
    """Options of the supervisor that each process has as well, and those of every command."""
    assert words() == [
        "runworker",
        "--name=worker 1",
        "--layer=default",
        "--threads=1",
        "--concurrency=100",
        "--stop-timeout=30.0",
        "--verbosity=1",
        "--skip-checks",
    ]
    everything = words(
        layer="other",
        processes=3,
        threads=2,
        reserve=["http=1"],
        concurrency=7,
        only_channels=["a*", "b"],
        exclude_channels=["c"],
        stop_timeout=5.0,
        max_messages=100,
        max_rss=64.0,
        max_memory=500.0,
        reload=True,
        verbosity=2,
        http_consumer="channels.handler.ViewConsumer",
        others=["--traceback"],
    )
    [born] = [word for word in everything if word.startswith("--born=")]
    assert abs(time.time() - float(born.partition("=")[2])) < PATIENCE
    everything.remove(born)
    assert everything == [
        "runworker",
        "--name=worker 1",
        "--layer=other",
        "--threads=2",
        "--concurrency=7",
        "--stop-timeout=5.0",
        "--max-messages=100",
        "--max-rss=64.0",
        "--max-memory=500.0",
        "--verbosity=2",
        "--http-consumer=channels.handler.ViewConsumer",
        "--reserve=http=1",
        "--only-channels=a*",
        "--only-channels=b",
        "--exclude-channels=c",
        "--skip-checks",
        "--traceback",
    ]


def test_new_code_is_checked() -> None:
    """As at every start of a command; what ran a moment ago is not."""
    assert "--skip-checks" not in WorkerOptions(as_called=False).launch("worker", True).command


def test_the_end_of_a_process_is_reported_at_once() -> None:
    """By its name on the layer, if it could not do so itself."""

    async def main() -> None:
        kept = Kept(processes=2)
        first = await kept.ready()
        kill(first)
        await kept.ready(after=first)
        await kept.until(lambda: kept.layer.ended)
        assert await kept.stopped()
        assert kept.layer.ended == ["works"]

    run(main)


def test_a_layer_that_is_away_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """It finds out by itself later; a line says so, and the process is started again."""

    async def main() -> None:
        kept = Kept()
        kept.layer.is_away = True
        first = await kept.ready()
        kill(first)
        await kept.ready(after=first)
        assert await kept.stopped()
        assert f"the end of {first} could not be told to the layer: the layer cannot be reached" in caplog.messages

    run(main)


def test_a_change_of_code_replaces_all_once(caplog: pytest.LogCaptureFixture) -> None:
    """Every process tells of it, and so may one that is about to be replaced."""

    async def main() -> None:
        kept = Kept(processes=2, reload=True)
        first = await kept.ready()
        changed = time.time()
        kept.fleet.heard(first, "changed", f"{changed} /srv/site/views.py")
        second = await kept.ready(after=first)
        for old in (first, kept.fleet.places[1].child):
            assert old is not None
            if old.born < kept.fleet.rolled:
                kept.fleet.heard(old, "changed", f"{changed} /srv/site/views.py")
        await kept.until(lambda: "all 2 workers replaced" in caplog.messages)
        assert kept.fleet.places[0].child is second
        assert caplog.messages.count("/srv/site/views.py changed, restarting the workers.") == 1
        kept.fleet.heard(first, "changed", f"{time.time()} /srv/site/urls.py")
        await kept.ready(after=second)
        assert await kept.stopped()

    run(main)


def test_a_file_that_changes_at_every_start_is_a_reason_twice(caplog: pytest.LogCaptureFixture) -> None:
    """Until something else has changed. It may be somebody who writes it again, and then it is not to be overlooked."""

    async def main() -> None:
        kept = Kept(reload=True)
        child = await kept.ready()
        for word, path, is_reason in [
            ("early", "version.py", True),
            ("early", "version.py", True),
            ("early", "version.py", False),
            ("early", "other.py", True),
            ("changed", "views.py", True),
            ("early", "version.py", True),
        ]:
            kept.fleet.heard(child, word, f"{time.time()} /srv/site/{path}")
            if is_reason:
                child = await kept.ready(after=child)
        await kept.until(lambda: caplog.messages.count("worker replaced") == 5)
        assert await kept.stopped()

    run(main)


def test_what_processes_say_of_the_settings_is_passed_on() -> None:
    """To whoever wants to know; other words are nobody's."""

    async def main() -> None:
        kept = Kept()
        child = await kept.ready()
        told: list[str] = []
        kept.fleet.heard(child, "settings", "abc")
        kept.workers.settings_told = told.append
        kept.fleet.heard(child, "settings", "def")
        kept.fleet.heard(child, "gibberish", "")
        assert told == ["def"]
        assert await kept.stopped()

    run(main)


def test_code_that_does_not_start_is_tried_again_when_any_file_changes(
    behave: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that no process has ever imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "PAUSE", 0.05)

    async def main() -> None:
        behave("fails")
        kept = Kept(reload=True)
        await kept.until(lambda: kept.fleet.is_broken)
        behave("works")
        new = tmp_path / "app" / "new.py"
        new.parent.mkdir()
        new.touch()
        os.utime(new, (time.time() + 1, time.time() + 1))
        await kept.ready()
        await kept.until(lambda: not kept.fleet.is_broken)
        assert await kept.stopped()

    run(main)


def test_a_roll_is_the_fleets() -> None:
    """The workers only pass it on."""

    async def main() -> None:
        kept = Kept()
        first = await kept.ready()
        kept.workers.roll()
        await kept.ready(after=first)
        assert await kept.stopped()

    run(main)
