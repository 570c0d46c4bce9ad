"""What the page about Redis tells of keys and connections is so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from channel_layers.redis.keys import Keys
from tests.channel_layers.redis.server import RedisServer
from tests.documents import ROOT
from tests.integration.project import make_project
from tests.runserver import STARTING, RunServer, RunWorker, echoes

PAGE = (ROOT / "docs/howto/redis.md").read_text()
SETTINGS = """
CHANNEL_LAYERS["default"] |= {"BACKEND": "channel_layers.redis.RedisChannelLayer", "CONFIG": {"hosts": "<hosts>"}}
"""
ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "mysite.settings"}


class Daphne(RunServer):
    """The command ``daphne``."""

    command = ("-m", "daphne", "channels.asgi:channel_layer", "--port", "0")


class Sender(RunServer):
    """A process that sends, and waits to be interrupted."""

    command = ("-c",)


SEND = """
import threading
from channels import Channel
threads = [threading.Thread(target=Channel("work").send, args=[{}]) for _ in range(10)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("sent")
try: threading.Event().wait()
except KeyboardInterrupt: pass
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server whose connections can be counted."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


def test_every_key_is_listed() -> None:
    """The table has the name of every kind of key, and no other."""
    table = PAGE.partition("| key | type | holds |")[2].partition("\n\n")[0]
    listed = re.findall(r"`(channels:.*?)`", table)
    keys = Keys("channels:")
    named = {"queue", "bell", "wake", "stream", "entry", "gaps", "waiting", "room", "notes", "turns"}
    named |= {"body", "group", "answers", "kept", "content"}
    assert {name for name in vars(Keys) if not name.startswith("_")} == named | {"trial", "is_stream"}
    inbox, channel, slot = "<inbox>", "<channel>", "<slot>"
    assert sorted(listed) == sorted(
        [
            *(keys.queue(channel), keys.bell(channel), keys.claims + slot, keys.slots, keys.processes, keys.wake(slot)),
            *(keys.kept(channel), keys.dead, keys.content("<event>")),
            *(keys.stream(inbox), keys.entry(inbox, "<key>"), keys.gaps(inbox), keys.waiting(inbox), keys.room(inbox)),
            *(keys.notes(inbox), *keys.turns(channel)),
            *(keys.body("<channel>"), keys.group("<group>"), keys.answers("<question>")),
        ]
    )


def test_connections_are_as_few_as_it_says(server: RedisServer, tmp_path: Path) -> None:
    """Four for an interface server, one for each thread of a worker and one more, and one for who sends."""
    project = make_project(tmp_path / "site", SETTINGS.replace("<hosts>", server.url))
    with ExitStack() as started:

        def start(process: RunServer, line: str) -> RunServer:
            started.callback(process.stop)
            process.wait_for(line, timeout=STARTING)
            return process

        daphne = start(Daphne(project, environment=ENVIRONMENT), "listens on")
        daphne.port = int(daphne.wait_for(r"listens on http://127\.0\.0\.1:(\d+)")[1])
        start(RunWorker(project, "--threads", "3", environment=ENVIRONMENT), "^Channels: ")
        start(Sender(project, SEND, environment=ENVIRONMENT), "^sent$")
        clients = [started.enter_context(daphne.connect("/")) for _ in range(20)]
        assert all(echoes(client, "hello") for client in clients)
        assert sorted(Counter(server.connections()).values()) == [1, 4, 4]
