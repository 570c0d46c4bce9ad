"""Where the program comes from, and what is said where there is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from channel_layers.local import binary
from channel_layers.local.binary import find_binary

WAYS = r"channels-relay\[local\].*musl.*valkey or redis.*MemoryChannelLayer.*RedisChannelLayer"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory of programs that there is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binary, "PLACES", ())
    return tmp_path


@pytest.fixture
def without_wheel(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, and no wheel."""
    monkeypatch.setattr(binary, "WHEEL", "no_such_wheel")
    return path


def put(directory: Path, name: str) -> str:
    """Put a program into ``directory``."""
    program = directory / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch(mode=0o755)
    return str(program)


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="there is no wheel")
def test_the_wheel_goes_before_what_is_installed(path: Path) -> None:
    """It is the version that the layer was tested with."""
    put(path, "valkey-server")
    assert find_binary().endswith("/valkey-server")
    assert Path(find_binary()).parent != path
    assert os.access(find_binary(), os.X_OK)


def test_an_installed_server_will_do(without_wheel: Path) -> None:
    """Valkey before Redis."""
    redis = put(without_wheel, "redis-server")
    assert find_binary() == redis
    valkey = put(without_wheel, "valkey-server")
    assert find_binary() == valkey


def test_a_wheel_whose_program_cannot_run_is_passed_over(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is of another system."""
    package = tmp_path / "packages" / "some_wheel"
    program = Path(put(package / "_binaries" / "linux-x86_64", "valkey-server"))
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(binary, "WHEEL", "some_wheel")
    assert find_binary() == str(program)
    program.chmod(0o600)
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(ImportError, match=WAYS):
        find_binary()


def test_without_any_the_ways_out_are_named(without_wheel: Path) -> None:
    """The extra, the system's package, and the other layers."""
    with pytest.raises(ImportError, match=WAYS):
        find_binary()


def test_on_windows_the_other_layers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server can be had there."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ImportError, match=r"does not run on Windows: use .*MemoryChannelLayer.*RedisChannelLayer"):
        find_binary()
