"""The command ``daphne``: its options, and what it does as a process of its own."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import resource
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import daphne
from channel_layers.memory import MemoryChannelLayer
from daphne.cli import (
    OTHER_FILES,
    WITHOUT_MEANING,
    configured,
    dashed,
    given_options,
    limits_text,
    main,
    make_parser,
    show_logs,
    within_file_limit,
)
from daphne.cli.intake import completed
from daphne.config import LIMITS, Config
from daphne.endpoints import Inherited, Tcp, Unix
from daphne.tls import Certificate
from tests.daphne.certificates import make_certificate, subject_of, trusting
from tests.runserver import PATIENCE, STARTING, RunServer, free_port, write_files

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


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the module that has the layers, and the gate."""
    directory = write_files(tmp_path_factory.mktemp("daphne"), PROJECT)
    os.mkfifo(directory / "gate")
    return directory


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


@pytest.fixture
def unchanged_logging() -> Iterator[None]:
    """The loggers that the command configures, as they were."""
    loggers = [logging.getLogger(name) for name in ("daphne", "channel_layers", "daphne.access")]
    before = [(each.level, each.propagate, each.disabled, each.handlers[:]) for each in loggers]
    yield
    for logger, (level, propagate, disabled, handlers) in zip(loggers, before, strict=True):
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
        logger.setLevel(level)
        logger.propagate, logger.disabled, logger.handlers = propagate, disabled, handlers


def parsed(*arguments: str) -> Any:
    """Return the options of a command line for some layer."""
    return make_parser().parse_args(dashed([*arguments, "site:layer"]))


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [field.name for field in LIMITS])
def test_every_limit_is_an_option(name: str) -> None:
    """In both spellings, with the type of the configuration, and with its docstring as help."""
    for option in (f"--{name}", "--" + name.replace("_", "-")):
        options = given_options(parsed(option, "9"))
        assert getattr(Config(**options), name) == 9
        assert options == {name: 9}


def test_limits_are_the_numbers_of_the_configuration() -> None:
    """Neither text nor flags nor lists."""
    names = {field.name for field in LIMITS}
    assert {"max_body_size", "ping_timeout", "max_headers"} <= names
    assert names.isdisjoint({"root_path", "subprotocols", "allowed_hosts", "trusted_origins", "debug"})


def test_help_has_the_docstrings_of_the_configuration() -> None:
    """With the defaults behind them, and without markup."""
    text = " ".join(make_parser().format_help().split())
    assert "Longest request body; longer is answered 413. (104857600)" in text
    assert "Mount point of the application, decoded (SCRIPT_NAME)." in text
    assert "``" not in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["-t", "9"], {"http_timeout": 9.0}),
        (["--websocket_connect_timeout", "9"], {"handshake_timeout": 9.0}),
        (["--websocket-connect-timeout=9"], {"handshake_timeout": 9.0}),
        (["--ws-protocol", "a", "b", "--ws_protocol", "c", "-v", "1"], {"subprotocols": ("a", "b", "c")}),
        (["--ws-protocol", "-v", "1"], {"subprotocols": ()}),
        (["--root-path", "/a_b"], {"root_path": "/a_b"}),
        (
            ["--write-policy", "a=b-*=coalesce", "--write_policy", "x=drop-oldest"],
            {"write_policies": (("a=b-*", "coalesce"), ("x", "drop-oldest"))},
        ),
        (["--idle-timeout-of", "^/chat/=600"], {"idle_timeouts": (("^/chat/", 600.0),)}),
        (["--trusted-proxy", "10.0.0.1", "--trusted_proxy", "unix"], {"trusted_proxies": ("10.0.0.1", "unix")}),
        (["--forwarded-header", "forwarded"], {"forwarded_headers": ("forwarded",)}),
        (["--access-log-format", "json"], {"access_log_format": "json"}),
        (["--no-request-ids", "--no-probes"], {"request_ids": False, "probes": False}),
    ],
)
def test_options_of_the_configuration(arguments: list[str], expected: dict[str, object]) -> None:
    """Those of 1.x and others reach the configuration; what is not given does not."""
    assert given_options(parsed(*arguments)) == expected


