"""The 2016 guide, "Running with Channels": the same project over Redis, first in one terminal and then in two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guide.project import over_redis
from tests.guide.test_groups import GROUPS
from tests.runserver import manage, receive, running, working


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The chat of the guide, with ``asgi_redis.RedisChannelLayer`` and a pair of host and port as it is spelt there."""
    with over_redis(tmp_path_factory.mktemp("running"), GROUPS) as project:
        yield project


def test_runserver_works_as_before(project: Path) -> None:
    """With its own workers, over the new layer, which its banner names."""
    with running(project, "--noreload") as server:
        assert server.matching(r"^Channel layer default \(channel_layers\.redis\..*\), 4 worker threads, HTTP and WebS")
        with server.connect("/hall/") as one, server.connect("/hall/") as two:
            one.send("hello")
            assert receive(one) == receive(two) == "(somebody) hello"


def test_two_terminals(project: Path) -> None:
    """What consumers print is in that of the worker, sockets and requests are in that of the server."""
    with running(project, "--noreload", "--noworker") as server, working(project, "-v", "2") as worker:
        assert server.matching("^Channel layer .*, no workers here, HTTP and WebSocket")
        with server.connect("/hall/") as client:
            client.send("hello")
            assert receive(client) == "(somebody) hello"
        worker.wait_for("^left /hall/$")
        server.wait_for("WS CLOSE /hall/")
    assert (worker.matching("WS OPEN"), server.matching("^entering /hall/$")) == ([], [])
    for consumer in ("enter", "say", "leave"):  # what -v 2 asks for
        assert worker.matching(rf"^\[.*\] websocket\.\w+ /hall/ -> talk\.consumers\.{consumer} \d")


def test_any_process_may_send(project: Path) -> None:
    """A shell, which is neither, reaches the sockets by their group."""
    send = "from channels import Group; Group('hall').send({'text': 'from a shell'})"
    with running(project, "--noreload", "--noworker") as server, working(project), server.connect("/hall/") as client:
        manage(project, "shell", "--command", send)
        assert receive(client) == "from a shell"
