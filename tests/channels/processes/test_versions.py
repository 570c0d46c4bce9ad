"""Workers that run different code for the same channel."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest

from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.registry import Announcement
from channels import route
from channels.handler import ViewConsumer
from channels.processes import versions
from channels.processes.versions import code_version, compare_soon, warn_of_others
from channels.routing import Router
from channels.worker import Worker
from tests.channels.workers import PATIENCE, layer_of


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with a consumer, and one with nothing that is routed."""
    for name in ("shop", "other"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "consumers.py").write_text("def consume(message): ...\n")
    (tmp_path / "single.py").write_text("def consume(message): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    yield tmp_path
    for name in ("shop", "shop.consumers", "single"):
        sys.modules.pop(name, None)


def version(name: str = "shop.consumers") -> str:
    """Return the version of a routing to the consumer in a module."""
    return code_version(Router([route("work", import_module(name).consume), route("http.request", ViewConsumer())]))


def test_other_code_has_another_version(package: Path) -> None:
    """Wherever in the package of a consumer it is; what is elsewhere does not count."""
    first = version()
    assert version() == first
    (package / "other" / "consumers.py").write_text("# changed\n")
    assert version() == first
    (package / "shop" / "deep" / "helpers.py").write_text("# new\n")
    second = version()
    (package / "shop" / "consumers.py").write_text("def consume(message): pass\n")
    assert len({first, second, version()}) == 3


def test_a_module_may_be_no_package(package: Path) -> None:
    """Then it is all that there is to look at."""
    first = version("single")
    (package / "single.py").write_text("def consume(message): pass\n")
    assert version("single") != first


def test_libraries_are_no_code_of_the_project() -> None:
    """Ours, and what is installed or comes with Python."""
    assert code_version(Router([route("work", print), route("http.request", ViewConsumer())])) == code_version(
        Router([])
    )
    assert code_version(Router([route("work", pytest.fail)])) == code_version(Router([]))


def worker_with_code(layer: MemoryChannelLayer, code: str) -> Worker:
    """Return a worker of ``layer`` that has announced itself."""
    worker = Worker(layer_of(route("work", print), route("more", print), layer=layer))
    worker.code = code
    worker.announce()
    return worker


def test_other_code_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Both processes are named, with their channels; once for each version, and not for the same or for none."""
    layer = MemoryChannelLayer()
    worker = worker_with_code(layer, "new")
    layer.announce(Announcement("w1", ("work", "third"), 1, host="here", pid=11, code="old"))
    layer.announce(Announcement("w2", ("work",), 1, host="here", pid=12, code="old"))
    layer.announce(Announcement("w3", ("work",), 1, host="here", pid=13, code="new"))
    layer.announce(Announcement("w4", ("elsewhere",), 1, host="here", pid=14, code="older"))
    layer.announce(Announcement("d1", (), 0, host="here", pid=15))
    warn_of_others(worker)
    [line] = caplog.messages
    assert line.startswith("process 11 on here runs other code than this one, process ")
    assert line.endswith("and both take messages of work; stop the one that is not meant")


def test_nothing_is_said_at_the_end_or_without_a_layer(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stops has nothing to compare; and that the layer is away, others say."""
    layer = MemoryChannelLayer()
    worker = worker_with_code(layer, "new")
    layer.announce(Announcement("w1", ("work",), 1, host="here", pid=11, code="old"))

    def away() -> list[Announcement]:
        raise LayerUnavailable("it is away")

    with monkeypatch.context() as patch:
        patch.setattr(layer, "processes", away)
        warn_of_others(worker)
    worker.stopping.set()
    warn_of_others(worker)
    assert caplog.messages == []


def test_it_looks_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """When those that it replaces have ended."""
    looked: list[Worker] = []
    monkeypatch.setattr(versions, "PATIENCE", 0.01)
    monkeypatch.setattr(versions, "warn_of_others", looked.append)
    worker = worker_with_code(MemoryChannelLayer(), "new")
    timer = compare_soon(worker)
    timer.join(PATIENCE)
    assert looked == [worker]
