"""The environments of the rivals and of tools, made in ``.bench`` when they are needed: Python, Node, some of Debian.

What cannot be had is left out, with the reason; the rest is measured all the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
HOME: Final = ROOT / ".bench"
PINS: Final = Path(__file__).parent / "rivals" / "versions.toml"

PYTHON: Final = HOME / "python/bin/python"
NODE: Final = HOME / "node"
DEBIAN: Final = HOME / "debian"
NGINX: Final = DEBIAN / "usr/sbin/nginx"
NCHAN: Final = DEBIAN / "usr/lib/nginx/modules/ngx_nchan_module.so"


class MissingError(Exception):
    """An environment cannot be had; the text says why."""


def prepare(needed: Sequence[str]) -> dict[str, str]:
    """Make the environments that are ``needed``; return why those cannot be had that cannot."""
    missing = {}
    for name in needed:
        try:
            _ensure(name)
        except MissingError as error:
            missing[name] = str(error)
    return missing


def _ensure(name: str) -> None:
    if name == "redis":
        find("redis-server")
        return
    pins = tomllib.loads(PINS.read_text())
    make = MAKERS[name]
    stamp, wanted = HOME / f"{name}.stamp", _stamp(pins[name])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"Installing what the project is compared with ({name}) into .bench ...", flush=True)
    stamp.unlink(missing_ok=True)
    HOME.mkdir(exist_ok=True)
    make(pins[name])
    stamp.write_text(wanted)


def _stamp(pins: dict[str, Any]) -> str:
    """What an installation leaves behind: other pins, another Python or another place make another text."""
    text = json.dumps([pins, sys.version, str(HOME)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def python(name: str) -> Path:
    """Return the interpreter of a virtual environment."""
    return HOME / name / "bin" / "python"


def make_python(name: str, pins: dict[str, str]) -> None:
    """Make a virtual environment with ``pins`` in it."""
    shutil.rmtree(HOME / name, ignore_errors=True)
    venv.create(HOME / name, with_pip=True, symlinks=True)
    packages = [f"{package}=={version}" for package, version in pins.items()]
    run([str(python(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], HOME)


def make_npm(pins: dict[str, str]) -> None:
    """Install ``pins`` from the npm registry. No script of a package is run."""
    find("node")
    npm = find("npm")
    shutil.rmtree(NODE, ignore_errors=True)
    NODE.mkdir()
    (NODE / "package.json").write_text(json.dumps({"private": True, "dependencies": pins}))
    run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], NODE)


def make_debian(pins: dict[str, list[str]]) -> None:
    """Download Debian packages and unpack them: nothing is installed, and nothing needs to be root."""
    apt, dpkg = find("apt-get"), find("dpkg")
    shutil.rmtree(DEBIAN, ignore_errors=True)
    DEBIAN.mkdir()
    run([apt, "download", "-qq", *pins["packages"]], DEBIAN)
    for package in DEBIAN.glob("*.deb"):
        run([dpkg, "-x", str(package), str(DEBIAN)], DEBIAN)
    run([str(NGINX), "-v"], DEBIAN)
    if not NCHAN.exists():
        raise MissingError("the packages of this Debian have no nchan module")


MAKERS: Final[dict[str, Callable[[dict[str, Any]], None]]] = {
    "python": partial(make_python, "python"),
    "plots": partial(make_python, "plots"),
    "profiler": partial(make_python, "profiler"),
    "npm": make_npm,
    "debian": make_debian,
}


def find(program: str) -> str:
    """Return the path of a program; raise :exc:`MissingError` if it is not there."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
    found = shutil.which(program, path=path)
    if found is None:
        raise MissingError(f"{program} is not installed")
    return found


def run(command: Sequence[str], folder: Path) -> str:
    """Run a step of an installation, and return what it printed; raise :exc:`MissingError` if it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(f"{command[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise MissingError(f"{Path(command[0]).name} failed: {said[-1] if said else done.returncode}")
    return done.stdout + done.stderr


# -- what is there -----------------------------------------------------------------------------------------------------


def versions(missing: dict[str, str]) -> dict[str, str]:
    """Return the version of everything that takes part, by its name."""
    found = {"Python": platform.python_version()}
    for name, look in LOOKS.items():
        if name not in missing:
            found |= look()
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _python_versions() -> dict[str, str]:
    listed = json.loads(run([str(PYTHON), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"], HOME))
    return {f"rival: {each['name']}": each["version"] for each in listed}


def _own_versions() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    wanted = ("channels-relay", "Django", "hiredis", "httptools", "msgspec", "picows", "uvloop", "websockets")
    return {each["name"]: each["version"] for each in json.loads(run(command, ROOT)) if each["name"] in wanted}


def _npm_versions() -> dict[str, str]:
    listed = json.loads(run([find("npm"), "ls", "--json"], NODE))["dependencies"]
    own = {"Node": run([find("node"), "--version"], NODE).strip().removeprefix("v")}
    return own | {f"npm: {name}": each["version"] for name, each in listed.items()}


def _debian_versions() -> dict[str, str]:
    names = [package.stem.split("_") for package in DEBIAN.glob("*.deb")]
    return {f"Debian: {name}": version.replace("%3a", ":") for name, version, *_ in names}


def _redis_version() -> dict[str, str]:
    said = run([find("redis-server"), "--version"], ROOT)
    return {"Redis": next((word[2:] for word in said.split() if word.startswith("v=")), said.strip())}


LOOKS: Final[dict[str, Callable[[], dict[str, str]]]] = {
    "own": _own_versions,
    "python": _python_versions,
    "npm": _npm_versions,
    "debian": _debian_versions,
    "redis": _redis_version,
}
