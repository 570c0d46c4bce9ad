"""The embedded server among real processes: who starts it, who ends it, and who does neither."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from channel_layers import codec
from channel_layers.exceptions import LayerUnavailable
from channel_layers.local import LocalChannelLayer, server
from channel_layers.local.server import interpreter, start_keeper
from tests.channel_layers.local.conftest import NewLayer, NewUser
from tests.channel_layers.local.users import SharedServer, is_alive
from tests.channel_layers.redis.server import until

FORKING = """
import os
import sys

from channel_layers.local import LocalChannelLayer

layer = LocalChannelLayer(project="shared", directory=sys.argv[1])
layer.send("a", {})
if os.fork() == 0:
    if "uses" in sys.argv:
        layer.send("a", {})
    print("ready", flush=True)
    sys.stdin.read()
else:
    os._exit(0)
"""


# -- beginning ---------------------------------------------------------------------------------------------------------


def test_users_that_come_at_once_share_one_server(new_user: NewUser, shared: SharedServer) -> None:
    """The first one starts it; what each of them has sent is in one queue."""
    users = [new_user() for _ in range(6)]
    for user in users:
        user.wait_until_ready()
    assert shared.ask("DBSIZE").startswith(b":")
    assert b":6\r\n" in shared.ask("LLEN", "channels:{work}queue:a")


def test_nothing_is_started_before_it_is_used(new_layer: NewLayer, shared: SharedServer) -> None:
    """A layer that is only made leaves no trace."""
    new_layer()
    assert shared.is_gone()


def test_other_projects_have_other_servers(new_layer: NewLayer) -> None:
    """A checkout beside another one sees nothing of it."""
    one, other = new_layer(project="/srv/one/mysite"), new_layer(project="/srv/other/mysite")
    one.send("a", {})
    assert (one.depth("a"), other.depth("a")) == (1, 0)


def test_the_server_keeps_what_it_holds(new_layer: NewLayer, shared: SharedServer) -> None:
    """Nothing is evicted, nothing is written to a disk, and nobody else can connect."""
    new_layer().send("a", {})
    for option, value in {"maxmemory-policy": "noeviction", "maxmemory": "0", "save": "", "port": "0"}.items():
        assert shared.ask("CONFIG", "GET", option).split(b"\r\n")[-2] == value.encode()
    assert (shared.directory / "valkey.sock").stat().st_mode & 0o077 == 0
    assert {path.name for path in shared.directory.iterdir()} == {"lock", "log", "valkey.sock"}


# -- ending ------------------------------------------------------------------------------------------------------------


def test_it_ends_with_its_last_user(new_user: NewUser, shared: SharedServer) -> None:
    """However the users end: the one that started it is killed, another is interrupted, the last just ends."""
    first, second, third = (new_user() for _ in range(3))
    first.wait_until_ready()
    second.wait_until_ready()
    third.wait_until_ready()
    pid, keeper = shared.pid, shared.keeper
    first.kill()
    second.interrupt()
    assert shared.pid == pid
    third.end()
    until(shared.is_gone)
    until(lambda: not is_alive(pid) and not is_alive(keeper))


def test_a_user_that_is_killed_is_none(new_user: NewUser, shared: SharedServer) -> None:
    """The kernel takes its lock away."""
    user = new_user()
    user.wait_until_ready()
    pid = shared.pid
    user.kill()
    until(lambda: not is_alive(pid))
    until(shared.is_gone)


def test_a_closed_layer_is_no_user(new_layer: NewLayer, shared: SharedServer) -> None:
    """It is one again when it is used again."""
    layer = new_layer()
    layer.send("a", {})
    layer.close()
    until(shared.is_gone)
    layer.send("a", {})
    assert layer.depth("a") == 1


def test_one_command_after_another_finds_the_same_server(new_layer: NewLayer, shared: SharedServer) -> None:
    """It waits a moment for the next."""
    layer = new_layer()
    layer.send("a", {})
    pid = shared.pid
    layer.close()
    layer.send("a", {})
    assert shared.pid == pid
    assert layer.depth("a") == 2


@pytest.mark.parametrize("uses", [False, True])
def test_a_forked_process_is_a_user_once_it_uses_the_layer(new_user: NewUser, shared: SharedServer, uses: bool) -> None:
    """Its parent's part in it ends with the parent."""
    user = new_user(FORKING.replace('"uses" in sys.argv', str(uses)))
    user.wait_until_ready()
    pid = shared.pid
    if uses:
        assert shared.is_used()
        user.end()
    until(lambda: not is_alive(pid))


