"""Callbacks that wait for a commit: a test case's own transaction is never committed."""

from __future__ import annotations

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


def run_callbacks() -> None:
    """Run what :func:`~django.db.transaction.on_commit` was given outside of every ``atomic`` block of the code tested.

    A ``TestCase`` holds a transaction around each test, so that Django would never run them. What they raise is raised.
    """
    for connection in connections.all(initialized_only=True):
        while connection.run_on_commit and _only_the_test_case_holds(connection):
            waiting, connection.run_on_commit = connection.run_on_commit, []
            for entry in waiting:
                entry[1]()  # behind the savepoints it was made under


def _only_the_test_case_holds(connection: BaseDatabaseWrapper) -> bool:
    blocks = connection.atomic_blocks
    return bool(blocks) and all(getattr(block, "_from_testcase", False) for block in blocks)
