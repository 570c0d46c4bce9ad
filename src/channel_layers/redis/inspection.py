"""What is wrong with a server, or with the way to it, in words: one attempt to connect, and one write of questions."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Final

from channel_layers.problems import Kind, Problem
from channel_layers.redis import permissions
from channel_layers.redis.address import Address
from channel_layers.redis.keys import Keys
from channel_layers.redis.link import Link
from channel_layers.redis.protocol import ReplyError, pack

OLDEST: Final = 7
"""The first major version of Redis that has all that the scripts use. Every Valkey has it."""
PASSING: Final = ("LOADING", "MASTERDOWN", "BUSY", "TRYAGAIN", "ERR max number of clients")
"""What errors begin with that end by themselves."""

REFUSING: Final = ("OOM", "MISCONF", "NOREPLICAS")
"""What the errors of a server begin with that takes no writes, until somebody has seen to it."""

_TRUST: Final = (
    "name the authority that signed it with ssl_ca_certs=/path/to/ca.pem; ssl_check_hostname=false lets it be for "
    "another name, and ssl_cert_reqs=none lets it be anybody's, which some hosters need"
)
_PLAIN: Final = "if the server speaks no TLS at this port, write redis://; if it wants a certificate, name ssl_certfile"
_HINTS: Final = {
    "NOAUTH": "put a password into hosts in CONFIG: redis://:password@host, or redis://user:password@host",
    "WRONGPASS": "correct the password of {account!r} in hosts, where / ? # and @ are written %2F %3F %23 and %40",
    "ERR AUTH": "take the password out of hosts in CONFIG, or give the server one (requirepass)",
    "ERR DB": "choose a database that the server has; most have 0 to 15, and some have only 0",
    "DENIED": "give the server a password (requirepass), or let it listen on a Unix socket or on 127.0.0.1 only",
    "NOPERM": "ACL SETUSER {account} {rules}",
}
"""What to do about errors, by what they begin with."""


def problems_of(address: Address, name: str, keys: Keys, timeout: float) -> list[Problem]:
    """Connect once, as ``name`` within ``timeout`` seconds, and return what is wrong."""
    try:
        link = Link(address, name, timeout)
    except (OSError, ReplyError) as error:
        return [_unopened(address, keys, error)]
    try:
        info, *replies = link.request([pack("INFO"), *permissions.trial(keys)], timeout)
    except OSError as error:
        return [_unopened(address, keys, error)]
    finally:
        link.close()
    return [*_of_account(address, keys, replies), *_of_server(address, info), *_of_writing(address, replies)]


# -- the way there -----------------------------------------------------------------------------------------------------


def _unopened(address: Address, keys: Keys, error: Exception) -> Problem:
    if isinstance(error, ReplyError):
        return _declined(address, keys, str(error))
    return _of_tls(address, error) or _of_network(address, error)


def _of_tls(address: Address, error: Exception) -> Problem | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the certificate of {address} is not trusted: {error.verify_message}"
        return Problem(Kind.UNUSABLE, text, _TRUST)
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Problem(Kind.UNUSABLE, f"no TLS with {address}: {error}", _PLAIN)
    return None


def _of_network(address: Address, error: Exception) -> Problem:
    text = f"{address} cannot be reached: {error}"
    if isinstance(error, PermissionError):
        hint = "let the user of this process open it, by its group and unixsocketperm 770 in redis.conf for instance"
        return Problem(Kind.UNUSABLE, text, hint)
    if isinstance(error, ConnectionAbortedError):
        return Problem(Kind.UNUSABLE, text, "correct hosts in CONFIG")
    return Problem(Kind.AWAY, text, _hint(address, error))


def _hint(address: Address, error: Exception) -> str:
    """Return what to do about a server that is away, which a server without TLS, or with it, may only seem to be."""
    if isinstance(error, socket.gaierror):
        return f"if {address.host!r} is not the name of the server, correct hosts in CONFIG"
    if isinstance(error, TimeoutError) and address.tls:
        return "if the server speaks no TLS at this port, write redis://"
    if isinstance(error, (ssl.SSLError, ConnectionResetError)) and address.tls:
        return "if the server wants a certificate of its clients, name ssl_certfile"
    if isinstance(error, ConnectionResetError) and not address.path:
        return "if the server speaks TLS at this port, write rediss://"
    return "start the server, or correct hosts in CONFIG"


def _declined(address: Address, keys: Keys, answer: str) -> Problem:
    if answer.startswith(PASSING):
        return Problem(Kind.AWAY, f"{address} is not ready: {answer}", "that passes")
    hint = next((hint for code, hint in _HINTS.items() if answer.startswith(code)), "see what the server logs")
    account, rules = address.username or "default", permissions.rules(keys.prefix)
    text = f"{address} refuses: {answer}"
    return Problem(Kind.UNUSABLE, text, hint.format(account=account, rules=rules))


# -- the server --------------------------------------------------------------------------------------------------------


def _of_account(address: Address, keys: Keys, replies: list[object]) -> Iterator[Problem]:
    refused = permissions.refused(replies)
    if not refused:
        return
    account = address.username or "default"
    what = permissions.described(refused, replies, keys.prefix)
    kind = Kind.UNUSABLE if permissions.are_needed(refused) else Kind.RISK
    text = f"{address} does not allow account {account!r} to use {what}"
    yield Problem(kind, text, f"ACL SETUSER {account} {permissions.rules(keys.prefix)}")


def _of_server(address: Address, info: object) -> Iterator[Problem]:
    if not isinstance(info, bytes):
        text = f"{address} does not tell about itself ({info}): its version is not known, and its restarts are missed"
        yield Problem(Kind.RISK, text, "allow the account +info")
        return
    told = _read(info)
    yield from _of_version(address, told)
    yield from _of_role(address, told)
    yield from _of_memory(address, told)


def _read(info: bytes) -> dict[str, str]:
    lines = info.decode(errors="replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def _of_version(address: Address, told: Mapping[str, str]) -> Iterator[Problem]:
    version = told.get("redis_version", "")
    major, _, _ = version.partition(".")
    if "valkey_version" not in told and major.isdecimal() and int(major) < OLDEST:
        hint = f"use Redis {OLDEST}.0 or newer, or Valkey"
        yield Problem(Kind.UNUSABLE, f"{address} is Redis {version}, which is too old", hint)


def _of_role(address: Address, told: Mapping[str, str]) -> Iterator[Problem]:
    if told.get("role") == "slave":
        master = f"{told.get('master_host')}:{told.get('master_port')}"
        yield Problem(Kind.UNUSABLE, f"{address} is a replica, which takes no writes", f"name its master, {master}")
    if told.get("cluster_enabled") == "1":
        text = f"{address} is a node of a cluster, which this release cannot use"
        yield Problem(Kind.UNUSABLE, text, "name a server of its own")


def _of_memory(address: Address, told: Mapping[str, str]) -> Iterator[Problem]:
    limit, policy = told.get("maxmemory", "0"), told.get("maxmemory_policy", "noeviction")
    if limit != "0" and policy != "noeviction":
        size = told.get("maxmemory_human", limit)
        text = f"{address} drops keys once it holds {size} (maxmemory-policy {policy}), and messages with them"
        yield Problem(Kind.RISK, text, "set maxmemory-policy noeviction, or give the layer a server of its own")


def _of_writing(address: Address, replies: list[object]) -> Iterator[Problem]:
    error = next((str(reply) for reply in replies if str(reply).startswith(REFUSING)), None)
    if error is not None:
        yield Problem(Kind.RISK, f"{address} takes no writes: {error}", "see to it before the layer is needed")
