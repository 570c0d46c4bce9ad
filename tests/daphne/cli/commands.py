"""The command as a process of its own, with a project that has layers for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daphne.cli.options import dashed, make_parser
from tests.runserver import STARTING, RunServer

PROJECT = {
    "site_of_daphne.py": """
import threading

from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer


class Crossing(MemoryChannelLayer):
    crosses_processes = True


class Unreachable(Crossing):
    async def aannounce(self, announcement):
        raise LayerUnavailable("no layer at localhost:6379 in 5 s")


class Forgetful(Crossing):
    async def awithdraw(self, process):
        raise LayerUnavailable("the layer has gone")


def answer(layer):
    while True:
        channel, message = layer.receive(["http.request"], block=True)
        if message["path"] == "/held":
            open("gate").read()
        reply = {"status": 200, "headers": [], "content": message["path"].encode()}
        layer.send(message["reply_channel"], reply)


async def application(scope, receive, send): ...


channel_layer, unreachable, forgetful = Crossing(), Unreachable(), Forgetful()
channel_layer.server_options = {"max_body_size": 1000, "max_headers": 50}
threading.Thread(target=answer, args=[channel_layer], daemon=True).start()
""",
}


class Process(RunServer):
    """``daphne`` with a layer whose reader answers each request with its path, and waits at ``/held`` for the gate."""

    command = ("-m", "daphne")


ACTIVATION = """
import os, socket, sys

sock = socket.create_server(("127.0.0.1", 0))
if sock.fileno() != 3:
    os.dup2(sock.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "daphne", *sys.argv[1:]])
"""


class Activated(Process):
    """The same, started as systemd does: with a listening socket as descriptor 3."""

    command = ("-c", ACTIVATION)


@contextmanager
def serving(
    project: Path, *options: str, layer: str = "channel_layer", where: str = "http://", kind: type[Process] = Process
) -> Iterator[Process]:
    """Run the command until the block ends, from the line that says where it listens."""
    process = kind(project, *options, f"site_of_daphne:{layer}")
    try:
        found = process.wait_for(rf"process \d+ listens on {where}(127\.0\.0\.1:(\d+))?", timeout=STARTING)
        process.port = int(found[2] or 0)
        yield process
    finally:
        process.stop()


def parsed(*arguments: str) -> Any:
    """Return the options of a command line for some layer."""
    return make_parser().parse_args(dashed([*arguments, "site:layer"]))
