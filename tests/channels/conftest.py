"""Fixtures for tests of the Django app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import override_settings
from django.test.utils import setup_databases, teardown_databases

from channels.test import Stage, WSClient

BACKENDS = "django.contrib.sessions.backends"


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    """The tables of the test project, in memory."""
    configuration = setup_databases(verbosity=0, interactive=False)
    yield
    teardown_databases(configuration, verbosity=0)


@pytest.fixture
def private_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A database of its own for the threads of a test, without tables."""
    path = tmp_path / "db.sqlite3"
    monkeypatch.setitem(connections.settings["default"], "NAME", str(path))
    return path


@pytest.fixture
def empty_cache() -> Iterator[None]:
    """A cache that holds nothing, before the test and after it."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(params=["cache", "db", "cached_db", "file"])
def engine(request: pytest.FixtureRequest, database: None, empty_cache: None, tmp_path: Path) -> Iterator[str]:
    """Each engine of Django that stores sessions, as ``SESSION_ENGINE``."""
    path = f"{BACKENDS}.{request.param}"
    with override_settings(SESSION_ENGINE=path, SESSION_FILE_PATH=str(tmp_path)), pytest.MonkeyPatch.context() as patch:
        # The engine remembers its directory for the life of the process.
        patch.setattr(f"{BACKENDS}.file.SessionStore._storage_path", str(tmp_path), raising=False)
        yield path


@pytest.fixture
def cached(empty_cache: None) -> Iterator[None]:
    """HTTP sessions in the cache."""
    with override_settings(SESSION_ENGINE=f"{BACKENDS}.cache"):
        yield


@pytest.fixture
def cached_channel_sessions(empty_cache: None) -> Iterator[None]:
    """Channel sessions in the cache."""
    with override_settings(CHANNEL_SESSION_ENGINE=f"{BACKENDS}.cache"):
        yield


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Layers of the test's own, as test cases have them."""
    with Stage() as stage:
        yield stage


@pytest.fixture
def client(stage: Stage) -> WSClient:
    """A WebSocket client."""
    return WSClient()