def test_endpoints() -> None:
    """Each may be given several times; those that are no TCP keep their order."""
    options = parsed("-b", "::1", "--bind", "a", "-p", "1", "--port", "2", "--fd", "3", "-u", "/x", "-e", "tcp:4")
    assert (options.hosts, options.ports) == (["::1", "a"], [1, 2])
    assert options.others == [Inherited(3), Unix("/x"), Tcp("", 4)]
    assert parsed("--unix_socket", "/x", "--endpoint", "fd:3").others == [Unix("/x"), Inherited(3)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-p", "80000"], "argument -p/--port: a port is a number from 0 to 65535, not '80000'"),
        (["-u", ""], "argument -u/--unix-socket: a Unix socket needs a path; the one given is empty"),
        (["--max_body_size", "16M"], "argument --max-body-size: invalid int value: '16M'"),
        (["-v", "5"], "argument -v/--verbosity: invalid choice: 5"),
        (["--write-policy", "a"], "argument --write-policy: there is no = in 'a'"),
        (["--idle-timeout-of", "a=b"], "argument --idle-timeout-of: could not convert string to float: 'b'"),
        (["--access-log-format", "apache"], "argument --access-log-format: invalid choice: 'apache'"),
        (["--probe-endpoint", "9000"], "argument --probe-endpoint: an endpoint is tcp:PORT:interface=HOST, "),
        (["--probe-endpoint", "ssl:1:privateKey=a"], "argument --probe-endpoint: probes are asked without TLS, by tcp"),
        (["--max-bodie-size", "1"], "unrecognized arguments: --max-bodie-size"),
    ],
)
def test_options_that_are_refused(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With status 2, one line of usage and one that says what is wrong."""
    with pytest.raises(SystemExit) as ended:
        parsed(*arguments)
    usage, error = capsys.readouterr().err.splitlines()
    assert (ended.value.code, usage) == (2, "usage: daphne [options] module:object")
    assert error.startswith(f"daphne: error: {expected}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version of the distribution."""
    with pytest.raises(SystemExit) as ended:
        parsed("--version")
    assert (ended.value.code, capsys.readouterr().out) == (0, f"daphne {daphne.__version__}\n")


def test_connections_leave_room_for_other_files(caplog: pytest.LogCaptureFixture) -> None:
    """No more are let in than the process can open; who asked for more is told."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = limits[1] - OTHER_FILES
    try:
        assert within_file_limit(Config()).max_connections == room
        assert within_file_limit(Config(max_connections=10)).max_connections == 10
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limits[1], limits[1])
        assert caplog.messages == []
        assert within_file_limit(Config(max_connections=room + 1)).max_connections == room
        assert caplog.messages == [f"max_connections {room + 1}: this process may open only {limits[1]} files"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("options", [{"max_body_size": -1}, {"http_timeout": "soon"}])
def test_limits_out_of_range_are_refused(options: dict[str, object]) -> None:
    """Whether they come from the command line or from the settings."""
    with pytest.raises(SystemExit, match=f"^daphne: {next(iter(options))} "):
        configured(options)


def test_limits_in_force() -> None:
    """Those that are no defaults, and where they come from."""
    config = Config(max_headers=5, http_timeout=1.0, ping_timeout=2.0, max_connections=7)
    text = limits_text(config, {"max_headers", "http_timeout"}, {"http_timeout", "ping_timeout"})
    assert text == (
        "max_headers 5 (settings), http_timeout 1.0 (command line), ping_timeout 2.0 (command line), "
        "max_connections 7 (this machine); all others are defaults"
    )
    assert limits_text(Config(), {"max_headers"}, ()) == "all are defaults"


# -- logs --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged_logging")
@pytest.mark.parametrize(("verbosity", "level"), [("0", logging.WARNING), ("1", logging.INFO), ("2", logging.DEBUG)])
def test_verbosity(verbosity: str, level: int) -> None:
    """How much the server and the layer tell; the access log has a line per request unless it is 0."""
    show_logs(parsed("-v", verbosity))
    assert logging.getLogger("daphne.server").getEffectiveLevel() == level
    assert logging.getLogger("channel_layers").getEffectiveLevel() == level
    assert logging.getLogger("daphne.access").disabled == (verbosity == "0")


@pytest.mark.usefixtures("unchanged_logging")
@pytest.mark.parametrize("verbosity", ["0", "1"])
def test_access_log_in_a_file(tmp_path: Path, verbosity: str) -> None:
    """Whatever the verbosity: one line each, appended, with the time."""
    path = tmp_path / "access.log"
    path.write_text("before\n")
    show_logs(parsed("--access-log", str(path), "-v", verbosity))
    logging.getLogger("daphne.access").warning("%s", '"GET / HTTP/1.1" 404 9')
    before, line = path.read_text().splitlines()
    assert before == "before"
    assert re.fullmatch(r'\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] "GET / HTTP/1\.1" 404 9', line)


@pytest.mark.usefixtures("unchanged_logging")
@pytest.mark.parametrize("form", ["common", "combined", "json"])
def test_formats_for_tools_have_their_own_time(tmp_path: Path, form: str) -> None:
    """Nothing stands before what they begin with."""
    path = tmp_path / "access.log"
    show_logs(parsed("--access-log", str(path)), form)
    logging.getLogger("daphne.access").info("%s", "127.0.0.1 - - ...")
    assert path.read_text() == "127.0.0.1 - - ...\n"


# -- who is believed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "settings", "expected"),
    [
        ([], {}, ()),
        (["--proxy-headers"], {}, ("127.0.0.0/8", "::1", "unix")),
        (["--proxy_headers"], {"trusted_proxies": ("10.0.0.1",)}, ("10.0.0.1",)),
        (["--proxy-headers", "--trusted-proxy", "10.0.0.2"], {"trusted_proxies": ("10.0.0.1",)}, ("10.0.0.2",)),
        (["--trusted-proxy", "10.0.0.2"], {}, ("10.0.0.2",)),
    ],
)
def test_proxy_headers_trusts_this_machine(
    arguments: list[str], settings: dict[str, Any], expected: tuple[str, ...]
) -> None:
    """Where nobody says who the proxies are; in 1.x it was everybody."""
    options = parsed(*arguments)
    assert completed(configured({**settings, **given_options(options)}), options).trusted_proxies == expected


def test_probes_are_asked_in_one_place() -> None:
    """With an endpoint of their own they are not answered where requests come."""
    options = parsed("--probe-endpoint", "tcp:9000:interface=0.0.0.0", "--probe-endpoint", "unix:/x")
    assert options.probe_endpoints == [Tcp("0.0.0.0", 9000), Unix("/x")]
    assert not completed(Config(), options).probes
    assert completed(Config(), parsed()).probes


# -- what it cannot start with -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged_logging")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["site_of_daphne:application"], "daphne: site_of_daphne:application is an ASGI application"),
        (["site_of_daphne:chanel_layer"], "Did you mean 'channel_layer'?"),
        (["site_of_daphne:channel_layer", "--max-headers", "-1"], "daphne: max_headers must not be negative, not -1"),
        (["site_of_daphne:channel_layer", "-u", "/no/where"], "daphne: cannot listen on unix:/no/where: No such file"),
        (["site_of_daphne:channel_layer", "--access-log", "/no/where"], "No such file or directory: '/no/where'"),
        (["site_of_daphne:unreachable", "-p", "0"], "daphne: no layer at localhost:6379 in 5 s"),
        (["site_of_daphne:channel_layer", "--ssl-keyfile", "k.pem"], "daphne: --ssl-keyfile needs --ssl-certfile"),
        (
            ["site_of_daphne:channel_layer", "-p", "0", "--ssl-certfile", "no.pem"],
            "daphne: cannot use the certificate no.pem: No such file or directory",
        ),
        (
            ["site_of_daphne:channel_layer", "-e", "ssl:0:privateKey=no.pem"],
            "daphne: cannot use the certificate no.pem with no.pem: No such file or directory",
        ),
    ],
)
def test_what_it_cannot_start_with(
    project: Path, arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends with one sentence, which Python prints, and with status 1."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", sys.path[:])
    with default_signals(), pytest.raises(SystemExit, match=re.escape(expected)):
        main(arguments)


@pytest.mark.usefixtures("unchanged_logging")
def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """With -v 2 the error itself is raised."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "argv", ["daphne", "-v", "2", "no_such_module:x"])
    with pytest.raises(daphne.layer_path.LayerPathError, match="there is no module 'no_such_module'"):
        main()


@contextmanager
def default_signals() -> Iterator[None]:
    """Undo what the command does to the signals of its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_port_in_use(project: Path) -> None:
    """The first server goes on; the second ends with a sentence."""
    with serving(project, "-p", "0") as first:
        second = Process(project, "-p", str(first.port), "site_of_daphne:channel_layer")
        assert second.wait() == 1
        assert second.lines == [f"daphne: cannot listen on http://127.0.0.1:{first.port}: Address already in use"]
        assert first.get("/first") == (200, "/first")


# -- the process -------------------------------------------------------------------------------------------------------


def test_start_up_lines(project: Path) -> None:
    """Where it listens, with which layer, and with what limits; options of 1.x that mean nothing are said to."""
    old = ["--force-sync", "--websocket_timeout", "5"]
    with serving(project, "-p", "0", "--max_headers", "60", *old) as process:
        process.wait_for(r"channel layer site_of_daphne\.Crossing$")
        limits = process.wait_for(r"limits: (.*)$")[1]
        assert "max_headers 60 (command line), max_body_size 1000 (settings)" in limits
        notes = process.matching("WARNING .* has no effect: ")
        assert len(notes) == len(WITHOUT_MEANING)


def test_several_endpoints(project: Path) -> None:
    """Two of TCP and a Unix socket at once, and a line in the access log for each request."""
    path = project / "socket"
    with serving(project, "-p", "0", "-u", str(path), "-e", f"tcp:{free_port()}:interface=127.0.0.1") as process:
        [line] = process.matching("listens on")
        other = re.findall(r"http://127\.0\.0\.1:(\d+)", line)[1]
        assert process.get("/tcp") == (200, "/tcp")
        process.port = int(other)
        assert process.get("/other") == (200, "/other")
        assert f"unix:{path}" in line
        assert get_unix(path, "/unix") == b"/unix"
        process.wait_for(r'^\[.*\] "GET /unix HTTP/1\.1" 200 5$')


def get_unix(path: Path, target: str, headers: dict[str, str] | None = None) -> bytes:
    """Return the answer to a request on a Unix socket."""
    connection = http.client.HTTPConnection("localhost")
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.connect(str(path))
        connection.request("GET", target, headers=headers or {})
        return connection.getresponse().read()


def test_sockets_that_systemd_has_opened(project: Path) -> None:
    """They take the place of the default port."""
    with serving(project, kind=Activated) as process:
        [line] = process.matching("listens on")
        assert line.count("http://") == 1
        assert process.port not in (0, 8000)
        assert process.get("/activated") == (200, "/activated")


def test_probes_and_proxies_and_the_access_log(project: Path) -> None:
    """Probes have a port of their own, until the very end; a proxy on this machine is believed, and the log is JSON."""
    port, path = free_port(), project / "proxied"
    options = ["-p", "0", "-u", str(path), "--probe-endpoint", f"tcp:{port}:interface=127.0.0.1", "--proxy_headers"]
    with serving(project, *options, "--access-log-format", "json") as process, ThreadPoolExecutor() as threads:
        process.wait_for(rf"probes are answered on http://127\.0\.0\.1:{port}$")
        process.wait_for("--proxy-headers: proxies on this machine are trusted")
        assert process.get("/-/ready") == (200, "/-/ready")
        assert probe(port, "live") == (200, "live\n")
        assert probe(port, "ready")[0] == 503, "nobody announces a reader here"
        headers = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "X-Request-ID": "abc"}
        assert get_unix(path, "/unix?q", headers) == b"/unix"
        record = json.loads(process.wait_for('^{.*"/unix".*}$')[0])
        assert (record["client"], record["scheme"], record["request_id"]) == ("203.0.113.5", "https", "abc")
        held = threads.submit(process.get, "/held")
        open_gate(project, before=lambda: ends_with_probes(process, port))
        assert held.result() == (200, "/held")
        assert process.wait() == 0


def ends_with_probes(process: Process, port: int) -> None:
    """Let a process end that has a request in progress: it is alive and not ready until that is answered."""
    process.send(signal.SIGTERM)
    process.wait_for("ending: ")
    assert probe(port, "live") == (200, "live\n")
    assert probe(port, "ready") == (503, "not ready: this server ends\n")


def open_gate(project: Path, before: Callable[[], None]) -> None:
    """Do something once a request is held at the gate, and then let it through."""
    with (project / "gate").open("w"):  # opens when the reader is there
        before()


def probe(port: int, name: str) -> tuple[int, str]:
    """Return the answer to a probe."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", f"/-/{name}")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_tls_and_a_certificate_that_is_renewed(project: Path, tmp_path: Path) -> None:
    """SIGHUP reads the files again, for new connections; an open one goes on, and a fault changes nothing."""
    certificate = make_certificate(tmp_path, "one")
    files = ["--ssl-certfile", certificate.certfile, "--ssl-keyfile", str(certificate.keyfile)]
    with serving(project, "-p", "0", *files, where="https://") as process:
        before = https(process.port, certificate)
        assert ask(before, "/first") == ("one", b"/first")
        make_certificate(tmp_path, "two")
        process.send(signal.SIGHUP)
        process.wait_for(rf"certificate {certificate.certfile} was read again$")
        after = https(process.port, certificate)
        assert ask(after, "/second") == ("two", b"/second")
        (tmp_path / "key.pem").write_text("broken")
        process.send(signal.SIGHUP)
        process.wait_for(r"ERROR .*cannot use the certificate .*; the one before stays in use$")
        last = https(process.port, certificate)
        assert ask(last, "/third") == ("two", b"/third")
        assert ask(before, "/again") == ("one", b"/again")
        for connection in (before, after, last):
            connection.close()


