"""Server and workers that start before their layer, or with one that they cannot use."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.channel_layers.redis.server import RedisServer
from tests.integration.project import make_project
from tests.runserver import STARTING, RunServer, RunWorker

SETTINGS = """
CHANNEL_LAYERS["default"] |= {"BACKEND": "channel_layers.redis.RedisChannelLayer", "CONFIG": {"hosts": "<hosts>"}}
"""


class Daphne(RunServer):
    """The command ``daphne`` for a project without an ``asgi.py``."""

    command = ("-m", "daphne", "channels.asgi:channel_layer", "--port", "0")


STARTED = {
    Daphne: r"process \d+ listens on http://127\.0\.0\.1:\d+",
    RunWorker: "^Channels: ",
    RunServer: r"^Channel layer .* HTTP and WebSocket\.$",
}
OPTIONS = {Daphne: (), RunWorker: (), RunServer: ("127.0.0.1:0", "--noreload", "--noworker")}


@pytest.fixture(params=STARTED, ids=lambda command: command.__name__)
def command(request: pytest.FixtureRequest) -> type[RunServer]:
    """Each of the commands that need the layer."""
    chosen: type[RunServer] = request.param
    return chosen


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that is not started yet."""
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@contextmanager
def started(command: type[RunServer], directory: Path, hosts: str) -> Iterator[RunServer]:
    """Run a process of a project whose layer is at ``hosts``, until the block ends."""
    project = make_project(directory / "site", SETTINGS.replace("<hosts>", hosts))
    process = command(project, *OPTIONS[command], environment={"DJANGO_SETTINGS_MODULE": "mysite.settings"})
    try:
        yield process
    finally:
        process.stop()


def test_a_layer_that_comes_later_is_waited_for(command: type[RunServer], redis: RedisServer, tmp_path: Path) -> None:
    """With one line when that begins and one when it ends, and then the process does what it is for."""
    with started(command, tmp_path, redis.url) as process:
        process.wait_for(r"waiting for the channel layer: unix://.* cannot be reached: .*; start the", timeout=STARTING)
        redis.start()
        process.wait_for(r"the channel layer is there after \d+\.\d s")
        process.wait_for(STARTED[command])
        assert process.stop() == 0
        assert len(process.matching("channel layer: |channel layer is there")) == 2


def test_waiting_ends_with_an_interrupt(command: type[RunServer], redis: RedisServer, tmp_path: Path) -> None:
    """Without a traceback."""
    with started(command, tmp_path, redis.url) as process:
        process.wait_for("waiting for the channel layer", timeout=STARTING)
        assert process.stop() == 128 + signal.SIGINT
        assert process.matching("Traceback") == []


def test_a_layer_that_cannot_be_used_ends_the_process(
    command: type[RunServer], redis: RedisServer, tmp_path: Path
) -> None:
    """With a sentence that says what to do, and status 1."""
    redis.start()
    redis.ask("CONFIG", "SET", "requirepass", "secret")
    with started(command, tmp_path, f"unix://:wrong@{redis.path}") as process:
        assert process.wait() == 1
        assert process.matching(r"unix://.* refuses: WRONGPASS .*; correct the password of 'default' in hosts")
        assert process.matching("Traceback|listens on|Channels: |wrong@") == []


def test_a_risk_is_said(command: type[RunServer], redis: RedisServer, tmp_path: Path) -> None:
    """And the process starts."""
    redis.start("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with started(command, tmp_path, redis.url) as process:
        process.wait_for(STARTED[command], timeout=STARTING)
        assert process.matching(r"drops keys once it holds 100\.00M \(maxmemory-policy allkeys-lru\)")
