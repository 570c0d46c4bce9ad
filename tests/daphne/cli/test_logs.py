from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from daphne.cli.logs import show_logs
from tests.daphne.cli.commands import parsed


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
