"""What the command does as a process of its own."""

from __future__ import annotations

import http.client
import json
import re
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from daphne.cli.options import WITHOUT_MEANING
from daphne.cli.process import OTHER_FILES, limits_text, within_file_limit
from daphne.config import Config
from daphne.tls import Certificate
from tests.daphne.certificates import make_certificate, subject_of, trusting
from tests.daphne.cli.commands import Activated, Process, serving
from tests.runserver import PATIENCE, free_port


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


def test_limits_in_force() -> None:
    """Those that are no defaults, and where they come from."""
    config = Config(max_headers=5, http_timeout=1.0, ping_timeout=2.0, max_connections=7)
    text = limits_text(config, {"max_headers", "http_timeout"}, {"http_timeout", "ping_timeout"})
    assert text == (
        "max_headers 5 (settings), http_timeout 1.0 (command line), ping_timeout 2.0 (command line), "
        "max_connections 7 (this machine); all others are defaults"
    )
    assert limits_text(Config(), {"max_headers"}, ()) == "all are defaults"


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
