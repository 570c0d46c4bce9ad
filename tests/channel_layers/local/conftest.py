"""A place for embedded servers, and processes that use them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from channel_layers.local import LocalChannelLayer
from tests.channel_layers.local.users import USER, SharedServer, User

NewUser = Callable[..., User]
NewLayer = Callable[..., LocalChannelLayer]


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory for the servers of one test; its path is short, as that of a socket has to be."""
    with tempfile.TemporaryDirectory(prefix="local-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture
def shared(base: Path) -> SharedServer:
    """What the users share."""
    return SharedServer(base)


@pytest.fixture
def new_user(base: Path) -> Iterator[NewUser]:
    """Processes, ended with the test if not before."""
    made: list[User] = []

    def new(script: str = USER) -> User:
        made.append(User(base, script))
        return made[-1]

    yield new
    for user in made:
        user.kill()


@pytest.fixture
def new_layer(base: Path) -> Iterator[NewLayer]:
    """Layers in this process, closed after the test."""
    made: list[LocalChannelLayer] = []

    def new(**options: Any) -> LocalChannelLayer:
        made.append(LocalChannelLayer(**{"project": "shared", "directory": str(base), **options}))
        return made[-1]

    yield new
    for layer in made:
        layer.close()
