"""Where a server is: every form of the hosts option."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from channel_layers.redis.address import Address, read_hosts


@pytest.mark.parametrize(
    ("hosts", "address"),
    [
        (None, Address()),
        ([("redis.example", 6380)], Address("redis.example", 6380)),
        (("redis.example", 6380), Address("redis.example", 6380)),
        ([["redis.example", 6380]], Address("redis.example", 6380)),
        ("redis://", Address()),
        ("redis://redis.example", Address("redis.example")),
        (["redis://redis.example:6380/2"], Address("redis.example", 6380, database=2)),
        ("redis://redis.example?db=3", Address("redis.example", database=3)),
        ("redis://:p%40ss@redis.example", Address("redis.example", password="p@ss")),
        ("redis://me:pass@redis.example", Address("redis.example", username="me", password="pass")),
        ("redis://[::1]:6380", Address("::1", 6380)),
        ("unix:///run/redis/redis.sock", Address(path="/run/redis/redis.sock")),
        ("unix://:pass@/run/redis.sock?db=1", Address(path="/run/redis.sock", database=1, password="pass")),
    ],
)
def test_hosts_are_read(hosts: Any, address: Address) -> None:
    """URLs of three schemes, and 1.x's pairs of host and port."""
    assert read_hosts(hosts) == address


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        ([], "names one server, not 0"),
        (["redis://a", "redis://b"], "names one server, not 2"),
        ("http://a", "a host is one of redis://host:port/0, .* not 'http://a'"),
        ([("a", "6379")], "a host is one of"),
        ([("a", 6379, 0)], "a host is one of"),
        ([1], "a host is one of"),
        ("redis://a/x", "is a number, not 'x'"),
        ("redis://a?max=1&db=1", "options that are not known: max"),
        ("redis://a?ssl_cert_reqs=none", "options that are not known: ssl_cert_reqs"),
        ("rediss://a?ssl_cert_reqs=optional", "is required or none, not 'optional'"),
    ],
)
def test_what_is_no_host_is_refused(hosts: Any, sentence: str) -> None:
    """The error shows the value and what would be right."""
    with pytest.raises(ValueError, match=sentence):
        read_hosts(hosts)


def test_no_error_shows_a_password() -> None:
    """A password in a URL that is wrong elsewhere is not repeated."""
    with pytest.raises(ValueError, match=r"redis://me:\*\*\*@a\?x=1") as refused:
        read_hosts("redis://me:secret@a?x=1")
    assert "secret" not in str(refused.value)


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


def test_tls_verifies_unless_told_otherwise() -> None:
    """rediss:// checks the server's certificate and name; ssl_cert_reqs=none does not."""
    strict, lax = read_hosts("rediss://a").tls, read_hosts("rediss://a?ssl_cert_reqs=none").tls
    assert strict is not None
    assert lax is not None
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)


def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    """Nothing stays open where nothing could be opened."""
    with pytest.raises(FileNotFoundError):
        Address(path=str(tmp_path / "redis.sock")).open(1.0)
