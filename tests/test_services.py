from __future__ import annotations

from pathlib import Path

import pytest

from tests.services import require


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only directory of programs there is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def make_program(directory: Path, name: str) -> str:
    """Put an executable file into ``directory``."""
    program = directory / name
    program.touch(mode=0o755)
    return str(program)


def test_require_returns_the_path(programs: Path) -> None:
    """A program on PATH is returned with its path."""
    assert require(Path(make_program(programs, "some-program")).name) == str(programs / "some-program")


def test_require_knows_other_names(programs: Path) -> None:
    """A program that goes by another name elsewhere is found by that name, unless the first name is there too."""
    other = make_program(programs, "valkey-server")
    assert require("redis-server") in {other, "/usr/sbin/redis-server"}


def test_require_skips_on_a_laptop(programs: Path) -> None:
    """Without the program the test is skipped, and the reason names it."""
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        require("no-such-program")


def test_require_fails_in_ci(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CI is set a missing program is a failure that says where to add it."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"no-such-program is not installed.*\.ci/run"):
        require("no-such-program")
