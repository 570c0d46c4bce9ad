"""``manage.py serve``: its options, and those that are daphne's."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from channels.management.commands.serve import Command, server_launch
from channels.processes.commands import import_path
from tests.channels.workers import Crossing, default_layer, layer_of


def parsed(*arguments: str) -> dict[str, object]:
    """Return the options of a command line."""
    return vars(Command().create_parser("manage.py", "serve").parse_args(arguments))


@pytest.mark.parametrize(
    ("arguments", "daphnes"),
    [
        ([], []),
        (["--processes", "2"], []),
        (
            ["-b", "::", "-p", "80", "--processes=2", "--http-timeout", "5"],
            ["-b", "::", "-p", "80", "--http-timeout", "5"],
        ),
        (["--max-message-size=5", "--max-messages=6"], ["--max-message-size=5"]),
        (["--max-message", "5"], ["--max-message", "5"]),
        (["--threads=2", "--", "--unix-socket", "/run/site.sock"], ["--unix-socket", "/run/site.sock"]),
    ],
)
def test_what_it_does_not_know_is_daphnes(arguments: list[str], daphnes: list[str]) -> None:
    """In its order; nothing is taken for the beginning of an option of ours."""
    assert parsed(*arguments)["daphne"] == daphnes


def test_help_leads_on_to_daphne(capsys: pytest.CaptureFixture[str]) -> None:
    """It lists the options of workers, and says where the others are."""
    with pytest.raises(SystemExit):
        parsed("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "see daphne --help" in text
    assert all(f"--{name}" in text for name in ("processes", "threads", "max-messages", "max-rss", "reload", "pidfile"))
    assert "--parent-fd" not in text


def test_server_is_started_with_the_options_and_the_path_of_this_process() -> None:
    """So that it finds the settings; daphne knows three levels of verbosity."""
    launch = server_launch(3, ["-p", "80"])
    assert launch.command == [
        sys.executable,
        "-m",
        "daphne",
        "--verbosity=2",
        "-p",
        "80",
        "channels.asgi:channel_layer",
    ]
    assert launch.environment is not None
    assert launch.environment["PYTHONPATH"] == import_path()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--processes", "0"], "^--processes is more than 0, not 0$"),
        (["--max-messages", "-1"], "^--max-messages is more than 0, not -1$"),
        (["--max-rss", "nan"], "^--max-rss is more than 0, not nan$"),
        (["--threads", "0"], "^--threads is 1 or more, not 0$"),
        (["--only-channels", "nothing"], "leave no channel"),
    ],
)
def test_options_that_are_refused(arguments: list[str], expected: str) -> None:
    """Before anything is started."""
    with default_layer(layer_of(layer=Crossing())), pytest.raises(CommandError, match=expected):
        call_command("serve", *arguments)


def test_layer_within_one_process_is_refused() -> None:
    """The error says which to use instead."""
    with pytest.raises(CommandError, match=r"reaches no other process.*LocalChannelLayer.*RedisChannelLayer"):
        call_command("serve")


def test_pid_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names it and the reason."""
    path = tmp_path / "absent" / "serve.pid"
    with (
        default_layer(layer_of(layer=Crossing())),
        pytest.raises(CommandError, match=rf"^--pidfile {path} cannot be written: No such file or directory$"),
    ):
        call_command("serve", f"--pidfile={path}", stdout=StringIO())
