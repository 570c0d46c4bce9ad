"""What the pages about production and delivery name exists: commands with their options, and causes of losses."""

from __future__ import annotations

import re
import shlex
from configparser import RawConfigParser

import pytest
from django.core.management import load_command_class

from daphne.cli.options import make_parser
from tests.documents import ROOT, blocks

PRODUCTION = ROOT / "docs/howto/run-in-production.md"
DELIVERY = (ROOT / "docs/explanation/delivery.md").read_text()
CAUSE = re.compile(
    r'(?:losses|_losses)\.(?:count|note|raised)\(\s*f?"([^"]+)"|count_dropped\("(\w+)"|counted="(\w[^"]*)"'
    r'|why, counted = .*, "([^"]+)"$',
    re.MULTILINE,
)
ROUTINE = re.compile(r"\{.*")
"""The part of a cause that differs from time to time."""


def units() -> dict[str, RawConfigParser]:
    """Return the unit files of the page, by name."""
    found = {}
    for block in blocks(PRODUCTION):
        kind, _, name = block.marker.partition(": ")
        if kind == "unit":
            found[name] = RawConfigParser(delimiters="=")
            found[name].optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
            found[name].read_string(block.source)
    return found


def command_lines() -> list[list[str]]:
    """Return the words of every command that a unit or the Procfile starts, without the directory of the program."""
    procfile = next(block for block in blocks(PRODUCTION) if block.marker == "procfile")
    lines = [line.partition(": ")[2] for line in procfile.source.splitlines()]
    lines += [unit["Service"]["ExecStart"] for unit in units().values()]
    split = [shlex.split(line.replace("%i", "8001").replace("$PORT", "8001")) for line in lines]
    return [[program.rpartition("/")[2], *words] for program, *words in split]


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_commands_of_services_are_understood(words: list[str]) -> None:
    """``daphne`` and ``runworker`` know the options that the units and the Procfile give them."""
    program, *arguments = words
    if program == "daphne":
        assert make_parser().parse_args(arguments).layer == "channels.asgi:channel_layer"
        return
    assert [program, *arguments[:2]] == ["python", "manage.py", "runworker"]
    parser = load_command_class("channels", "runworker").create_parser("manage.py", "runworker")
    assert parser.parse_args(arguments[2:])


def test_supervisors_are_told_alone_to_end() -> None:
    """Units with a supervisor leave its workers to it, and give them the time that they may take."""
    services = [unit["Service"] for unit in units().values() if "runworker" in unit["Service"]["ExecStart"]]
    assert services
    for service in services:
        assert service["KillMode"] == "mixed"
        assert int(service["TimeoutStopSec"]) > 35
        assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_every_cause_of_a_loss_is_listed() -> None:
    """The table has each cause by which the source counts, and no other."""
    sources = [path.read_text() for path in (ROOT / "src").rglob("*.py")]
    counted = {ROUTINE.sub("…", "".join(found)) for source in sources for found in CAUSE.findall(source)}
    table = DELIVERY.partition("## What is counted where")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = {cause for row in rows for cause in re.findall(r"`([^`]+)`", row)}
    assert {cause.removesuffix(" for a slow client") for cause in listed} == counted - {"…"}
