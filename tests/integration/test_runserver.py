"""``manage.py runserver`` as its users meet it: what it prints, which options it has, how it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration.project import make_project
from tests.runserver import BANNER, RunServer, echoes, manage, receive, running

TIME = r"\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d"
MEMORY = "default (channel_layers.memory.layer.MemoryChannelLayer)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunServer]:
    """The project as it is, with traces."""
    with running(make_project(tmp_path_factory.mktemp("plain")), "--noreload", "-v", "2") as server:
        yield server


def serves_everything(server: RunServer, style: int = 200) -> bool:
    """Whether a socket echoes, a view answers, and the static file is answered with status ``style``."""
    with server.connect("/chat/") as client:
        assert echoes(client, "hello")
    assert server.get("/hello/") == (200, "Hello")
    assert server.get("/static/style.css")[0] == style
    return True


# What it prints


def test_banner(server: RunServer) -> None:
    """Django's lines, and behind them the layer and the workers."""
    begin = server.lines.index("Performing system checks...")
    assert server.lines[begin + 2] == "System check identified no issues (0 silenced)."
    assert f"Starting development server at http://127.0.0.1:{server.port}/" in server.lines
    assert f"Channel layer {MEMORY}, 4 worker threads, HTTP and WebSocket." in server.lines


def test_a_request_is_logged_as_django_does(server: RunServer) -> None:
    """Time, request line, status and size."""
    since = server.mark()
    assert server.get("/hello/?name=ada") == (200, "Hello")
    assert server.wait_for(rf'^\[{TIME}\] "GET /hello/\?name=ada HTTP/1\.1" 200 5$', since)
    assert server.get("/nowhere/")[0] == 404
    assert server.wait_for(rf'^\[{TIME}\] "GET /nowhere/ HTTP/1\.1" 404 \d+$', since)


def test_a_socket_is_logged_when_it_opens_and_closes(server: RunServer) -> None:
    """Path and client; then the code, who closed, how long it lived, and messages in and out."""
    since = server.mark()
    with server.connect("/chat/?token=secret") as client:
        _, port = client.socket.getsockname()
        assert server.wait_for(rf"^\[{TIME}\] WS OPEN /chat/ \[127\.0\.0\.1:{port}\]$", since)
        for text in ("one", "two", "three"):
            assert echoes(client, text)
    assert server.wait_for(rf"^\[{TIME}\] WS CLOSE /chat/ 1000 by client after \d+\.\d s, in 3 out 3$", since)
    assert server.matching("secret", since) == []


def test_a_client_that_vanishes_is_logged(server: RunServer) -> None:
    """A connection that ends without a close frame has code 1006."""
    since = server.mark()
    with server.connect("/chat/") as client:
        assert echoes(client, "hello")
        client.socket.close()
        assert server.wait_for(r"WS CLOSE /chat/ 1006 by network .* after \d+\.\d s, in 1 out 1$", since)


def test_verbosity_two_traces_each_call(server: RunServer) -> None:
    """Channel, path, consumer and the milliseconds it took."""
    since = server.mark()
    with server.connect("/chat/") as client:
        assert echoes(client, "hello")
    assert server.wait_for(rf"^\[{TIME}\] websocket\.connect /chat/ -> .*\.default_connect \d+\.\d ms$", since)
    assert server.wait_for(rf"^\[{TIME}\] websocket\.receive /chat/ -> mysite\.consumers\.echo \d+\.\d ms$", since)
    assert server.get("/hello/")[0] == 200
    assert server.wait_for(r"http\.request /hello/ -> channels\.staticfiles\.StaticFilesConsumer \d+\.\d ms$", since)


def test_a_port_in_use(server: RunServer, tmp_path: Path) -> None:
    """One sentence, no traceback, and the first server goes on."""
    second = RunServer(make_project(tmp_path), f"127.0.0.1:{server.port}", "--noreload")
    assert second.wait() == 1
    assert second.lines[-1] == "Error: That port is already in use."
    assert second.matching("Traceback") == []
    assert serves_everything(server)


# Apps beside it


@pytest.mark.parametrize(
    ("apps", "style"),
    [
        (["channels", "django.contrib.staticfiles"], 200),
        (["django.contrib.staticfiles", "channels"], 200),
        (["channels", "whitenoise.runserver_nostatic", "django.contrib.staticfiles"], 404),
    ],
)
def test_the_order_of_installed_apps_does_not_matter(tmp_path: Path, apps: list[str], style: int) -> None:
    """It is our runserver that runs; WhiteNoise's app still keeps it from serving static files itself."""
    with running(make_project(tmp_path, f"INSTALLED_APPS = {apps}"), "--noreload") as server:
        assert serves_everything(server, style)


