import asyncio
import atexit
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from logging.handlers import MemoryHandler
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.contrib.staticfiles.management.commands.runserver import Command as StaticFilesCommand
from django.core.management import CommandError, call_command
from django.core.servers.basehttp import WSGIServer
from django.test import override_settings

from channel_layers.memory import MemoryChannelLayer
from channels.handler import ViewConsumer
from channels.layers import channel_layers
from channels.management.commands import runserver
from channels.management.commands.runserver import (
    HTTP_TIMEOUT,
    THREADS,
    Command,
    DevelopmentServer,
    concerns_workers,
    log_access,
)
from channels.management.logs import access_log
from channels.routing import route
from channels.staticfiles import StaticFilesConsumer
from daphne.access import CLOSE, OPEN, REFUSED, REQUEST, Access
from daphne.access_format import as_text
from daphne.config import Config
from daphne.source import Source
from tests.channels.workers import PATIENCE, Crossing, default_layer, layer_of

LOCAL = ("127.0.0.1", 0)
SOURCE = Source(("127.0.0.1", 50001))


class Prepared(Command):
    """Does everything but run."""

    handler: Any

    def run(self, **options: Any) -> None:
        self.handler = self.get_handler(**options)


def prepared(*arguments: str, stdout: StringIO | None = None) -> Prepared:
    """Return the command as it is when it would run."""
    command = Prepared(stdout=stdout or StringIO())
    call_command(command, *arguments, no_color=True)
    return command


def server_of(*arguments: str) -> Any:
    """Return the server that would run."""
    return prepared(*arguments).server_cls


# -- from options to the server ----------------------------------------------------------------------------------------


def test_defaults() -> None:
    """Workers and interface server in one process, with a limit for responses that suits a debugger."""
    server = server_of()
    assert issubclass(server, DevelopmentServer)
    assert (server.threads, server.trace, server.workers_text()) == (THREADS, False, "4 worker threads")
    assert server.config == Config(http_timeout=HTTP_TIMEOUT, allowed_hosts=("testserver",))


@pytest.mark.parametrize(
    ("arguments", "threads", "text"),
    [
        (["--noworker"], 0, "no workers here"),
        (["--nothreading"], 1, "1 worker thread"),
        (["--noworker", "--nothreading"], 0, "no workers here"),
    ],
)
def test_number_of_workers(arguments: list[str], threads: int, text: str) -> None:
    """Django's option for threads is that of the workers."""
    server = server_of(*arguments)
    assert (server.threads, server.workers_text()) == (threads, text)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "4 worker threads in a process of their own"),
        (["--nothreading"], "1 worker thread in a process of their own"),
        (["--noworker"], "no workers here"),
    ],
)
def test_on_a_layer_between_processes_sockets_outlive_changes(arguments: list[str], text: str) -> None:
    """The workers are processes then, and are started with the options that concern them."""
    with default_layer(layer_of(layer=Crossing())):
        server = server_of(*arguments, "-v", "2", "--nostatic")
        assert (server.outlives_code, server.workers_text()) == (True, text)
        options = server.worker_options
        assert options.threads == (1 if "--nothreading" in arguments else 4)
        assert (options.reload, options.verbosity) == (True, 2)
        assert options.http_consumer == "channels.handler.ViewConsumer"
        assert server_of("--noreload").outlives_code is False
        assert server_of().worker_options.verbosity == 0


def test_changes_of_the_server_itself_concern_it() -> None:
    """All other code is run by the workers, which look after it."""
    assert concerns_workers(Path("/srv/site/views.py"))
    for package in ("channels/routing.py", "daphne/server.py", "channel_layers/redis/layer.py"):
        assert not concerns_workers(Path(runserver.__file__).parents[3] / package)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--http_timeout", "5", "--websocket_handshake_timeout", "2.5"],
        ["--http-timeout", "5", "--handshake-timeout", "2.5"],
    ],
)
def test_timeouts(arguments: list[str]) -> None:
    """In either spelling."""
    config = server_of(*arguments).config
    assert (config.http_timeout, config.handshake_timeout) == (5.0, 2.5)


