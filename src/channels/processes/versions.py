"""Workers that run different code for the same channel: said while developing, where it is mostly a forgotten one."""

from __future__ import annotations

import hashlib
import inspect
import logging
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from channel_layers.registry import HEARTBEAT_INTERVAL, Announcement
from channels.routing import Router
from channels.worker import Worker

logger = logging.getLogger("django.channels.processes")

PATIENCE: Final = 2 * HEARTBEAT_INTERVAL
"""Seconds after which a process looks at the others: those that it has replaced have mostly ended by then."""
LIBRARIES: Final = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib"))
OURS: Final = Path(__file__).resolve().parents[1]


def code_version(router: Router) -> str:
    """Return a text that is another for other code: that of the packages that consumers are in, libraries aside."""
    digest = hashlib.sha256()
    for file in sorted(_sources(router)):
        digest.update(f"{file}\0".encode(errors="surrogateescape") + file.read_bytes())
    return digest.hexdigest()[:16]


def compare_soon(worker: Worker) -> threading.Timer:
    """Look once, a little later, for workers that run other code than ``worker``, and warn of them."""
    timer = threading.Timer(PATIENCE, warn_of_others, [worker])
    timer.daemon = True
    timer.name = "channels-versions"
    timer.start()
    return timer


def warn_of_others(worker: Worker) -> None:
    """Warn of other code for the channels of ``worker``, once for each version of it."""
    if worker.stopping.is_set():
        return
    try:
        announced = worker.channel_layer.processes()
    except OSError:
        return  # the next heartbeat says so
    own = [process for process in announced if process.process == worker.process]
    for other in _others(announced, worker):
        channels = sorted(set(other.channels) & set(worker.channels))
        logger.warning(
            "process %d on %s runs other code than this one, process %d, and both take messages of %s; "
            "stop the one that is not meant",
            *(other.pid, other.host, own[0].pid if own else 0, ", ".join(channels)),
        )


def _others(announced: Iterable[Announcement], worker: Worker) -> Iterator[Announcement]:
    """Yield one process for each other version of the code."""
    versions = {worker.code, ""}
    for process in announced:
        if process.code not in versions and set(process.channels) & set(worker.channels):
            versions.add(process.code)
            yield process


def _sources(router: Router) -> Iterator[Path]:
    packages = {inspect.getmodule(route.consumer) for route in router.routes}
    for top in {module.__name__.partition(".")[0] for module in packages if module is not None}:
        file = getattr(sys.modules.get(top), "__file__", None)
        if file is not None and not _is_library(path := Path(file).resolve()):
            yield from path.parent.rglob("*.py") if path.name == "__init__.py" else [path]


def _is_library(path: Path) -> bool:
    return OURS in path.parents or any(library in path.parents for library in LIBRARIES)
