"""Bindings that are forgotten behind the test that defines them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from channels.binding import base
from channels.binding.registry import Registry


class Recorded(Registry):
    """Remembers what was registered."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[Any] = []
        self.register_all()

    def add(self, binding: Any) -> None:
        super().add(binding)
        self.added.append(binding)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """A registry whose bindings are unregistered in the end."""
    registry = Recorded()
    monkeypatch.setattr(base, "bindings", registry)
    yield registry
    for binding in registry.added:
        binding.unregister()


@pytest.fixture
def rows(database: None) -> Iterator[None]:
    """A transaction that is rolled back in the end; what is to happen behind its commit happens when a client looks."""
    atomic = transaction.atomic()
    atomic._from_testcase = True  # type: ignore[attr-defined]  # as Django marks those of its test cases
    with atomic:
        yield
        transaction.set_rollback(True)