def test_command_line_goes_before_settings() -> None:
    """And settings before defaults."""
    with override_settings(CHANNELS={"HTTP_TIMEOUT": 7.0, "HANDSHAKE_TIMEOUT": 3.0}):
        config = server_of("--http-timeout", "5").config
    assert (config.http_timeout, config.handshake_timeout) == (5.0, 3.0)


def test_verbosity_shows_each_message() -> None:
    """From 2 on."""
    assert server_of("-v", "2").trace


@pytest.mark.parametrize(
    ("arguments", "debug", "consumer"),
    [
        ([], True, StaticFilesConsumer),
        ([], False, ViewConsumer),
        (["--insecure"], False, StaticFilesConsumer),
        (["--nostatic"], True, ViewConsumer),
        (["--nostatic", "--insecure"], True, ViewConsumer),
    ],
)
def test_static_files(arguments: list[str], debug: bool, consumer: type) -> None:
    """Where Django's command would serve them."""
    with override_settings(DEBUG=debug):
        assert server_of(*arguments).http_consumer is consumer


def test_whitenoise_serves_static_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its app, which stands for the option."""
    module = ModuleType("whitenoise.runserver_nostatic")
    module.__path__ = ["."]
    monkeypatch.setitem(sys.modules, "whitenoise", ModuleType("whitenoise"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    is_installed = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name == module.__name__ or is_installed(name))
    with override_settings(DEBUG=True):
        assert server_of().http_consumer is ViewConsumer


def test_noasgi_is_django() -> None:
    """Its own server, with WSGI."""
    command = prepared("--noasgi")
    assert command.server_cls is WSGIServer
    assert callable(command.handler)


def test_project_without_layers_is_django() -> None:
    """A project that only has the app installed sees no difference."""
    projects: list[dict[str, Any]] = [{}, {"other": {}}]
    for configs in projects:
        with override_settings(CHANNEL_LAYERS=configs):
            assert prepared().server_cls is WSGIServer


def test_wsgi_is_not_made_for_nothing() -> None:
    """Consumers answer; the project's WSGI module is not imported."""
    assert prepared().handler is None


@pytest.mark.parametrize(
    ("arguments", "settings", "text"),
    [
        (["--http-timeout=-1"], {}, "http_timeout must not be negative, not -1.0"),
        ([], {"CHANNELS": {"MAX_FRAME_SIZE": -5}}, "CHANNELS['MAX_FRAME_SIZE'] is a whole number, 0 or more, not -5"),
        ([], {"CHANNELS": {"PING_INTERVALL": 5}}, "Did you mean 'PING_INTERVAL'?"),
    ],
)
def test_fault_is_an_error_of_the_command(arguments: list[str], settings: dict[str, Any], text: str) -> None:
    """It names the value; nothing starts."""
    with override_settings(**settings), pytest.raises(CommandError) as caught:
        prepared(*arguments)
    assert text in str(caught.value)


def test_banner_says_what_runs() -> None:
    """After Django's own lines."""
    stdout = StringIO()
    prepared("--noworker", stdout=stdout).on_bind(8000)
    line = f"Channel layer {channel_layers['default']}, no workers here, HTTP and WebSocket.\n"
    assert stdout.getvalue().endswith(line)


def test_banner_of_django_is_left_alone() -> None:
    """Nothing of ours runs then."""
    stdout = StringIO()
    prepared("--noasgi", stdout=stdout).on_bind(8000)
    assert "development server at http" in stdout.getvalue()
    assert "Channel layer" not in stdout.getvalue()


def test_command_is_that_of_staticfiles() -> None:
    """With its options, where the app is installed."""
    assert issubclass(Command, StaticFilesCommand)


# -- the server --------------------------------------------------------------------------------------------------------

NewServer = Callable[..., DevelopmentServer]


@pytest.fixture
def new_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NewServer]:
    """Make servers, which are not left to the end of the process."""
    made: list[DevelopmentServer] = []

    def new(threads: int = 1, ipv6: bool = False, layer: type[MemoryChannelLayer] = MemoryChannelLayer) -> Any:
        attributes = {
            "layer": layer_of(route("websocket.receive", print), layer=layer()),
            "config": Config(),
            "threads": threads,
            "trace": False,
            "http_consumer": ViewConsumer,
        }
        kind = type("TestServer", (DevelopmentServer,), attributes)
        made.append(kind(("::1", 0) if ipv6 else LOCAL, object, ipv6))
        return made[-1]

    yield new
    for server in made:
        server.socket.close()


