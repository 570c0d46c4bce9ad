"""Fixtures for tests of the Django app."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test.utils import setup_databases, teardown_databases


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    """The tables of the test project, in memory."""
    configuration = setup_databases(verbosity=0, interactive=False)
    yield
    teardown_databases(configuration, verbosity=0)


@pytest.fixture
def empty_cache() -> Iterator[None]:
    """A cache that holds nothing, before the test and after it."""
    cache.clear()
    yield
    cache.clear()
