"""One process with server, in-memory layer and one worker slot: ``python -m benchmarks.serve PORT``."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.site.settings")
django.setup()

from channels import conf  # noqa: E402 -- needs settings
from channels.layers import channel_layers  # noqa: E402
from channels.worker import Worker  # noqa: E402
from daphne.access import Access  # noqa: E402
from daphne.config import Config  # noqa: E402
from daphne.server import Server, new_event_loop  # noqa: E402


def ignore(access: Access) -> None:
    """Write no access log, as rivals are measured without theirs."""


async def serve(port: int) -> None:
    """Serve until killed."""
    layer = channel_layers["default"]
    layer.router.check_default()
    Worker(layer, threads=1).start()
    server = Server(layer.channel_layer, Config(**conf.server_options()), ignore)
    await server.start([socket.create_server(("127.0.0.1", port))])
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
