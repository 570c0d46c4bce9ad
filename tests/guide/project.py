"""A project as the guide has its readers make one: ``startproject``, ``startapp``, and what they then write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.core.management import call_command

from tests.channel_layers.redis.server import RedisServer
from tests.runserver import RunServer, free_port, manage, running, working, write_files

Site = Callable[..., RunServer]
"""Starts a project: ``site(name, files, *commands)``, with ``commands`` of ``manage.py`` carried out before."""

MEMORY = '"BACKEND": "asgiref.inmemory.ChannelLayer",'
REDIS = """"BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {
            "hosts": [("localhost", <port>)],
        },"""
SETTINGS = """
INSTALLED_APPS += ["channels", "talk"]

CHANNEL_LAYERS = {
    "default": {
        <layer>
        "ROUTING": "mysite.routing.channel_routing",
    },
}
"""


def start_project(directory: Path, files: Mapping[str, str], layer: str = MEMORY) -> Path:
    """Make the project ``mysite`` with the app ``talk`` in ``directory``, then write ``files``; return where."""
    call_command("startproject", "mysite", str(directory))
    (directory / "talk").mkdir()
    call_command("startapp", "talk", str(directory / "talk"))
    with (directory / "mysite" / "settings.py").open("a") as settings:
        settings.write(SETTINGS.replace("<layer>", layer))
    return write_files(directory, files)


@contextmanager
def in_one_process(directory: Path, files: Mapping[str, str], commands: Sequence[str]) -> Iterator[RunServer]:
    """Run the project as the guide begins: server and workers in ``runserver``, on the layer in memory."""
    project = prepared(start_project(directory, files), commands)
    with running(project, "--noreload") as server:
        yield server


@contextmanager
def in_two_processes(directory: Path, files: Mapping[str, str], commands: Sequence[str]) -> Iterator[RunServer]:
    """Run the project as the guide goes on: ``runserver --noworker`` and ``runworker``, over Redis."""
    with over_redis(directory, files) as project:
        prepared(project, commands)
        with running(project, "--noreload", "--noworker") as server, working(project, beside=server):
            yield server


@contextmanager
def over_redis(directory: Path, files: Mapping[str, str]) -> Iterator[Path]:
    """Make the project with the guide's settings for Redis, and run a server for it until the block ends."""
    redis, port = RedisServer(directory), free_port()
    redis.start("--port", str(port))
    try:
        yield start_project(directory, files, REDIS.replace("<port>", str(port)))
    finally:
        redis.kill()


def prepared(project: Path, commands: Sequence[str]) -> Path:
    """Carry out ``commands`` in the project and return it."""
    for command in commands:
        manage(project, *command.split(), "--verbosity", "0")
    return project
