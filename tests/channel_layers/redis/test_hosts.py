"""Every form of the option ``hosts``, and 1.x's ``connection_kwargs``."""

from __future__ import annotations

import re
import ssl
from typing import Any

import pytest

from channel_layers.redis.address import Address
from channel_layers.redis.hosts import read_hosts


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
        ({"host": "redis.example", "port": 6380, "db": 2}, Address("redis.example", 6380, database=2)),
        ([{"address": "redis://redis.example/1", "password": "p"}], Address("redis.example", database=1, password="p")),
        ([{"address": ("redis.example", 6380)}], Address("redis.example", 6380)),
        ({}, Address()),
    ],
)
def test_hosts_are_read(hosts: Any, address: Address) -> None:
    """URLs of three schemes, 1.x's pairs of host and port, and dicts as redis-py has them."""
    assert read_hosts(hosts) == address


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        ([], "names one server, not 0"),
        (["redis://:secret@a", ("b", 6379)], r"names one server, not 2 \(redis://:\*\*\*@a, b:6379\): several cannot"),
        ("http://a", "a host is one of redis://host:port/0, .* not 'http://a'"),
        ([("a", "6379")], "a host is one of"),
        ([("a", 6379, 0)], "a host is one of"),
        ([1], "a host is one of"),
        ("redis://a/x", "is a number, not 'x'"),
        ("redis://a?pasword=1", r"unknown option 'pasword'\. Did you mean 'password'\? Options: host, port, "),
        ("redis://a:b", "'redis://a:b' has a port that is no number"),
        ("redis://a?ssl_cert_reqs=none", "is reached without TLS, so ssl_cert_reqs means nothing; write rediss://"),
        ("rediss://a?ssl_cert_reqs=optional", "is required or none, not 'optional'"),
        ({"host": "a", "port": "x"}, "the port of .* is a number, not 'x'"),
        ({"address": "http://a"}, "a host is one of"),
        ({"hots": "a"}, r"unknown option 'hots'\. Did you mean 'host'\?"),
    ],
)
def test_what_is_no_host_is_refused(hosts: Any, sentence: str) -> None:
    """The error shows the value and what would be right."""
    with pytest.raises(ValueError, match=sentence):
        read_hosts(hosts)


@pytest.mark.parametrize(
    ("hosts", "shown"),
    [
        ("redis://me:secret@a?x=1", "redis://me:***@a?x=1"),
        ("redis://:sec/ret@a", "redis://:***@a"),
        ("redis://:sec?ret@a", "redis://:***@a"),
        ("me:secret@a:6379", "me:***@a:6379"),
        ({"address": "redis://me:secret@a", "x": 1}, "redis://me:***@a"),
        ({"host": "a", "password": "secret", "x": 1}, "'password': '***'"),
        (["redis://me:secret@a", "redis://me:secret@b"], "redis://me:***@a, redis://me:***@b"),
    ],
)
def test_no_error_shows_a_password(hosts: Any, shown: str) -> None:
    """One in a host that is wrong elsewhere, or that was not written as it must be in a URL, is not repeated."""
    with pytest.raises(ValueError, match=re.escape(shown)) as refused:
        read_hosts(hosts)
    assert "sec" not in str(refused.value).partition("Options")[0]


def test_tls_verifies_unless_told_otherwise() -> None:
    """rediss:// checks the server's certificate and name; ssl_cert_reqs=none does not."""
    strict, lax = read_hosts("rediss://a").tls, read_hosts("rediss://a?ssl_cert_reqs=none").tls
    assert strict is not None
    assert lax is not None
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    ("kwargs", "address"),
    [
        ({"password": "p", "username": "me", "db": "3"}, Address("a", database=3, username="me", password="p")),
        ({"password": None, "socket_timeout": None}, Address("a", password="url")),
        ({"socket_timeout": 2, "socket_connect_timeout": 7.5}, Address("a", password="url", timeout=7.5)),
        ({"unix_socket_path": "/run/redis.sock"}, Address("a", path="/run/redis.sock", password="url")),
    ],
)
def test_connection_kwargs_go_before_the_url(kwargs: dict[str, Any], address: Address) -> None:
    """Those that mean something here; what is None was not given."""
    assert read_hosts("redis://:url@a", kwargs) == address


@pytest.mark.parametrize("verify", [None, "none", "NONE", ssl.CERT_NONE])
def test_connection_kwargs_may_turn_verification_off(verify: Any) -> None:
    """In each way that redis-py has for it, for an address with TLS or with TLS turned on beside it."""
    for hosts, more in (("rediss://a", {}), (("a", 6380), {"ssl": True})):
        context = read_hosts(hosts, {"ssl_cert_reqs": verify, **more}).tls
        assert context is not None
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_what_has_no_meaning_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    """An option of redis-py that changes nothing here is accepted, and said to change nothing."""
    assert read_hosts("redis://a", {"max_connections": 5, "retry_on_timeout": True}) == Address("a")
    assert caplog.messages == [
        "max_connections has no effect: a process has few",
        "retry_on_timeout has no effect: what may have arrived is not sent again",
    ]


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"socket_timout": 3}, r"unknown option 'socket_timout'\. Did you mean 'socket_timeout'\?"),
        ({"socket_timeout": "soon"}, "socket_timeout is a number of seconds, not 'soon'"),
        ({"ssl_check_hostname": False}, "is reached without TLS, so ssl_check_hostname means nothing"),
    ],
)
def test_connection_kwargs_that_are_refused(kwargs: dict[str, Any], sentence: str) -> None:
    """As those of a URL are."""
    with pytest.raises(ValueError, match=sentence):
        read_hosts("redis://a", kwargs)
