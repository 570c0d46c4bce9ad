"""Run the tests for each pair of Python and Django in ``tox.ini`` whose Python this machine has.

``--newest`` runs the newest of them alone. Needs the ``dev`` group: ``make matrix`` sees to that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TOX = [sys.executable, "-m", "tox"]


def main() -> None:
    """Let tox run the pairs that can run here; its exit code is ours."""
    path = search_path(os.environ)
    pairs = [pair for pair in declared_pairs() if shutil.which(python_of(pair), path=path)]
    if not pairs:
        sys.exit("No Python that tox.ini names was found. Looked in: " + path)
    chosen = pairs[-1:] if "--newest" in sys.argv[1:] else pairs
    print("Testing", ", ".join(chosen), flush=True)
    sys.exit(subprocess.call([*TOX, "run", "-e", ",".join(chosen)], env={**os.environ, "PATH": path}))


def declared_pairs() -> list[str]:
    """List the environments of ``tox.ini``, oldest first."""
    return subprocess.check_output([*TOX, "list", "--no-desc", "-q"], text=True).split()


def python_of(pair: str) -> str:
    """Name the interpreter of a pair: ``py312-django60`` is ``python3.12``."""
    match = re.match(r"py(\d)(\d+)-", pair)
    if match is None:
        raise ValueError(f"tox.ini's environment {pair!r} does not begin with a Python, as in 'py312-django60'")
    return "python{}.{}".format(*match.groups())


def search_path(environ: os._Environ[str]) -> str:
    """Put pyenv's versions before its shims, which answer only for the versions that are switched on."""
    root = Path(environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    versions = sorted(str(directory) for directory in root.glob("versions/3.*/bin"))
    return os.pathsep.join([*versions, environ.get("PATH", os.defpath)])


if __name__ == "__main__":
    main()
