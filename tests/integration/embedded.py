"""The small project on the embedded layer, and the commands that run it as several processes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from channel_layers.local import LocalChannelLayer
from tests.integration.project import make_project
from tests.runserver import STARTING, RunServer, free_port

SETTINGS = """
CHANNEL_LAYERS["default"]["BACKEND"] = "channel_layers.local.LocalChannelLayer"
"""
CONSUMERS = "mysite/consumers.py"
OLD = """
import asyncio
import os
import sys

from asgiref.sync import sync_to_async
from django.db import connection

VERSION = "old"


def say(text):
    sys.stdout.write(text + "\\n")  # in one go: other processes write to the same terminal


def echo(message):
    message.reply_channel.send({"text": f"{VERSION} {message['text']}"})


def leave(message):
    say(f"goodbye {message['path']}")


def work(message):
    say(f"work {message['number']} by {os.getpid()}")


def either(message):
    hold(message) if "holds" in message.content else say(f"number {message['number']}")


def query(message):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        say(f"query {message['number']} by {cursor.fetchone()[0]}")


def hold(message):
    say(f"holding in {os.getpid()}")
    open("gate").read()
    say("held")


def stick(message):
    say(f"stuck in {os.getpid()}")
    open("gate").read()


async def block(message):
    say(f"blocking {os.getpid()}")
    open("gate").read()


async def stick_in_thread(message):
    say(f"stuck in thread of {os.getpid()}")
    await sync_to_async(stick)(message)


def shut(message):
    message.channel_layer.close()
    say(f"shut {message['number']}")


async def shut_on_loop(message):
    await message.channel_layer.aclose()
    say(f"shut {message['number']}")


async def rest(message):
    say(f"resting in {os.getpid()}")
    await asyncio.Event().wait()


async def number(message):
    say(f"number {message['number']}")


def leave_all(message):
    say(f"leaving {os.getpid()}")
    os._exit(3)


def swell(message):
    eaten = b"x" * (message["mib"] * 1024 * 1024)
    say(f"full is {os.getpid()}")
    hold(message)


def devour(message, keeps=None):
    global eaten
    pieces = []
    if keeps:
        eaten = pieces
    say(f"hungry is {os.getpid()}")
    while True:
        pieces.append(bytearray(1024 * 1024))


def eat(message):
    global eaten
    eaten = b"x" * (96 * 1024 * 1024)
    say(f"full is {os.getpid()}")
"""
NEW = OLD.replace('VERSION = "old"', 'VERSION = "new"')
BROKEN = "def echo(message:\n"
ROUTING = """
from channels.routing import route

from mysite.consumers import (
    block, devour, eat, echo, either, hold, leave, leave_all,
    number, query, rest, shut, shut_on_loop, stick, stick_in_thread, swell, work,
)

channel_routing = [
    route("websocket.receive", echo),
    route("websocket.disconnect", leave),
    route("http.request", hold, path="^/hold/$"),
    route("http.request", stick, path="^/stick/$", hard_limit=0.2),
    route("http.request", block, path="^/block/$", hard_limit=0.5),
    route("http.request", stick_in_thread, path="^/thread/$", hard_limit=0.5),
    route("http.request", rest, path="^/rest/$"),
    route("block", block),
    route("shut", shut),
    route("shut_on_loop", shut_on_loop),
    route("number", number),
    route("query", query),
    route("http.request", leave_all, path="^/exit/$"),
    route("work", work),
    route("hold", hold),
    route("either", either),
    route("eat", eat),
    route("swell", swell),
    route("http.request", devour, path="^/devour/(?P<keeps>keep)?$"),
]
"""
WORKER = r"^(?:(worker(?: \d)?): )?Channel layer .*, process (\d+), "


def make_embedded(directory: Path, settings: str = "") -> Path:
    """Write the project, with ``settings`` behind its own, and a gate at which consumers wait; return ``directory``."""
    project = make_project(directory, SETTINGS + settings, consumers=OLD, routing=ROUTING)
    os.mkfifo(project / "gate")
    return project


def layer_of(project: Path) -> LocalChannelLayer:
    """Return the layer of the project, as another of its processes has it."""
    return LocalChannelLayer(project=str((project / "mysite").resolve()))


class Workers(RunServer):
    """``manage.py runworker`` with options."""

    command: ClassVar = ("manage.py", "runworker")

    def pids(self, since: int = 0) -> dict[str, int]:
        """Return the numbers of the workers that have begun, the newest of each name."""
        found = (re.search(WORKER, line) for line in self.lines[since:])
        return {match[1] or "": int(match[2]) for match in found if match}

    def wait_for_workers(self, count: int, since: int = 0) -> dict[str, int]:
        """Return the numbers of the workers once ``count`` have begun that have different names."""
        for number in range(1, count + 1):
            self.wait_for(rf"^worker {number}: Channels: " if count > 1 else "^worker: Channels: ", since, STARTING)
        return self.pids(since)


class Serve(Workers):
    """``manage.py serve`` on a port of its own."""

    command: ClassVar = ("manage.py", "serve")

    def server_pid(self, since: int = 0) -> int:
        """Return the number of the interface server once it listens."""
        return int(self.wait_for(r"process (\d+) listens on ", since, STARTING)[1])


@contextmanager
def working(project: Path, *options: str, count: int = 1) -> Iterator[Workers]:
    """Run a supervisor with ``count`` workers until the block ends."""
    workers = Workers(project, f"--processes={count}", *options)
    try:
        workers.wait_for_workers(count)
        yield workers
    finally:
        workers.stop()


@contextmanager
def serving(project: Path, *options: str, count: int = 1) -> Iterator[Serve]:
    """Run a server with ``count`` worker processes until the block ends."""
    port = free_port()
    serve = Serve(project, f"--processes={count}", f"--port={port}", *options)
    serve.port = port
    try:
        serve.server_pid()
        serve.wait_for_workers(count)
        yield serve
    finally:
        serve.stop()
