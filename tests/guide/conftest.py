"""Every example of the guide, in each of the ways that the guide runs one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from tests.guide.project import Site, in_one_process, in_two_processes
from tests.runserver import RunServer


@pytest.fixture(scope="module", params=[in_one_process, in_two_processes], ids=lambda way: way.__name__)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start projects, in one process each or in two."""
    with ExitStack() as started:

        def start(name: str, files: Mapping[str, str], *commands: str) -> RunServer:
            server: RunServer = started.enter_context(request.param(tmp_path_factory.mktemp(name), files, commands))
            return server

        yield start