# -- failing -----------------------------------------------------------------------------------------------------------


def test_a_crashed_server_is_replaced(
    new_layer: NewLayer, shared: SharedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever uses it next starts another and says so, and memberships are whole without anybody's doing."""
    layer, peer = new_layer(), new_layer()
    inbox = layer.inbox("test.reply")
    channel = inbox.new_channel()
    layer.group_add("g", channel)
    assert inbox.receive(0) == []
    pid = shared.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))
    assert inbox.receive(0.1) == []
    line = f"the embedded server in {shared.directory} has ended, and what it held is lost; another takes its place"
    assert caplog.messages.count(line) == 1
    peer.send_group("g", {"n": 1})
    assert shared.pid not in (0, pid)
    [delivery] = inbox.receive(10)
    assert (list(delivery.channels), codec.decode(delivery.envelope.content)) == ([channel], {"n": 1})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a server outlives its keeper")
def test_a_server_does_not_outlive_its_keeper(new_layer: NewLayer, shared: SharedServer) -> None:
    """Nobody would end it; who connects next starts both again."""
    new_layer().send("a", {})
    pid = shared.pid
    os.kill(shared.keeper, signal.SIGKILL)
    until(lambda: not is_alive(pid))
    new_layer().send("a", {})
    assert shared.pid not in (0, pid)


def test_a_keeper_that_is_told_to_end_takes_the_server_along(new_layer: NewLayer, shared: SharedServer) -> None:
    """As when the machine is shut down."""
    new_layer().send("a", {})
    pid, keeper = shared.pid, shared.keeper
    os.kill(keeper, signal.SIGTERM)
    until(lambda: not is_alive(pid) and not is_alive(keeper))


def test_a_removed_directory_is_made_again(new_layer: NewLayer, shared: SharedServer) -> None:
    """Somebody has cleaned up: who connects anew meets the others at the old place, where nobody disturbs them."""
    layer = new_layer()
    layer.send("a", {})
    old = shared.pid
    shutil.rmtree(shared.directory)
    one = new_layer()
    one.send("b", {})
    new = shared.pid
    layer.close()
    until(lambda: not is_alive(old))
    assert new_layer().depth("b") == 1
    assert shared.pid == new


def test_a_program_that_is_no_server_is_told(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the program and how it ended."""
    monkeypatch.setattr(server, "BINARY", "/bin/false")
    layer = LocalChannelLayer(project="false", directory=str(base), timeout=0.1)
    with pytest.raises(LayerUnavailable, match=r"/bin/false did not start: it ended with status 1; the end of .*empty"):
        layer.send("a", {})


def test_a_program_that_is_missing_is_told(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any that does not start."""
    monkeypatch.setattr(server, "BINARY", "/nowhere/valkey-server")
    with pytest.raises(OSError, match=r"/nowhere/valkey-server did not start: it ended with status 127"):
        start_keeper(base)


def test_a_server_that_refuses_to_start_is_quoted(base: Path) -> None:
    """Its own last words are in the error."""
    (base / "valkey.sock").mkdir()
    with pytest.raises(OSError, match=r"did not start: it ended with status 1; the end of .*log: .*[Uu]nix socket"):
        start_keeper(base)


def test_a_start_that_takes_too_long_is_given_up(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the limit."""
    program = base / "slow"
    program.write_text("#!/bin/sh\nexec sleep 2\n")
    program.chmod(0o700)
    monkeypatch.setattr(server, "BINARY", str(program))
    monkeypatch.setattr(server, "START_TIMEOUT", 0.1)
    with pytest.raises(TimeoutError, match=r"slow did not start within 0\.1 s"):
        start_keeper(base)


def test_python_within_another_program_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """UWSGI says that it is Python's executable; the interpreter is beside the library then."""
    assert interpreter() == sys.executable
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    assert interpreter() == str(Path(sys.prefix, "bin/python3"))
