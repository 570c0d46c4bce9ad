"""Which pages may open a WebSocket: the Origin of a handshake (RFC 6454 §7) against its Host and Django's settings.

A browser sends its cookies with a handshake whatever page asks for it, and no same-origin policy stands in the way:
without this check any site could act as the user who visits it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from daphne.config import Config

_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*")
# Django's grammar of a host, and the underscore that some internal names have. So neither user information nor a
# wildcard nor a leading dot is ever part of one; international names are compared as the browser sends them.
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_][a-z0-9_.\-]*")
_AUTHORITY = re.compile(rf"({_HOST.pattern})(?::[0-9]{{1,5}})?")
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_MAX_SHOWN = 100


@dataclass(frozen=True, slots=True)
class OriginVerdict:
    """Whether the handshake may go on; ``reason`` is a sentence for the log, empty if there is nothing to say."""

    allowed: bool
    reason: str = ""


def check_origin(headers: Iterable[tuple[bytes, bytes]], config: Config) -> OriginVerdict:
    """Judge a handshake by its ``headers``, whose names are lower-case.

    Without Origin it does not come from a browser and passes. Otherwise the host of Origin must be that of Host or
    an entry of ``config.allowed_hosts`` without wildcard, the ports aside; or Origin must be in
    ``config.trusted_origins``, read as Django reads ``CSRF_TRUSTED_ORIGINS``. With ``config.debug`` pages of this
    machine and blank pages pass as well, and ``reason`` says so.
    """
    fields = list(headers)
    origins, hosts = _values(fields, b"origin"), _values(fields, b"host")
    if not origins or (len(origins) == 1 and _is_ours(origins[0], hosts, config)):
        return OriginVerdict(True)
    allowed, why = _judge_foreign(origins, config.debug)
    return OriginVerdict(allowed, f"Origin {_show(origins)} at Host {_show(hosts)} {why}.")


def _is_ours(origin: str, hosts: list[str], config: Config) -> bool:
    """Whether this site or a setting names the page's origin."""
    host = _origin_host(origin)
    if host is not None:
        own = [_authority_host(value) for value in hosts]
        concrete = [_canonical(entry.lower()) for entry in config.allowed_hosts]
        if own == [host] or host in concrete:
            return True
    return any(_is_trusted(origin, entry.lower()) for entry in config.trusted_origins)


def _is_trusted(origin: str, entry: str) -> bool:
    """Whether an entry of ``CSRF_TRUSTED_ORIGINS`` names ``origin``, as it stands or with ``*`` for any subdomain."""
    scheme, separator, rest = entry.partition("://")
    if not separator or "*" not in rest:
        return bool(separator) and origin == entry
    domain = rest.partition("/")[0].lstrip("*")
    own_scheme, _, authority = origin.partition("://")
    if own_scheme != scheme or _authority_host(authority) is None:
        return False
    return authority == domain.removeprefix(".") or (domain.startswith(".") and authority.endswith(domain))


def _judge_foreign(origins: list[str], debug: bool) -> tuple[bool, str]:
    """Return whether DEBUG lets the page of another origin pass, and the rest of the sentence about it."""
    if len(origins) > 1:
        return False, "is refused: a browser sends one Origin, no setting allows several"
    if origins == ["null"]:
        page = "is a page without an address (blank, sandboxed or a file)"
        return debug, f"{page} and passes because DEBUG is on" if debug else f"{page}: it passes only with DEBUG"
    host = _origin_host(origins[0])
    if debug and host is not None and _is_loopback(host):
        return True, "is a page of this machine and passes because DEBUG is on"
    if host is None:
        return False, "is refused: it is not scheme://host[:port]; only CSRF_TRUSTED_ORIGINS can name it as it is"
    return False, (
        "is refused: if the page is yours, add its origin to CSRF_TRUSTED_ORIGINS or its host to ALLOWED_HOSTS; "
        "a reverse proxy must pass on the Host it received"
    )


def _origin_host(origin: str) -> str | None:
    """Return the host of ``scheme://host[:port]``, or ``None`` if that is not what it is."""
    scheme, _, authority = origin.partition("://")
    return _authority_host(authority) if _SCHEME.fullmatch(scheme) else None


def _authority_host(authority: str) -> str | None:
    match = _AUTHORITY.fullmatch(authority)
    return _canonical(match[1]) if match else None


def _canonical(host: str) -> str | None:
    """Return the one spelling of a lower-case host, or ``None`` if it is a pattern or no host at all."""
    if not _HOST.fullmatch(host):
        return None
    if not host.startswith("["):
        return host.removesuffix(".")
    try:
        return str(IPv6Address(host[1:-1]))
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _LOOPBACK)


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in headers if key == name]


def _show(values: list[str]) -> str:
    return ascii(", ".join(values)[:_MAX_SHOWN]) if values else "(none)"
