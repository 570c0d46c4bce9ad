"""What the command cannot start with."""

from __future__ import annotations

import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import daphne
from daphne.cli import Unfit, configured, main
from daphne.endpoints import EndpointError
from tests.daphne.cli.commands import Process, serving


@pytest.mark.parametrize("options", [{"max_body_size": -1}, {"http_timeout": "soon"}])
def test_limits_out_of_range_are_refused(options: dict[str, object]) -> None:
    """Whether they come from the command line or from the settings."""
    with pytest.raises(Unfit, match=f"^{next(iter(options))} "):
        configured(options)


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
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["site_of_daphne:channel_layer", "--max-headers=-1"], b"failed max_headers must not be negative, not -1\n"),
        (
            ["site_of_daphne:channel_layer", "-v2", "--fd=999"],
            b"failed cannot listen on descriptor 999: Bad file descriptor\n",
        ),
        (["site_of_daphne:channel_layer", "--prot=80"], b"failed unrecognized arguments: --prot=80\n"),
    ],
)
def test_its_parent_is_told_why(
    project: Path, arguments: list[str], said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has started it can say it again."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", sys.path[:])
    ours, theirs = socket.socketpair()
    with ours, default_signals():
        with pytest.raises((SystemExit, EndpointError)):
            main([*arguments, f"--parent-fd={theirs.detach()}"])
        assert ours.recv(200) == said
        assert ours.recv(200) == b""


def test_help_is_no_fault() -> None:
    """Nobody is told of it."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs, pytest.raises(SystemExit):
            main(["--help", f"--parent-fd={theirs.fileno()}"])
        assert ours.recv(1) == b""


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
        reason = "Address already in use; stop what listens there, or choose another port"
        assert second.lines == [f"daphne: cannot listen on http://127.0.0.1:{first.port}: {reason}"]
        assert first.get("/first") == (200, "/first")
