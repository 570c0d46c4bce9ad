"""The pytest plugin: fixtures for what the test cases offer, and layers in memory for every test.

What it uses is imported when a fixture is first asked for: pytest loads plugins before settings can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from channels import testruns

if TYPE_CHECKING:
    from channels.test import Client, HttpClient, Stage, WSClient
    from channels.test.liveserver import LiveServer
    from channels.test.routes import Routes

testruns.announce()


@pytest.fixture
def channel_stage() -> Iterator[Stage]:
    """Layers of the test's own, in memory, and all that can be asked of them."""
    from channels.test import Stage  # see above

    with Stage() as stage:
        yield stage


@pytest.fixture
def channel_client(channel_stage: Stage) -> Client:
    """A client of any protocol."""
    from channels.test import Client  # see above

    return Client()


@pytest.fixture
def ws_client(channel_stage: Stage) -> WSClient:
    """A WebSocket client; ``WSClient()`` makes further ones."""
    from channels.test import WSClient  # see above

    return WSClient()


@pytest.fixture
def http_client(channel_stage: Stage) -> HttpClient:
    """A client of WebSockets or requests."""
    from channels.test import HttpClient  # see above

    return HttpClient()


@pytest.fixture
def apply_routes(channel_stage: Stage) -> Iterator[Callable[[Routes], None]]:
    """A function that puts routes in place of those of the settings until the test ends."""
    from channels.test import apply_routes as applied  # see above

    with ExitStack() as exits:

        def apply(routes: Routes) -> None:
            exits.enter_context(applied(routes))

        yield apply


@pytest.fixture
def assert_sent(channel_stage: Stage) -> Callable[..., dict[str, Any]]:
    """:meth:`Stage.assert_sent() <channels.test.Stage.assert_sent>`."""
    return channel_stage.assert_sent


@pytest.fixture
def assert_group_sent(channel_stage: Stage) -> Callable[..., dict[str, Any]]:
    """:meth:`Stage.assert_group_sent() <channels.test.Stage.assert_group_sent>`."""
    return channel_stage.assert_group_sent


@pytest.fixture
def assert_nothing_sent(channel_stage: Stage) -> Callable[..., None]:
    """:meth:`Stage.assert_nothing_sent() <channels.test.Stage.assert_nothing_sent>`."""
    return channel_stage.assert_nothing_sent


@pytest.fixture
def get_next_message(channel_stage: Stage) -> Callable[..., Any]:
    """:meth:`Stage.get_next_message() <channels.test.Stage.get_next_message>`."""
    return channel_stage.get_next_message


@pytest.fixture
def run_consumers(channel_stage: Stage) -> Callable[[], int]:
    """:meth:`Stage.run_consumers() <channels.test.Stage.run_consumers>`."""
    return channel_stage.run_consumers


@pytest.fixture
def live_channel_server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """A server for browsers, in this process; ``url`` and ``ws_url`` say where."""
    from channels.test.liveserver import LiveServer  # see above

    if request.config.pluginmanager.has_plugin("django"):
        request.getfixturevalue("transactional_db")
    with LiveServer() as server:
        yield server
        server.wait_until_idle()
