"""The keeper as a module, so that it is measured; as the script that it is, the tests of the server run it."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from pathlib import Path

import pytest

from channel_layers.local import keeper, server
from channel_layers.local.keeper import options
from channel_layers.local.server import start_keeper
from tests.channel_layers.local.conftest import NewLayer
from tests.channel_layers.local.users import SharedServer, is_alive
from tests.channel_layers.redis.server import until

SCRIPT = "from channel_layers.local.keeper import main\n\nmain()\n"


@pytest.fixture(autouse=True)
def _as_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start it by its name."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    monkeypatch.setattr(server, "KEEPER", script)


def test_it_stays_until_nobody_is_there(new_layer: NewLayer, shared: SharedServer) -> None:
    """A user that comes while it waits for one more makes it wait for the next time."""
    first, second = new_layer(), new_layer()
    first.send("a", {})
    server_pid, keeper_pid = shared.pid, shared.keeper
    first.close()
    second.send("a", {})
    assert second.depth("a") == 2
    second.close()
    until(shared.is_gone)
    until(lambda: not is_alive(server_pid) and not is_alive(keeper_pid))


def test_it_passes_the_word_to_end_on(new_layer: NewLayer, shared: SharedServer) -> None:
    """And leaves the directory to those who are in it."""
    new_layer().send("a", {})
    server_pid, keeper_pid = shared.pid, shared.keeper
    os.kill(keeper_pid, signal.SIGTERM)
    until(lambda: not is_alive(server_pid) and not is_alive(keeper_pid))
    assert shared.directory.exists()


def test_a_directory_that_was_removed_is_nobodys(new_layer: NewLayer, shared: SharedServer) -> None:
    """The server ends with its users even so, and touches nothing that may have been made there since."""
    layer = new_layer()
    layer.send("a", {})
    server_pid, keeper_pid = shared.pid, shared.keeper
    shutil.rmtree(shared.directory)
    layer.close()
    until(lambda: not is_alive(server_pid) and not is_alive(keeper_pid))


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/valkey-server"])
def test_a_server_that_does_not_start_is_told(base: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """With its status, and with the end of its log."""
    (base / "log").write_text("one\ntwo\nthree\nfour\n")
    monkeypatch.setattr(server, "BINARY", program)
    with pytest.raises(OSError, match=r"it ended with status (1|127); the end of .*/log: two / three / four"):
        start_keeper(base)


def test_it_looks_once_more_before_it_ends_the_server(base: Path) -> None:
    """Somebody may have come in while it lingered."""
    user, watch = (os.open(base, os.O_RDONLY) for _ in range(2))
    fcntl.flock(user, fcntl.LOCK_SH)
    assert not keeper._is_locked(watch)
    os.close(user)
    assert keeper._is_locked(watch)
    os.close(watch)


def test_options_come_in_pairs() -> None:
    """A name with dashes and its value, as the program takes them; all of them absolute, because it changes nothing."""
    given = options(Path("/run/site"))
    assert all(name.startswith("--") for name in given[::2])
    assert dict(zip(given[::2], given[1::2], strict=True))["--unixsocket"] == "/run/site/valkey.sock"
