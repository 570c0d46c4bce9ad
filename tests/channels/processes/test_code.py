"""Changes of code, seen by those who run it and by those who do not."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from django.utils import autoreload

from channels.processes.code import Changed, CodeWatch, changed_at, last_change

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


def quick(changed: Changed, early: Changed, since: float) -> CodeWatch:
    """Return a watch that does not take a second for each look."""
    watch = CodeWatch(changed, early, since)
    vars(watch._reloader)["SLEEP_TIME"] = 0.01
    return watch


def test_a_change_of_what_is_imported_is_told(module: Path) -> None:
    """With its time; the process goes on."""
    changed: SimpleQueue[tuple[float, Path]] = SimpleQueue()
    looked = threading.Event()
    watch = quick(lambda when, path: changed.put((when, path)), lambda when, path: looked.set(), 0.0)
    watch.start()
    try:
        assert looked.wait(PATIENCE)
        when = module.stat().st_mtime + 1
        os.utime(module, (when, when))
        assert changed.get(timeout=PATIENCE) == (when, module.resolve())
    finally:
        watch.stop()


def test_a_change_that_came_too_early_is_told(module: Path) -> None:
    """What was written after the process began, and before there was anything to compare it with."""
    early: dict[Path, float] = {}
    begun = time.time() - 100
    os.utime(module, (begun + 10, begun + 10))
    watch = quick(lambda when, path: None, lambda when, path: early.setdefault(path, when), begun)
    watch._reloader.stop()
    watch._look()
    assert early[module.resolve()] == begun + 10
    early.clear()
    for when in (begun - 10, time.time() + 1000):
        os.utime(module, (when, when))
        watch._look()
    assert module.resolve() not in early


def test_a_change_before_the_first_look_is_none_of_the_start(module: Path) -> None:
    """The process runs by then what it has imported: whoever writes a file twice in a row is heard twice."""
    told: dict[Path, str] = {}
    watch = quick(
        lambda when, path: told.update({path: "changed"}),
        lambda when, path: told.update({path: "early"}),
        time.time() - 100,
    )
    watch._reloader.stop()
    look = watch._reloader.tick

    def write() -> None:
        now = time.time()
        os.utime(module, (now, now))

    def looks_at_what_was_just_written() -> Iterator[None]:
        write()
        yield from look()

    write()
    watch._look()
    assert told[module.resolve()] == "early"
    vars(watch._reloader)["tick"] = looks_at_what_was_just_written
    watch._look()
    assert told[module.resolve()] == "changed"


def test_what_django_deals_with_is_no_change_of_code(module: Path) -> None:
    """A template that changes needs no new process."""
    changed: list[Path] = []
    watch = CodeWatch(lambda when, path: changed.append(path), lambda when, path: None, 0.0)
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
