"""``make autobahn``: which cases are run, what becomes of their results, what is said where the suite cannot run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from compliance.autobahn import GROUPS, everything, faulty, find_python2, find_suite, page, table
from tests.documents import ROOT


def result(behavior: str = "OK", close: str = "OK") -> dict[str, Any]:
    """Return what the suite says of a case."""
    return {"behavior": behavior, "behaviorClose": close, "duration": 1, "remoteCloseCode": 1000}


RESULTS = {
    "1.1.1": result(),
    "7.1.6": result("INFORMATIONAL"),
    "7.13.1": result("INFORMATIONAL", "INFORMATIONAL"),
    "10.1.1": result("NON-STRICT"),
    "12.1.1": result("UNIMPLEMENTED"),
    "12.1.2": result("OK", "WRONG CODE"),
    "13.1.1": result("FAILED"),
}


def test_every_group_is_run_once() -> None:
    """What takes long is in parts, and no case is left out or run twice."""
    parts = everything()
    for group in GROUPS:
        assert [part for part in parts if part.startswith(group[:-1])]
    assert len(parts) == len(set(parts))
    assert ("12.*" in parts, "12.3.*" in parts, "6.*" in parts) == (False, True, True)


def test_what_did_not_pass_strictly_is_named() -> None:
    """With the verdict on the messages and that on the close; what is informational has passed."""
    assert faulty(RESULTS) == {
        "10.1.1": "NON-STRICT, close OK",
        "12.1.1": "UNIMPLEMENTED, close OK",
        "12.1.2": "OK, close WRONG CODE",
        "13.1.1": "FAILED, close OK",
    }


def test_the_table_has_a_row_for_each_group() -> None:
    """And one for all; a close that did not pass is a failure, whatever became of the messages."""
    rows = table(RESULTS).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 7", "| 10", "| 12", "| 13", "|"]
    assert rows[1] == "| 7 | Close handling | 0 | 2 | 0 | 0 | 0 |"
    assert rows[-1] == "| | all | 1 | 2 | 1 | 2 | 1 |"


def test_the_page_is_what_a_run_has_written() -> None:
    """It has every group, nothing failed, and the text around the table is that of the command."""
    text = (ROOT / "docs/reference/autobahn.md").read_text()
    empty = page({})
    assert text.partition("| cases |")[0] == empty.partition("| cases |")[0]
    assert text.partition("A part of the suite")[2] == empty.partition("A part of the suite")[2]
    for group, name in GROUPS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| {group[:-2]} | {name} |"))
        assert row.endswith("| 0 | 0 | 0 |")


def test_without_python_2_or_containers_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is needed, and how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.delenv("PYTHON27", raising=False)
    with pytest.raises(SystemExit, match=r"needs Python 2\.7, or Docker or Podman .* pyenv install 2\.7\.18"):
        find_suite()


def test_a_container_is_the_second_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network is this machine's."""
    runtime = tmp_path / "podman"
    runtime.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.delenv("PYTHON27", raising=False)
    assert find_suite()[:4] == ["podman", "run", "--rm", "--network=host"]


def test_a_python_2_needs_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One without it is passed over: a shim of pyenv may lead nowhere."""
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name, status in (("broken", 1), ("good", 0)):
        python = tmp_path / "versions" / f"2.7.{name}" / "bin" / "python2.7"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\nexit {status}\n")
        python.chmod(0o755)
    monkeypatch.setenv("PYTHON27", str(tmp_path / "nowhere"))
    assert find_python2() == str(tmp_path / "versions/2.7.good/bin/python2.7")
