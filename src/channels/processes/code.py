"""Changes of the code, told by the processes that run it, and looked for where it does not run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from django.utils import autoreload

ASIDE: Final = frozenset({"__pycache__", "node_modules"})
ENVIRONMENT: Final = "pyvenv.cfg"
"""The file that tells a virtual environment."""


Changed = Callable[[float, Path], object]


class CodeWatch:
    """Looks for changes of all that this process has imported, as Django's autoreloader does.

    A change that Django deals with itself, such as one of a template, is no change of code. ``changed`` is called in
    a thread of the watch, with the time of the change and the path. ``early`` is called likewise for what has changed
    after ``since`` (seconds since the epoch) and before the watch began: it may have been imported before that or
    behind it.
    """

    def __init__(self, changed: Changed, early: Changed, since: float) -> None:
        self._changed = changed
        self._early = early
        self._since = since
        self._reloader = autoreload.get_reloader()
        self._reloader.notify_file_changed = self._notify  # type: ignore[method-assign]  # else it ends the process
        self._reloader.run_loop = self._look  # type: ignore[method-assign]  # else what is early is never seen

    def start(self) -> None:
        """Look from here on, in a thread."""
        target, main = self._reloader.run, threading.main_thread()
        threading.Thread(target=target, args=[main], name="channels-code", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._reloader.stop()

    def _look(self) -> None:
        begun = time.time()  # Django has imported the URL configuration by now
        ticks = self._reloader.tick()
        next(ticks)  # now every file has been looked at once
        for path in self._reloader.watched_files(include_globs=False):
            when = changed_at(path)
            if begun < when <= time.time():
                self._notify(path)
            elif self._since < when <= begun:
                self._early(when, path)
        while not self._reloader.should_stop:
            next(ticks)

    def _notify(self, path: str | os.PathLike[str]) -> None:
        results: list[tuple[Any, Any]] = autoreload.file_changed.send(sender=self._reloader, file_path=Path(path))
        if not any(result for _, result in results):
            self._changed(changed_at(Path(path)), Path(path))


def changed_at(path: Path) -> float:
    """Return when a file was last written, in seconds since the epoch; 0 if it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def last_change(directory: Path) -> float:
    """Return when a Python file below ``directory`` was last written, in seconds since the epoch.

    Looks at every one, also those that nothing has imported yet, but not into virtual environments or hidden
    directories.
    """
    return max(map(changed_at, _python_files(directory)), default=0.0)


def _python_files(directory: Path) -> Iterator[Path]:
    for parent, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if _is_searched(parent, name)]
        yield from (Path(parent, name) for name in files if name.endswith(".py"))


def _is_searched(parent: str, name: str) -> bool:
    return not name.startswith(".") and name not in ASIDE and not Path(parent, name, ENVIRONMENT).exists()