def test_whitenoise_serves_the_static_files(tmp_path: Path) -> None:
    """Its middleware stands among Django's and works as it does elsewhere."""
    settings = """
INSTALLED_APPS = ["whitenoise.runserver_nostatic", "django.contrib.staticfiles", "channels"]
MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware"]
"""
    with running(make_project(tmp_path, settings), "--noreload") as server:
        assert server.get("/static/style.css") == (200, "body { color: teal }")
        assert serves_everything(server)


def test_another_runserver_is_warned_of(tmp_path: Path) -> None:
    """An app with a runserver of its own keeps it where it comes first, and a check says what that means."""
    project = make_project(tmp_path, 'INSTALLED_APPS = ["other", *INSTALLED_APPS]')
    commands = project / "other" / "management" / "commands"
    commands.mkdir(parents=True)
    (project / "other" / "__init__.py").touch()
    (commands / "runserver.py").write_text("from django.core.management.commands.runserver import Command\n")
    output = manage(project, "check")
    assert "(channels.W001) the runserver of 'other' is used: it serves no WebSockets" in output
    assert "Put 'channels' before it in INSTALLED_APPS." in output
    with running(project, "--noreload", banner=BANNER) as server:
        assert server.get("/hello/") == (200, "Hello")
        assert server.matching("^Channel layer") == []


# Options


def test_without_channel_layers_it_is_djangos_own(tmp_path: Path) -> None:
    """Nothing is different from plain Django, until something is sent: the error has a setting to paste."""
    with running(make_project(tmp_path, "del CHANNEL_LAYERS"), "--noreload", banner=BANNER) as server:
        assert server.get("/hello/") == (200, "Hello")
        assert server.get("/static/style.css")[0] == 200
        with pytest.raises(InvalidStatus) as refusal, server.connect("/chat/"):
            pass
        assert refusal.value.response.headers["Server"].startswith("WSGIServer")
        status, text = server.get("/send/")
        assert status == 200
        assert 'CHANNEL_LAYERS = {\n    "default": {\n        "BACKEND": "channel_layers.memory.MemoryCh' in text
        assert server.matching("^Channel layer") == []


def test_noasgi_is_djangos_own(tmp_path: Path) -> None:
    """Views answer over WSGI; what one of them sends is in vain, which is said once."""
    with running(make_project(tmp_path), "--noreload", "--noasgi", banner=BANNER) as server:
        assert server.get("/hello/") == (200, "Hello")
        assert server.get("/send/") == server.get("/send/") == (200, "Sent")
        server.mark()
        assert len(server.matching(rf"^nothing in this process reads the layer {re.escape(MEMORY)}, and no other")) == 1
        assert server.matching("^Channel layer") == []


def test_noworker_answers_503(tmp_path: Path) -> None:
    """What there is room for waits a moment for a worker elsewhere; the log has the command to run, or the limit."""
    settings = """
CHANNEL_LAYERS["default"]["CONFIG"] = {"channel_capacity": {"http.request": 1}}
CHANNELS = {"MAX_HANDSHAKES": 1, "MAX_WAITING_HANDSHAKES": 0}
"""
    project = make_project(tmp_path, settings)
    with running(project, "--noreload", "--noworker") as server, ThreadPoolExecutor() as threads:
        assert server.matching(rf"^Channel layer {re.escape(MEMORY)}, no workers here, HTTP and WebSocket\.$")
        assert server.wait_for("^nothing will be answered: no workers here, and none elsewhere can read default")
        answers = [threads.submit(server.get, "/hello/") for _ in range(2)]
        refusals = [threads.submit(refusal_of, server) for _ in range(2)]
        assert [answer.result()[0] for answer in answers] == [503, 503]
        assert [refusal.result() for refusal in refusals] == [503, 503]
        for line in (
            r"GET /hello/ answered 503: channel 'http\.request' is full: 1 messages wait, the limit is 1, .*raise ",
            r"WS REFUSED /chat/ 503 \[[\d.:]+\]: 1 handshakes wait for a decision already \(max_handshakes\), 0 for",
            "GET /hello/ answered 503: no worker reads http.request; start a worker with: python manage.py runworker ",
            r"WS REFUSED /chat/ 503 .*no worker reads websocket\.connect; start one with: python manage.py runworker$",
        ):
            server.wait_for(line)
            assert len(server.matching(line)) == 1


def refusal_of(server: RunServer) -> int:
    """Return the status a handshake is refused with."""
    with pytest.raises(InvalidStatus) as refusal, server.connect("/chat/", open_timeout=30):
        pass
    return refusal.value.response.status_code


