"""What is wrong with a server, or with the way to it, in words."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channel_layers.problems import Kind, Problem
from channel_layers.redis import RedisChannelLayer, inspection, permissions
from channel_layers.redis.address import Address
from channel_layers.redis.keys import Keys
from tests.channel_layers.redis.server import RedisServer, TlsServer
from tests.runserver import free_port

ADDRESS = Address("redis.example")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """A server with TLS on one port and without on another."""
    server = TlsServer(tmp_path_factory.mktemp("tls"))
    server.start("--port", str(free_port()))
    yield server
    server.kill()


def problems(hosts: Any, **options: Any) -> list[Problem]:
    """Return what a layer finds."""
    return RedisChannelLayer(hosts=hosts, **{"timeout": 1.0, **options}).problems()


def problem(hosts: Any, kind: Kind, **options: Any) -> str:
    """Return the one problem that a layer finds, as text."""
    (found,) = problems(hosts, **options)
    assert found.kind is kind
    return str(found)


def test_nothing_is_wrong(server: RedisServer) -> None:
    """And nothing stays open or stored."""
    layer = RedisChannelLayer(hosts=server.url, prefix="inspected:")
    assert layer.problems() == []
    assert server.ask("KEYS", "inspected:*") == b"*0\r\n"


# -- the way there -----------------------------------------------------------------------------------------------------


def test_nobody_listens(tmp_path: Path) -> None:
    """At a port, or at a socket that does not exist: it may come."""
    for hosts in (("localhost", free_port()), f"unix://{tmp_path}/redis.sock"):
        text = problem(hosts, Kind.AWAY)
        assert text.endswith("; start the server, or correct hosts in CONFIG")
        assert " cannot be reached: [Errno " in text


def test_host_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name may not be known yet, or be wrong."""

    def resolve(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    text = problem("redis://redsi.example", Kind.AWAY)
    assert text.endswith("not known; if 'redsi.example' is not the name of the server, correct hosts in CONFIG")


def test_server_that_says_nothing(own_server: RedisServer) -> None:
    """It is given the time of a verb."""
    with own_server.paused():
        assert "no answer within 0.1 s" in problem(own_server.url, Kind.AWAY, timeout=0.1)


def test_socket_that_may_not_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting does not open it."""

    def refuse(address: Address, timeout: float) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Address, "open", refuse)
    assert "unixsocketperm 770" in problem("unix:///run/redis.sock", Kind.UNUSABLE)


def test_what_is_no_redis() -> None:
    """A server of another kind is not waited for."""
    found = inspection._unopened(ADDRESS, Keys("x:"), ConnectionAbortedError("what answers is no Redis server"))
    assert (found.kind, found.hint) == (Kind.UNUSABLE, "correct hosts in CONFIG")


# -- TLS ---------------------------------------------------------------------------------------------------------------


def test_tls_that_is_in_order(tls: TlsServer) -> None:
    """Nothing is wrong."""
    assert problems(tls.url) == []


def test_certificates_that_are_not_trusted(tls: TlsServer) -> None:
    """Of an authority that is not known, and for another name."""
    text = problem(tls.address, Kind.UNUSABLE)
    assert re.search("is not trusted: .+; name the authority that signed it with ssl_ca_certs=", text)
    text = problem(tls.url.replace("localhost", "127.0.0.1"), Kind.UNUSABLE)
    assert "IP address mismatch" in text
    assert "ssl_check_hostname=false" in text


def test_tls_where_there_is_none(tls: TlsServer) -> None:
    """A server without it waits for a command; one of another protocol answers something else."""
    port = tls.ask("CONFIG", "GET", "port").split()[-1].decode()
    text = problem(f"rediss://localhost:{port}", Kind.AWAY, timeout=0.1)
    assert text.endswith("if the server speaks no TLS at this port, write redis://")


def test_no_tls_where_there_is_some(tls: TlsServer) -> None:
    """The server hangs up."""
    assert problem(("localhost", tls.port), Kind.AWAY).endswith("speaks TLS at this port, write rediss://")


def test_certificate_that_is_asked_of_the_client(tls: TlsServer) -> None:
    """The server says so, or hangs up: whichever is read first."""
    tls.ask("CONFIG", "SET", "tls-auth-clients", "yes")
    (found,) = problems(tls.url)
    assert found.hint.endswith("certificate, name ssl_certfile") or found.hint.endswith("clients, name ssl_certfile")
    tls.ask("CONFIG", "SET", "tls-auth-clients", "no")


# -- what it answers ---------------------------------------------------------------------------------------------------


def test_passwords(own_server: RedisServer) -> None:
    """One that is missing, wrong, or for nothing; none is shown."""
    assert problem(f"unix://:secret@{own_server.path}", Kind.UNUSABLE).endswith("(requirepass)")
    own_server.ask("CONFIG", "SET", "requirepass", "right")
    assert "put a password into hosts" in problem(own_server.url, Kind.UNUSABLE)
    text = problem(f"unix://me:secret@{own_server.path}", Kind.UNUSABLE)
    assert "WRONGPASS" in text
    assert "correct the password of 'me' in hosts" in text
    assert "secret" not in text


def test_database_that_does_not_exist(server: RedisServer) -> None:
    """Not every server has many."""
    assert "choose a database that the server has" in problem(f"{server.url}?db=99", Kind.UNUSABLE)


@pytest.mark.parametrize(
    ("allowed", "kind", "what"),
    [
        (
            ["~*", "+@all", "-xread", "-lpop"],
            Kind.UNUSABLE,
            "'me' to use LPOP, XREAD; ACL SETUSER me ~channels:*",
        ),
        (["~asgi:*", "+@all"], Kind.UNUSABLE, "to use keys that begin with 'channels:'; ACL SETUSER me ~channels:*"),
        (["~*"], Kind.UNUSABLE, "'script|load' command; ACL SETUSER me ~channels:*"),
        (["~*", "+@all", "-client"], Kind.RISK, "to use CLIENT ID, "),
        (["~*", "+@all", "-info"], Kind.RISK, "does not tell about itself (NOPERM"),
    ],
)
def test_account_that_may_not_do_everything(own_server: RedisServer, allowed: list[str], kind: Kind, what: str) -> None:
    """The commands are named, and so is the one that allows them."""
    own_server.ask("ACL", "SETUSER", "me", "on", ">secret", *allowed)
    assert what in problem(f"unix://me:secret@{own_server.path}", kind)


def test_account_that_may_do_what_is_needed(own_server: RedisServer) -> None:
    """The rules that are shown are enough."""
    own_server.ask("ACL", "SETUSER", "me", "on", ">secret", *permissions.rules("site:").split())
    assert problems(f"unix://me:secret@{own_server.path}?db=3", prefix="site:") == []


def test_memory_that_is_given_up_for_new_keys(own_server: RedisServer) -> None:
    """Every policy but one drops keys, and none does before there is a limit."""
    own_server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    assert problems(own_server.url) == []
    own_server.ask("CONFIG", "SET", "maxmemory", "50mb")
    text = problem(own_server.url, Kind.RISK)
    assert "drops keys once it holds 50.00M (maxmemory-policy volatile-lru), and messages with them" in text
    own_server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert problems(own_server.url) == []


def test_memory_that_is_full(own_server: RedisServer) -> None:
    """Workers may still empty it."""
    own_server.ask("CONFIG", "SET", "maxmemory", "1")
    assert "takes no writes: OOM" in problem(own_server.url, Kind.RISK)


def test_replica(own_server: RedisServer) -> None:
    """Its master is named."""
    own_server.ask("REPLICAOF", "10.0.0.1", "6379")
    assert problem(own_server.url, Kind.UNUSABLE).endswith("takes no writes; name its master, 10.0.0.1:6379")


def test_node_of_a_cluster(own_server: RedisServer) -> None:
    """Its keys are spread over others."""
    own_server.kill()
    own_server.start(
        "--cluster-enabled",
        "yes",
        "--port",
        str(own_server.plain_port or free_port()),
        "--cluster-port",
        str(free_port()),
    )
    texts = [str(found) for found in problems(own_server.url)]
    assert any("is a node of a cluster" in text for text in texts)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"redis_version": "6.2.14"}, ["redis://redis.example:6379/0 is Redis 6.2.14, which is too old"]),
        ({"redis_version": "255.255.255"}, []),
        ({"redis_version": "7.0.0"}, []),
        ({"redis_version": "6.2.0", "valkey_version": "9.0.1", "server_name": "valkey"}, []),
        ({}, []),
    ],
)
def test_versions(told: dict[str, str], expected: list[str]) -> None:
    """Redis from 7.0 on and every Valkey, which tells a version of Redis as well."""
    info = "".join(f"{name}:{value}\r\n" for name, value in told.items()).encode()
    found = list(inspection._of_server(ADDRESS, b"# Server\r\n" + info))
    assert [problem.text for problem in found] == expected
    assert all(problem.kind is Kind.UNUSABLE and "Redis 7.0 or newer, or Valkey" in problem.hint for problem in found)


@pytest.mark.parametrize(
    ("answer", "kind", "hint"),
    [
        ("LOADING Redis is loading the dataset in memory", Kind.AWAY, "that passes"),
        ("ERR max number of clients reached", Kind.AWAY, "that passes"),
        (
            "DENIED Redis is running in protected mode",
            Kind.UNUSABLE,
            "give the server a password (requirepass)",
        ),
        ("ERR unknown command 'SCRIPT'", Kind.UNUSABLE, "see what the server logs"),
    ],
)
def test_refusals_of_a_server(answer: str, kind: Kind, hint: str) -> None:
    """Those that pass are waited for."""
    found = inspection._declined(ADDRESS, Keys("x:"), answer)
    assert found.kind is kind
    assert found.hint.startswith(hint)
