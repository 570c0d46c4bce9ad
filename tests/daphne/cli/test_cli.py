"""What the command cannot start with."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import daphne
from daphne.cli import configured, main
from tests.daphne.cli.commands import Process, serving


@pytest.mark.parametrize("options", [{"max_body_size": -1}, {"http_timeout": "soon"}])
def test_limits_out_of_range_are_refused(options: dict[str, object]) -> None:
    """Whether they come from the command line or from the settings."""
    with pytest.raises(SystemExit, match=f"^daphne: {next(iter(options))} "):
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
