"""``runserver`` with its autoreloader: a changed file restarts everything, and sockets are told so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration.project import FILES, make_project
from tests.runserver import CHANNEL_BANNER, STARTING, RunServer, free_port, receive, running

CONSUMERS = "mysite/consumers.py"
SHOUTING = FILES[CONSUMERS].replace('message["text"]', 'message["text"].upper()')
STUCK = """
import threading


def echo(message):
    print("stuck")
    threading.Event().wait()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, to be changed."""
    return make_project(tmp_path_factory.mktemp("reload"))


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[RunServer]:
    """Its server, on a port that stays the same; each test leaves it with the code that shouts."""
    with running(project, port=free_port()) as server:
        yield server


def change(server: RunServer, project: Path, text: str) -> int:
    """Change the consumers, wait until the reloader has noticed, and return what :meth:`RunServer.wait_for` takes."""
    since = len(server.lines)
    path = project / CONSUMERS
    path.write_text(text)
    # What changes before the reloader has looked for the first time is no change to it.
    while server.search(r"consumers\.py changed, reloading\.$", since, timeout=1.5) is None:
        path.touch()
    return since


def reload(server: RunServer, project: Path, text: str) -> None:
    """Change the consumers and wait until the server is back."""
    server.wait_for(CHANNEL_BANNER, change(server, project, text), STARTING)


def test_a_change_closes_sockets_and_new_code_answers(server: RunServer, project: Path) -> None:
    """Sockets hear 1012, service restart; a client that comes back finds the new code on the same port."""
    with server.connect("/chat/") as client:
        client.send("quiet")
        assert receive(client) == "quiet"
        reload(server, project, SHOUTING)
        with pytest.raises(ConnectionClosed) as closed:
            receive(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    with server.connect("/chat/") as client:
        client.send("quiet")
        assert receive(client) == "QUIET"
    assert server.get("/hello/") == (200, "Hello")
    server.mark()
    assert server.matching("Traceback") == []


def test_a_broken_change_is_mended_by_the_next(server: RunServer, project: Path) -> None:
    """A syntax error ends the server but not the reloader, as with Django's own; the next change brings it back."""
    server.wait_for("^SyntaxError: ", change(server, project, "def echo(message:\n"), STARTING)
    reload(server, project, SHOUTING)
    with server.connect("/chat/") as client:
        client.send("mended")
        assert receive(client) == "MENDED"


def test_a_consumer_that_never_returns_does_not_hold_a_reload_up(server: RunServer, project: Path) -> None:
    """It is left behind after a moment, and its socket is told like any other."""
    reload(server, project, STUCK)
    since = len(server.lines)
    with server.connect("/chat/") as client:
        client.send("anything")
        server.wait_for("^stuck$", since)
        reload(server, project, SHOUTING)
        with pytest.raises(ConnectionClosed) as closed:
            receive(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    with server.connect("/chat/") as client:
        client.send("free")
        assert receive(client) == "FREE"
