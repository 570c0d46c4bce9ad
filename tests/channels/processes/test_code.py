"""Changes of code, seen by those who run it and by those who do not."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from time import sleep

import pytest
from django.utils import autoreload

from channels.processes.code import CodeWatch, changed_at, last_change

PATIENCE = 10.0


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that this process has imported."""
    path = tmp_path / "a_module_to_be_watched.py"
    path.write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__(path.stem)
    yield path
    del sys.modules[path.stem]


def test_a_change_of_what_is_imported_is_told(module: Path) -> None:
    """With its time; the process goes on."""
    changed: SimpleQueue[tuple[float, Path]] = SimpleQueue()
    started = threading.Event()
    autoreload.autoreload_started.connect(lambda **kwargs: started.set(), weak=False, dispatch_uid="test")
    watch = CodeWatch(lambda time, path: changed.put((time, path)))
    vars(watch._reloader)["SLEEP_TIME"] = 0.01
    watch.start()
    try:
        assert started.wait(PATIENCE)
        when = module.stat().st_mtime
        while changed.empty():  # what changes before the first look is no change
            when += 1
            os.utime(module, (when, when))
            sleep(0.1)
        time, path = changed.get()
        assert path == module.resolve()
        assert time <= when
    finally:
        watch.stop()
        autoreload.autoreload_started.disconnect(dispatch_uid="test")


def test_what_django_deals_with_is_no_change_of_code(module: Path) -> None:
    """A template that changes needs no new process."""
    changed: list[Path] = []
    watch = CodeWatch(lambda time, path: changed.append(path))
    autoreload.file_changed.connect(is_template, dispatch_uid="test")
    try:
        watch._notify(module.with_suffix(".html"))
        watch._notify(str(module))
    finally:
        autoreload.file_changed.disconnect(dispatch_uid="test")
    assert changed == [module]


def is_template(file_path: Path, **kwargs: object) -> bool:
    """Deal with templates."""
    return file_path.suffix == ".html"


def test_the_last_change_of_any_file_counts(tmp_path: Path) -> None:
    """Wherever it is in the project, but not in what only lies beside the code."""
    assert last_change(tmp_path) == 0.0
    for number, name in enumerate(
        ["a.py", "app/b.py", "app/c.txt", "app/.git/d.py", "node_modules/e.py", "app/__pycache__/f.py", "env/g.py"], 1
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (number, number))
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert last_change(tmp_path) == 2.0


def test_a_file_that_is_gone_has_not_changed(tmp_path: Path) -> None:
    """It may vanish between two looks."""
    assert changed_at(tmp_path / "absent.py") == 0.0
