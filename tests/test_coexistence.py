"""Distributions of the package index with packages of the same names, installed before ours and after it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runserver import MANAGE, write_files
from tests.test_install import build_wheel, install_from_index, run, variables

pytestmark = [pytest.mark.install, pytest.mark.timeout(300)]

THEIRS = ["channels", "daphne", "asgi_redis", "channels_redis"]
PROJECT = {
    "manage.py": MANAGE,
    "mysite/__init__.py": "",
    "mysite/settings.py": 'SECRET_KEY = "for tests only"\nINSTALLED_APPS = ["channels"]\nCHANNEL_LAYERS = {}\n',
}


class Environment:
    """A virtual environment that borrows its dependencies from that of the tests, and a project in it."""

    def __init__(self, directory: Path) -> None:
        self.project = write_files(directory / "project", PROJECT)
        self._bin = directory / "venv/bin"
        self._wheel = str(build_wheel(directory))
        run(sys.executable, "-m", "venv", "--without-pip", str(directory / "venv"))
        [site] = directory.glob("venv/lib/python*/site-packages")
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))

    def install(self, *names: str) -> None:
        """Install distributions of the index, over what is there."""
        install_from_index(*self._pip("install"), "--no-deps", "--force-reinstall", *names)

    def install_ours(self) -> None:
        """Install the wheel, over what is there."""
        self.install(self._wheel)

    def uninstall(self, *names: str) -> None:
        """Uninstall distributions."""
        run(*self._pip("uninstall"), "--yes", "--quiet", *names)

    def said(self) -> list[tuple[int, str]]:
        """Return status and output of what ought to speak: the first import, the command, and the system check."""
        python = str(self._bin / "python")
        commands = [
            [python, "-c", "import channel_layers"],
            [str(self._bin / "daphne"), "--version"],
            [python, "-m", "daphne", "--version"],
            [python, "manage.py", "check"],
        ]
        return [self._output(command) for command in commands]

    def _output(self, command: list[str]) -> tuple[int, str]:
        ended = subprocess.run(
            command,
            cwd=self.project,
            env=variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout

    def _pip(self, verb: str) -> list[str]:
        return [sys.executable, "-m", "pip", "--python", str(self._bin / "python"), verb]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One environment for all."""
    directory = tmp_path_factory.mktemp("coexistence")
    yield Environment(directory)
    shutil.rmtree(directory)


def test_theirs_before_ours(environment: Environment) -> None:
    """Ours works, and each of the ways in warns; the system check has a message of its own."""
    environment.install(*THEIRS)
    environment.install_ours()
    said = environment.said()
    assert [status for status, _ in said] == [0, 0, 0, 0], said
    for _, output in said:
        assert "RuntimeWarning: channels " in output
        assert "pip uninstall --yes channels daphne asgi_redis channels_redis channels-relay" in output
    assert "channels.W006" in said[-1][1]


@pytest.mark.parametrize("theirs", [["channels"], ["daphne"], ["channels<2", "daphne<2", "asgi_redis"]], ids=" ".join)
def test_theirs_after_ours(environment: Environment, theirs: list[str]) -> None:
    """Each of the ways in ends with the sentence, whosever file is there in the end."""
    environment.uninstall(*THEIRS, "channels-relay")
    environment.install_ours()
    environment.install(*theirs)
    names = " ".join(each.removesuffix("<2") for each in theirs)
    for status, output in environment.said():
        assert status == 1, output
        assert "is not the package of channels-relay" in output.splitlines()[-1]
        assert f"Uninstall both, then reinstall ours: pip uninstall --yes {names} channels-relay;" in output


def test_way_out(environment: Environment) -> None:
    """Doing as the sentence says leaves an installation of which nothing is said."""
    environment.uninstall(*THEIRS, "channels-relay")
    environment.install_ours()
    said = environment.said()
    assert [status for status, _ in said] == [0, 0, 0, 0], said
    assert not any("Warning" in output or "Uninstall" in output for _, output in said)
