"""Where a server is."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from channel_layers.redis.address import Address


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address("a", 1, database=2, username="me", password="secret"), "redis://a:1/2"),
        (Address("::1"), "redis://[::1]:6379/0"),
        (Address(path="/run/redis.sock", database=1), "unix:///run/redis.sock?db=1"),
        (Address("a", tls=ssl.create_default_context()), "rediss://a:6379/0"),
    ],
)
def test_an_address_shows_no_secrets(address: Address, text: str) -> None:
    """What log lines and errors name is where the server is, and nothing else."""
    assert str(address) == text
    assert "secret" not in repr(address)


def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    """Nothing stays open where nothing could be opened."""
    with pytest.raises(FileNotFoundError):
        Address(path=str(tmp_path / "redis.sock")).open(1.0)
