"""Command lines of processes below this one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from channels.processes.commands import common_options, import_path, inherited_descriptors, manage


def test_a_command_is_run_as_this_process_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the same script, whatever its own arguments were."""
    script = tmp_path / "manage.py"
    script.touch()
    monkeypatch.setattr(sys, "argv", [str(script), "serve", "-p", "8000"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    command = manage("runworker", "--threads=2")
    assert command[0] == sys.executable
    assert command[-3:] == [str(script), "runworker", "--threads=2"]


def test_a_command_that_was_called_from_code_is_djangos() -> None:
    """Whatever script that was would do something else."""
    assert manage("runworker", as_called=False) == [sys.executable, "-m", "django", "runworker"]


def test_common_options_are_those_that_were_given() -> None:
    """Flags, and the import path."""
    assert common_options({"traceback": False, "no_color": True}) == ["--no-color"]
    given = {"traceback": True, "no_color": False, "force_color": True, "pythonpath": "/srv/site"}
    assert common_options(given) == ["--traceback", "--force-color", "--pythonpath=/srv/site"]


def test_import_path_begins_where_this_process_looks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a server finds the settings, wherever it is started."""
    monkeypatch.setattr(sys, "path", ["/srv/site", "/usr/lib/python3"])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert import_path() == "/srv/site"
    monkeypatch.setenv("PYTHONPATH", "/srv/shared")
    assert import_path() == "/srv/site:/srv/shared"
    monkeypatch.setattr(sys, "path", [""])
    assert import_path() == f"{Path.cwd()}:/srv/shared"


def test_descriptors_that_were_given_are_passed_on() -> None:
    """Those that Python has opened itself are not."""
    own, given = os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(given, True)
    try:
        found = inherited_descriptors()
    finally:
        os.close(own)
        os.close(given)
    assert given in found
    assert own not in found
    assert not {0, 1, 2} & set(found)
