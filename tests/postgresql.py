"""A real PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.services import missing, require

INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs of a server, outside the PATH."""
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
"""What counts the connections of others than the one that asks."""
OWNER = "postgres"
"""Who runs it where the tests are run by root, for whom it does not start."""


class PostgreSQL:
    """A server on a unix socket in a folder of its own, which can be the ``HOST`` of Django's settings."""

    user = "channels"
    database = "postgres"

    def __init__(self) -> None:
        self._programs = _programs()
        self.folder = Path(tempfile.mkdtemp(prefix="channels-pg-"))  # a short path, as sockets need it
        self._data = self.folder / "data"
        self._user: int | None = None
        self._group: int | None = None
        if os.getuid() == 0:
            owner = pwd.getpwnam(OWNER)
            self._user, self._group = owner.pw_uid, owner.pw_gid
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)

    def start(self) -> None:
        """Make a database and serve it."""
        self._run("initdb", "--pgdata", self._data, "--username", self.user, "--auth", "trust", "--no-sync")
        self._control("start", "--options", f"-k {self.folder} -c listen_addresses= -c fsync=off")

    def restart(self) -> None:
        """End every connection at once, as a crash does, and serve again."""
        self._control("restart", "--mode", "immediate")

    def stop(self) -> None:
        """End, and leave nothing behind."""
        self._control("stop", "--mode", "immediate")
        shutil.rmtree(self.folder)

    def clients(self) -> int:
        """Return how many connections others have open."""
        with psycopg.connect(host=str(self.folder), user=self.user, dbname=self.database) as connection:
            found = connection.execute(OTHERS).fetchone()
        assert found is not None
        return int(found[0])

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "--pgdata", self._data, "--log", self.folder / "log", "--wait", *arguments)

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            user=self._user,
            group=self._group,
        )


def _programs() -> Path:
    found = sorted(INSTALLED.glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    program = Path(require("initdb"))
    return program.parent if program.exists() else Path(missing("PostgreSQL is not installed"))
