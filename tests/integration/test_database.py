"""Workers and a real database: how many connections they have, and what its restart costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_layers.local import LocalChannelLayer
from tests.channel_layers.redis.server import until
from tests.integration.embedded import Workers, layer_of, make_embedded, working
from tests.postgresql import PostgreSQL

COUNT = 40
"""Messages that are sent: more than there are slots."""
OUTCOME = r"^query {} by (?P<backend>\d+)$|query raised on query"


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    """A server that all tests of this module use, one after another."""
    server = PostgreSQL()
    server.start()
    yield server
    server.stop()


def project_with(database: PostgreSQL, directory: Path, **options: object) -> Path:
    """Write the project with ``options`` for its database."""
    own = {"NAME": database.database, "USER": database.user, "HOST": str(database.folder)}
    settings = {"ENGINE": "django.db.backends.postgresql", **own, **options}
    return make_embedded(directory, f"\nDATABASES = {{'default': {settings!r}}}\n")


def backends(workers: Workers, layer: LocalChannelLayer, numbers: range) -> list[str | None]:
    """Send a message for each of ``numbers``, each when the one before has ended; return what served it.

    That is the process of the database at the other end of the connection, or ``None`` for a consumer that failed.
    """
    found = []
    for number in numbers:
        since = len(workers.lines)
        layer.send("query", {"number": number})
        found.append(workers.wait_for(OUTCOME.format(number), since)["backend"])
    return found


def test_a_restarted_database_costs_one_message_a_slot_at_most(database: PostgreSQL, tmp_path: Path) -> None:
    """Each slot keeps its connection, and there are never more; one that broke is noticed once and replaced."""
    project = project_with(database, tmp_path, CONN_MAX_AGE=None)
    layer, slots = layer_of(project), 4
    with working(project, "--threads=2", count=2) as workers:
        before = backends(workers, layer, range(COUNT))
        assert None not in before
        assert len(set(before)) <= slots
        assert 1 <= database.clients() <= slots
        database.restart()
        after = backends(workers, layer, range(COUNT, 2 * COUNT))
        assert 1 <= after.count(None) <= slots
        assert set(after).isdisjoint(set(before) - {None})
        assert database.clients() <= slots
    layer.close()
    until(lambda: database.clients() == 0)


def test_connections_end_with_their_message_by_default(database: PostgreSQL, tmp_path: Path) -> None:
    """As with requests: ``CONN_MAX_AGE`` is 0 unless the project says more."""
    project = project_with(database, tmp_path)
    layer = layer_of(project)
    with working(project, "--threads=2") as workers:
        served = backends(workers, layer, range(10))
        assert len(set(served)) == 10
        until(lambda: database.clients() == 0)
    layer.close()


def test_slots_share_a_pool(database: PostgreSQL, tmp_path: Path) -> None:
    """More slots than connections: each message gets one, and gives it back."""
    project = project_with(database, tmp_path, OPTIONS={"pool": {"min_size": 1, "max_size": 2}})
    layer = layer_of(project)
    with working(project, "--threads=6") as workers:
        since = len(workers.lines)
        layer.write([layer.message("query", {"number": number}) for number in range(COUNT)])
        served = {workers.wait_for(OUTCOME.format(number), since)["backend"] for number in range(COUNT)}
        assert None not in served
        assert len(served) <= 2
        assert database.clients() <= 2
    layer.close()
