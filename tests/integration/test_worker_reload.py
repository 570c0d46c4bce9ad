"""``runserver`` on a layer between processes: a changed file restarts the workers, and sockets stay open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from websockets.exceptions import ConnectionClosed

from tests.channel_layers.local.users import is_alive
from tests.channel_layers.redis.server import until
from tests.integration.embedded import BROKEN, CONSUMERS, NEW, OLD, layer_of, make_embedded, working
from tests.runserver import CHANNEL_BANNER, STARTING, RunServer, free_port, receive, running
from tests.services import require

PATIENCE = 15.0
NOTICED = r"consumers\.py changed, restarting the workers\.$"
DONE = "^worker replaced$"
STUCK = OLD.replace(
    "def echo(message):",
    'def echo(message):\n    say("stuck")\n    open("gate").read()',
)
OPEN = """
window.closed = 0
window.answers = []
window.socket = new WebSocket("/page/")
socket.onmessage = (event) => answers.push(event.data)
socket.onclose = () => closed++
socket.onopen = () => socket.send("first")
undefined
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on the embedded layer, to be changed."""
    return make_embedded(tmp_path_factory.mktemp("reload"))


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[RunServer]:
    """Its server, on a port that stays the same."""
    with running(project, port=free_port()) as server:
        yield server


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in Chromium."""
    chromium = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        yield page
        browser.close()


def change(server: RunServer, project: Path, text: str) -> int:
    """Change the consumers, wait until a worker has noticed, and return what :meth:`RunServer.wait_for` takes."""
    since = len(server.lines)
    path = project / CONSUMERS
    path.write_text(text)
    while server.search(NOTICED, since, timeout=1.5) is None:
        path.touch()  # what changes before the first look is no change
    return since


def reload(server: RunServer, project: Path, text: str) -> None:
    """Change the consumers and wait until the workers are others."""
    server.wait_for(DONE, change(server, project, text), STARTING)


def test_banner_says_what_a_change_does(server: RunServer) -> None:
    """And where the workers are."""
    assert server.matching(
        r"^Channel layer default \(.*LocalChannelLayer\), 4 worker threads in a process of their own, "
    )
    server.wait_for(r"^When code changes, the workers restart; sockets stay open\.$")
    assert server.get("/hello/") == (200, "Hello")
    assert server.get("/static/style.css") == (200, "body { color: teal }")


def test_a_page_keeps_its_socket_when_code_changes(server: RunServer, project: Path, page: Page) -> None:
    """The browser notices nothing but that the answers are those of the new code."""
    reload(server, project, OLD)
    page.goto(f"{server.url}/hello/")
    page.evaluate(OPEN)
    page.wait_for_function("answers.length == 1")
    reload(server, project, NEW)
    page.evaluate("socket.send('second')")
    page.wait_for_function("answers.length == 2")
    assert page.evaluate("answers") == ["old first", "new second"]
    assert page.evaluate("[closed, socket.readyState]") == [0, 1]
    assert len(server.matching("WS OPEN /page/")) == 1


def test_a_broken_change_leaves_the_old_code_until_it_is_mended(server: RunServer, project: Path) -> None:
    """Its traceback is shown; the socket is answered all the time."""
    reload(server, project, OLD)
    with server.connect("/chat/") as client:
        since = change(server, project, BROKEN)
        server.wait_for("^SyntaxError: ", since, STARTING)
        server.wait_for("^the new worker does not start; what runs goes on as it is$", since)
        client.send("broken")
        assert receive(client) == "old broken"
        reload(server, project, NEW)
        client.send("mended")
        assert receive(client) == "new mended"


def test_a_consumer_that_never_returns_does_not_hold_a_reload_up(server: RunServer, project: Path) -> None:
    """It is cut off after a moment, and its socket goes on with the new code."""
    reload(server, project, STUCK)
    since = len(server.lines)
    with server.connect("/chat/") as client:
        client.send("anything")
        server.wait_for("^stuck$", since)
        reload(server, project, NEW)
        client.send("free")
        assert receive(client) == "new free"


def test_other_settings_of_the_server_restart_everything(server: RunServer, project: Path) -> None:
    """Only the server itself can take them over: sockets hear 1012, and find it at the same port."""
    settings = project / "mysite" / "settings.py"
    with server.connect("/chat/") as client:
        client.send("first")
        assert receive(client) == "new first"
        settings.write_text(settings.read_text() + "\nUSE_TZ = True\n")
        server.wait_for(DONE, len(server.lines), STARTING)
        client.send("second")
        assert receive(client) == "new second"
        since = len(server.lines)
        settings.write_text(settings.read_text() + '\nCHANNELS = {"MAX_MESSAGE_SIZE": 10}\n')
        server.wait_for("^settings of the server have changed: it restarts, and closes its sockets", since, STARTING)
        with pytest.raises(ConnectionClosed) as closed:
            receive(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    server.wait_for(CHANNEL_BANNER, since, STARTING)
    with server.connect("/chat/") as client:
        client.send("x" * 11)
        with pytest.raises(ConnectionClosed) as closed:
            receive(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_a_server_without_workers_outlives_changes_too(tmp_path: Path) -> None:
    """They are elsewhere, and restart by themselves."""
    project = make_embedded(tmp_path)
    with working(project, "--reload") as workers, running(project, "--noworker") as server:
        assert server.matching("no workers here, HTTP and WebSocket")
        with server.connect("/chat/") as client:
            client.send("first")
            assert receive(client) == "old first"
            reload(workers, project, NEW)
            client.send("second")
            assert receive(client) == "new second"


def test_control_c_ends_the_workers_too(tmp_path: Path) -> None:
    """In order, without a traceback, and with nobody left behind: not a worker, and not the layer."""
    project = make_embedded(tmp_path)
    with running(project) as server, server.connect("/chat/") as client:
        client.send("hello")
        assert receive(client) == "old hello"
        layer = layer_of(project)
        pids = {process.pid for process in layer.processes()}
        layer.close()
        server.interrupt()
        with pytest.raises(ConnectionClosed) as closed:
            receive(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert server.wait() == 0
        until(lambda: not any(map(is_alive, pids)))
        until(lambda: not Path(layer.address.path).exists())
        assert len(pids) == 2
        assert not server.matching("Traceback|Error|Exception")


def test_without_the_reloader_workers_are_threads(tmp_path: Path) -> None:
    """There is nothing to restart them for."""
    with running(make_embedded(tmp_path), "--noreload") as server:
        assert server.matching(", 4 worker threads, HTTP and WebSocket")
        assert not server.matching("When code changes")
        with server.connect("/chat/") as client:
            client.send("hello")
            assert receive(client) == "old hello"
