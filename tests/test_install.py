"""The README's steps for a project of one's own, taken as they stand there, in an environment of their own."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.documents import ROOT, Block, blocks
from tests.runserver import heed_interrupts
from tests.services import missing

pytestmark = [pytest.mark.install, pytest.mark.timeout(300)]

STEPS = [block for block in blocks(ROOT / "README.md") if block.marker]
NO_INDEX = re.compile(
    r"connection (broken|error)|NewConnectionError|Temporary failure in name resolution", re.IGNORECASE
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is published."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Install the wheel into a fresh virtual environment as the README says, and return its programs."""
    directory = tmp_path_factory.mktemp("install")
    run(sys.executable, "-m", "venv", str(directory / "venv"))
    programs = directory / "venv/bin"
    [install] = steps("install")
    command = shlex.split(install.source.replace("channels-relay", str(wheel)))
    install_from_index(str(programs / command[0]), *command[1:])
    return programs


def build_wheel(directory: Path) -> Path:
    """Build the project's wheel with the backend that is installed here."""
    command = "-m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir"
    run(sys.executable, *command.split(), str(directory), str(ROOT))
    [wheel] = directory.glob("channels_relay-*.whl")
    return wheel


def install_from_index(*command: str) -> None:
    """Run pip's ``command``; without a package index the test is skipped, or fails in CI."""
    ended = subprocess.run(
        [*command, "--quiet", "--retries", "1"], env=variables(), capture_output=True, text=True, check=False
    )
    if ended.returncode and NO_INDEX.search(ended.stderr):
        missing("the package index cannot be reached")
    assert ended.returncode == 0, ended.stderr


def run(*command: str, cwd: Path | None = None) -> None:
    """Run ``command``, which must succeed."""
    subprocess.run(command, cwd=cwd, env=variables(), check=True)


def variables() -> dict[str, str]:
    """Return this process's environment without what tests and coverage put there."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COV", "PYTHON", "DJANGO_SETTINGS_MODULE", "VIRTUAL_ENV"))
    } | {"PYTHONUNBUFFERED": "1"}


def steps(marker: str) -> list[Block]:
    """Return the README's blocks whose comment begins with ``marker``."""
    return [block for block in STEPS if block.marker.startswith(marker)]


@pytest.fixture
def project(environment: Path, tmp_path: Path) -> Path:
    """Start a Django project and add to it what the README says."""
    run(str(environment / "django-admin"), "startproject", "mysite", str(tmp_path))
    for step in steps("file: "):
        with (tmp_path / step.marker.removeprefix("file: ")).open("a") as file:
            file.write(step.source)
    return tmp_path


@contextmanager
def runserver(environment: Path, project: Path, port: int, output: Path) -> Iterator[None]:
    """Start the README's last command on ``port``; at the end interrupt it as Ctrl-C does."""
    [serve] = steps("serve")
    command = [str(environment / "python"), *shlex.split(serve.source)[1:], str(port)]
    heed_interrupts()
    with output.open("w") as file:
        process = subprocess.Popen(
            command, cwd=project, env=variables(), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=20)
            print(output.read_text())  # noqa: T201 - pytest shows it when the test fails


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def connect_when_up(port: int, output: Path) -> ClientConnection:
    """Open a WebSocket as a page of the site would, as soon as the server listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return connect(f"ws://127.0.0.1:{port}/", origin=Origin(f"http://127.0.0.1:{port}"), proxy=None)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)  # another process's port gives no event to wait for


def test_readme_has_about_twenty_lines() -> None:
    """What the README asks for fits into twenty lines."""
    assert sum(len(step.source.strip().splitlines()) for step in STEPS) <= 20
    assert {step.marker.partition(":")[0] for step in STEPS} == {"install", "file", "serve"}


def test_wheel_has_what_is_no_python(wheel: Path) -> None:
    """The files that pages load, as they are here."""
    folder = ROOT / "src/channels/static"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    with zipfile.ZipFile(wheel) as archive:
        for path in files:
            assert archive.read(f"channels/static/{path.relative_to(folder)}") == path.read_bytes()


def test_readme_makes_an_echo(environment: Path, project: Path, tmp_path: Path) -> None:
    """A fresh project with the README's lines echoes a text over a real WebSocket, and stops without a traceback."""
    port, output = free_port(), tmp_path / "output"
    with runserver(environment, project, port, output), connect_when_up(port, output) as client:
        client.send("hello")
        assert client.recv(timeout=20) == "hello"
    assert "Traceback" not in output.read_text()