def https(port: int, certificate: Certificate) -> http.client.HTTPSConnection:
    """Return a connection that trusts this certificate alone."""
    return http.client.HTTPSConnection("127.0.0.1", port, context=trusting(certificate), timeout=PATIENCE)


def ask(connection: http.client.HTTPSConnection, path: str) -> tuple[str, bytes]:
    """Return whose certificate was shown, and the answer."""
    connection.request("GET", path)
    assert isinstance(connection.sock, ssl.SSLSocket)
    return subject_of(connection.sock), connection.getresponse().read()


def test_hangup_without_a_certificate_changes_nothing(project: Path) -> None:
    """There is a line in the log, and the server goes on."""
    with serving(project, "-p", "0") as process:
        process.send(signal.SIGHUP)
        process.wait_for("SIGHUP: there is no certificate to read again")
        assert process.get("/still") == (200, "/still")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_requests_finish(project: Path, number: signal.Signals) -> None:
    """A request that was taken is answered, then the process ends with status 0."""
    answers: list[tuple[int, str]] = []
    with serving(project, "-p", "0") as process:
        client = threading.Thread(target=lambda: answers.append(process.get("/held")))
        client.start()
        with (project / "gate").open("w"):  # opens once the request has been taken, and holds it until it is closed
            process.send(number)
            process.wait_for("ending: ")
        client.join(PATIENCE)
        assert answers == [(200, "/held")]
        assert process.wait() == 0
    assert "Traceback" not in process.output


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_at_once(project: Path, second: signal.Signals) -> None:
    """Also with a request that is not answered."""
    with serving(project, "-p", "0") as process, socket.create_connection(("127.0.0.1", process.port)) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with (project / "gate").open("w"):
            process.send(signal.SIGTERM)
            process.wait_for("ending: ")
            process.send(second)
            assert process.wait() == -second


def test_end_without_the_layer(project: Path) -> None:
    """A layer that has gone is a line in the log, and no reason to end badly."""
    with serving(project, "-u", "other", layer="forgetful", where="unix:other") as process:
        process.send(signal.SIGTERM)
        assert process.wait() == 0
        assert process.matching("WARNING .*the end of this server could not be announced: the layer has gone")


def test_layer_without_settings_has_no_options() -> None:
    """The settings of a project are on the layer that ``get_channel_layer()`` returns, and on no other."""
    assert MemoryChannelLayer().server_options == {}