def test_nothreading_has_one_worker_thread(tmp_path: Path) -> None:
    """One consumer at a time, and everything works."""
    with running(make_project(tmp_path), "--noreload", "--nothreading") as server:
        assert server.matching(", 1 worker thread, HTTP and WebSocket")
        assert serves_everything(server)


@pytest.mark.parametrize(
    ("settings", "options", "style"),
    [
        ("", ["--nostatic"], 404),
        ('DEBUG = False; ALLOWED_HOSTS = ["127.0.0.1"]', [], 404),
        ('DEBUG = False; ALLOWED_HOSTS = ["127.0.0.1"]', ["--insecure"], 200),
    ],
)
def test_static_files_are_served_when_django_would(
    tmp_path: Path, settings: str, options: list[str], style: int
) -> None:
    """In DEBUG unless --nostatic, otherwise only with --insecure."""
    with running(make_project(tmp_path, settings), "--noreload", *options) as server:
        assert serves_everything(server, style)


def test_options_go_before_settings(tmp_path: Path) -> None:
    """The time limits of the command line hold, and those of CHANNELS otherwise."""
    settings = 'CHANNELS = {"HTTP_TIMEOUT": 30.0, "MAX_MESSAGE_SIZE": 10}'
    options = ["--http-timeout", "0.2", "--max-message-size", "20"]
    with running(make_project(tmp_path, settings), "--noreload", *options) as server:
        assert server.get("/never/")[0] == 503
        assert server.wait_for(r"GET /never/ answered 503: no response within 0\.2 s \(http_timeout\)")
        with server.connect("/chat/") as client:
            assert echoes(client, "x" * 20)
            client.send("x" * 21)
            with pytest.raises(ConnectionClosed) as closed:
                receive(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


# The end


@pytest.mark.parametrize("options", [["--noreload"], []], ids=["alone", "under the autoreloader"])
def test_control_c_closes_sockets_and_ends(tmp_path: Path, options: list[str]) -> None:
    """Sockets hear 1012, and neither a traceback nor an error status is left."""
    with running(make_project(tmp_path), *options) as server:
        with server.connect("/chat/") as client, server.connect("/idle/") as idle:
            assert echoes(client, "hello")
            server.interrupt()
            for socket in (client, idle):
                with pytest.raises(ConnectionClosed) as closed:
                    receive(socket)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1012
        assert server.wait() == 0
    assert server.matching("Traceback|Error|Exception") == []
    assert server.matching(r"WS CLOSE /chat/ 1012 by server .* in 1 out 1$")


def test_control_c_lets_a_request_finish(tmp_path: Path) -> None:
    """The view that runs is answered, though nothing new is accepted."""
    with running(make_project(tmp_path), "--noreload") as server, ThreadPoolExecutor() as threads:
        late = threads.submit(server.get, "/slow/")
        server.wait_for("^slow begins$")
        server.interrupt()
        assert late.result() == (200, "Late")
        assert server.wait() == 0


# Processes beside it


LOUD = """
from channel_layers.memory import MemoryChannelLayer


class Loud(MemoryChannelLayer):
    def __init__(self, **options):
        print("a layer is built")
        super().__init__(**options)
"""


def test_a_plain_process_opens_no_layer_before_its_first_send(tmp_path: Path) -> None:
    """Importing the WSGI application, or everything we have, builds no layer; a sender never imports the routing."""
    settings = 'CHANNEL_LAYERS["default"]["BACKEND"] = "mysite.layers.Loud"'
    project = make_project(
        tmp_path, settings, layers=LOUD, routing='print("routing is imported")\nchannel_routing = []'
    )
    lines = [
        "import channels, channels.asgi, channels.auth, channels.handler, channels.routing, channels.sessions",
        "from mysite.wsgi import application",
        "from django.test import Client",
        "Client().get('/hello/', headers={'host': '127.0.0.1'})",
        "print('nothing yet')",
        "channels.Channel('jobs').send({})",
    ]
    output = manage(project, "shell", "--no-imports", "-c", "\n".join(lines)).splitlines()
    assert output[:2] == ["nothing yet", "a layer is built"]
    assert "routing is imported" not in output


def test_a_send_that_nothing_can_read_is_warned_of_once(tmp_path: Path) -> None:
    """On the memory layer no other process can hear: the warning names the layer and what to use instead."""
    lines = ["from channels import Channel, Group", *["Channel('jobs').send({})", "Group('hall').send({})"] * 2]
    output = manage(make_project(tmp_path), "shell", "--no-imports", "-c", "\n".join(lines)).strip()
    assert output == (
        f"nothing in this process reads the layer {MEMORY}, and no other process can: a message was sent in vain. "
        "Send from a process that runs workers (runserver), or use a layer that crosses processes."
    )
