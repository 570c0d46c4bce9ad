"""Whether the installation is whole, by the names and the first lines of what is there."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import asgi_redis
import channels
import daphne
from channel_layers import installation
from channel_layers.installation import OURS, PACKAGES, check, distributions, others, strangers


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory where Python looks for modules, and nothing else."""
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "none"), str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(directory: Path, module: str = "channel_layers") -> subprocess.CompletedProcess[str]:
    """Import ``module`` in a process that looks into ``directory`` first."""
    environment = os.environ | {"PYTHONPATH": str(directory), "PYTHONWARNINGS": "default"}
    command = [sys.executable, "-c", f"import {module}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_our_packages_say_whose_they_are() -> None:
    """In the docstring that the check looks for."""
    assert {package.__name__ for package in (channels, daphne, asgi_redis)} == set(PACKAGES)
    assert all(OURS in str(package.__doc__) for package in (channels, daphne, asgi_redis))
    assert strangers() == []


def test_nothing_is_said_of_a_whole_installation() -> None:
    """As that of the tests is."""
    with warnings.catch_warnings(record=True) as said:
        check()
    assert said == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("channels-4.3.2.dist-info", ["channels 4.3.2"]),
        ("Daphne-1.4.2.dist-info", ["daphne 1.4.2"]),
        ("asgi_redis-1.4.3-py3.11.egg-info", ["asgi_redis 1.4.3"]),
        ("channels_redis-4.3.0.egg-info", ["channels_redis 4.3.0"]),
        ("channels_relay-0.1.0.dist-info", []),
        ("channels_graphql_ws-1.0.dist-info", []),
        ("channels-4.3.2.tar.gz", []),
        ("channels", []),
    ],
)
def test_distributions_are_known_by_their_metadata(site: Path, name: str, expected: list[str]) -> None:
    """Wheels and eggs, whichever way they are spelt; not the packages themselves, and no others that begin alike."""
    (site / name).mkdir()
    assert others() == expected


def test_the_first_of_two_versions_counts(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python would import it."""
    (site / "first" / "channels-4.3.2.dist-info").mkdir(parents=True)
    (site / "channels-1.1.8.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(site / "first"), str(site)])
    assert distributions() == {"channels": "4.3.2"}


def test_distributions_beside_ours_are_warned_of(site: Path) -> None:
    """All of them at once, with what to do."""
    for name in ("daphne-4.2.3.dist-info", "channels-4.3.2.dist-info"):
        (site / name).mkdir()
    with pytest.warns(RuntimeWarning) as said:
        check()
    (warning,) = said
    assert str(warning.message) == (
        "channels 4.3.2 and daphne 4.2.3 must not be installed beside channels-relay, which has packages of the same "
        "names. Uninstall both, then reinstall ours: pip uninstall --yes channels daphne channels-relay; "
        "pip install channels-relay"
    )


def test_asgiref_of_1x_is_told_of(site: Path) -> None:
    """``asgi_redis`` takes it down to a version that Django cannot use, and a reinstallation alone leaves it there."""
    for name in ("asgi_redis-1.4.3.dist-info", "asgiref-1.1.2.dist-info"):
        (site / name).mkdir()
    with pytest.warns(RuntimeWarning, match=r"asgiref 1\.1\.2 is too old for Django, too: pip install --upgrade"):
        check()


@pytest.mark.parametrize("package", PACKAGES)
def test_package_that_was_replaced_is_an_error(tmp_path: Path, package: str) -> None:
    """Nothing is imported that would fail later, for a reason that nobody could guess."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text('__version__ = "4.3.2"\n')
    (tmp_path / f"{package}-4.3.2.dist-info").mkdir()
    ended = imported(tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"ImportError: {package} ({tmp_path}/{package}/__init__.py) is not the package of channels-relay: "
        f"{package} 4.3.2 has replaced it. Uninstall both, then reinstall ours: "
        f"pip uninstall --yes {package} channels-relay; pip install channels-relay"
    )


def test_module_of_the_project_that_hides_ours_is_an_error(tmp_path: Path) -> None:
    """It has to be renamed."""
    (tmp_path / "daphne.py").touch()
    ended = imported(tmp_path)
    assert f"daphne ({tmp_path}/daphne.py) is not the package of channels-relay. If that is a module" in ended.stderr
    assert "pip install --force-reinstall --no-deps channels-relay" in ended.stderr


def test_package_that_was_taken_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uninstalling another distribution takes our files with it; its directory may remain."""
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"channels \(missing\), daphne \(missing\), asgi_redis \(missing\) is not"):
        check()


def test_what_cannot_be_read_is_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled files, and modules in an archive, tell nothing."""
    for origin in ("/no/such/channels.pyc", "/no/such/archive.zip/channels/__init__.py"):
        monkeypatch.setattr(installation, "_origin", lambda name, origin=origin: origin)
        assert strangers() == []


def test_command_says_so_without_a_traceback(tmp_path: Path) -> None:
    """Whatever is called ``daphne`` imports the package of the command."""
    (tmp_path / "asgi_redis").mkdir()
    (tmp_path / "asgi_redis" / "__init__.py").touch()
    ended = imported(tmp_path, "daphne.cli")
    assert ended.returncode == 1
    assert ended.stderr.startswith("daphne: asgi_redis (")