def test_server_is_bound_when_made(new_server: NewServer) -> None:
    """So that Django's command can say that the port is taken, and which one it is."""
    server = new_server()
    assert server.server_port == server.socket.getsockname()[1] > 0
    kind = type("Second", (DevelopmentServer,), {})
    with pytest.raises(OSError, match="Address already in use"):
        kind(("127.0.0.1", server.server_port), object)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_server_speaks_ipv6(new_server: NewServer) -> None:
    """Where Django's option asks for it."""
    assert new_server(ipv6=True).socket.family == socket.AF_INET6


@pytest.mark.parametrize(
    ("threads", "layer", "warnings"), [(1, MemoryChannelLayer, 0), (0, MemoryChannelLayer, 1), (0, Crossing, 0)]
)
def test_server_serves_until_the_process_ends(
    new_server: NewServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    threads: int,
    layer: type[MemoryChannelLayer],
    warnings: int,
) -> None:
    """With workers it answers with Django's views; at the end of the process it closes in order.

    Without workers on a layer that nobody else can read, it says that nothing will be answered.
    """
    farewells: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", farewells.append)
    monkeypatch.setattr(runserver, "show_logs", lambda trace: None)
    server = new_server(threads, layer=layer)
    server.set_app(None)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        answer = request(server.server_port) if threads else b""
    finally:
        stop(farewells, server)
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert (answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer.endswith(b"Hello")) == (threads > 0, threads > 0)
    assert server.layer.processes() == []
    assert len([r for r in caplog.records if "nothing will be answered" in r.getMessage()]) == warnings
    farewells[0]()


def request(port: int) -> bytes:
    """Return the answer to a request for the greeting."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"GET /hello/ HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: client.recv(65536), b""))


def stop(farewells: list[Callable[[], None]], server: DevelopmentServer) -> None:
    """End a server that accepts connections, as the end of the process would."""
    with socket.create_connection(("127.0.0.1", server.server_port), PATIENCE) as client:
        client.sendall(b"BAD\r\n\r\n")
        client.recv(65536)
    farewells[0]()


def test_interrupt_stops_the_workers(new_server: NewServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it serves leaves no thread and no announcement."""
    monkeypatch.setattr(atexit, "register", lambda farewell: None)
    monkeypatch.setattr(runserver, "show_logs", lambda trace: None)
    server = new_server()

    async def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio.Event, "wait", lambda event: interrupted())
    with pytest.raises(KeyboardInterrupt):
        server.serve_forever()
    assert [t.name for t in threading.enumerate() if t.name.startswith("channels-worker")] == []


def test_farewell_of_a_server_that_never_served(new_server: NewServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nobody to tell."""
    farewells: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", farewells.append)
    monkeypatch.setattr(asyncio.Runner, "__enter__", lambda runner: (_ for _ in ()).throw(OSError("no loop")))
    with pytest.raises(OSError, match="no loop"):
        new_server(threads=0).serve_forever()
    farewells[0]()
    assert len(farewells) == 1


# -- logs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "level", "status"),
    [
        (Access(REQUEST, 200, SOURCE), logging.INFO, 200),
        (Access(REQUEST, 404, SOURCE), logging.WARNING, 404),
        (Access(REQUEST, 500, SOURCE), logging.ERROR, 500),
        (Access(OPEN, 101, SOURCE, "/chat"), logging.INFO, 101),
        (Access(CLOSE, 1000, SOURCE, "/chat", by="client"), logging.INFO, 200),
        (Access(REFUSED, 403, SOURCE, "/chat"), logging.WARNING, 403),
    ],
)
def test_access_is_logged_as_django_does(access: Access, level: int, status: int) -> None:
    """With its level, and with what its formatter needs for time and colour."""
    handler = MemoryHandler(1000)
    access_log.addHandler(handler)
    try:
        log_access(access)
    finally:
        access_log.removeHandler(handler)
    (record,) = handler.buffer
    assert (record.getMessage(), record.levelno) == (as_text(access), level)
    assert record.__dict__["status_code"] == status
    assert record.__dict__["server_time"]
