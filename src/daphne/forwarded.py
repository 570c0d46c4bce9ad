"""Where a request came from when a proxy stands between: forwarded headers of listed proxies (RFC 7239, X-Forwarded-*).

Anybody can write such a header. So only those are read that a listed proxy is said to write; all others of the family
are taken out of the request, for an application would believe them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import unquote

from daphne.grammar import TOKEN, show
from daphne.request import HttpError, is_host
from daphne.source import Address, Headers, Source

Network: TypeAlias = IPv4Network | IPv6Network

UNIX: Final = "unix"
"""Among the proxies: whoever connects by a Unix socket."""
THIS_MACHINE: Final = ("127.0.0.0/8", "::1", UNIX)
"""The proxies of 1.x's option ``--proxy-headers`` where none are named."""
READABLE: Final = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "forwarded",
    "daphne-root-path",
)
"""What can be read."""
_PREFIX: Final = b"x-forwarded-"
_FAMILY: Final = frozenset((b"forwarded", b"daphne-root-path"))
_SCHEMES: Final = {b"http": False, b"ws": False, b"https": True, b"wss": True}

_PAIR = re.compile(rb"[ \t]*(" + TOKEN + rb")=(?:(" + TOKEN + rb')|"((?:[^"\\]|\\.)*)")[ \t]*(;|,[ \t,]*|\Z)')
_NODE = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]+)")


@dataclass(slots=True)
class _Hop:
    """What one proxy says of the request that it got."""

    client: bytes = b""
    scheme: bytes = b""
    host: bytes = b""


class Proxies:
    """The proxies in front of this server, and the headers that they write.

    ``listed`` are addresses and networks, and :data:`UNIX`; ``headers`` are of :data:`READABLE`. Raises
    :exc:`ValueError` for anything else.
    """

    def __init__(self, listed: Iterable[str], headers: Sequence[str]) -> None:
        names = set(listed)
        self._unix = UNIX in names
        self._networks = [_network(name) for name in sorted(names - {UNIX})]
        self._headers = frozenset(_checked(name).encode() for name in headers)
        if b"forwarded" in self._headers and any(name.startswith(_PREFIX) for name in self._headers):
            raise ValueError("forwarded_headers: either 'forwarded' or 'x-forwarded-...': which would count?")

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def trusts(self, peer: Address) -> bool:
        """Return whether ``peer`` is a listed proxy."""
        if peer is None:
            return self._unix
        return bool(self._networks) and self._is_listed(_address(peer[0].partition("%")[0].encode()))

    def read(self, source: Source, headers: Headers, is_proxy: bool) -> Headers:
        """Complete ``source`` by what the proxies say, and return the headers without what nobody can believe.

        ``is_proxy`` says whether the peer is one of the proxies. Raises :exc:`HttpError` where one of them writes what
        cannot be read.
        """
        read = self._headers if is_proxy else frozenset()
        kept = [field for field in headers if not _is_forwarded(field[0]) or field[0] in read]
        fields: dict[bytes, list[bytes]] = {}
        for name, value in kept:
            if name in read:
                fields.setdefault(name, []).append(value)
        return self._apply(source, kept, fields) if fields else kept

    def _apply(self, source: Source, headers: Headers, fields: dict[bytes, list[bytes]]) -> Headers:
        hop = self._standard(fields[b"forwarded"]) if b"forwarded" in fields else self._usual(fields)
        if hop.client:
            source.client = _client(hop.client)
        if hop.scheme:
            source.is_secure = _is_secure(hop.scheme)
        port = _last(fields, b"x-forwarded-port")
        if port and source.server is not None:
            source.server = source.server[0], _port(port)
        root_path = _last(fields, b"daphne-root-path")
        if root_path:
            source.root_path = unquote(root_path.decode("latin-1"))
            headers = [field for field in headers if field[0] != b"daphne-root-path"]
        return _with_host(headers, hop.host) if hop.host else headers

    def _usual(self, fields: dict[bytes, list[bytes]]) -> _Hop:
        """Read ``X-Forwarded-*``: each proxy appends to lists, or has replaced what came."""
        clients = _members(fields.get(b"x-forwarded-for", ()))
        hops = self._steps(clients)
        return _Hop(
            clients[-hops] if hops else b"",
            _of_hop(_members(fields.get(b"x-forwarded-proto", ())), hops),
            _of_hop(_members(fields.get(b"x-forwarded-host", ())), hops),
        )

    def _standard(self, values: Iterable[bytes]) -> _Hop:
        """Read ``Forwarded``: each proxy appends an element (RFC 7239 section 4)."""
        elements = [element for value in values for element in _elements(value)]
        clients = [element.client for element in elements]
        steps = self._steps(clients)
        return elements[-steps] if steps else _of_no_client(elements)

    def _steps(self, clients: Sequence[bytes]) -> int:
        """Return the place of the client, from the end: the first that is no proxy itself, or the last known."""
        found = 0
        for place, client in enumerate(reversed(clients), 1):
            address = _address(client)
            if address is None:
                break
            found = place
            if not self._is_listed(address):
                break
        return found

    def _is_listed(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _network(name: str) -> Network:
    try:
        return ip_network(str(name))  # it would take a number, too
    except ValueError as error:
        hint = "; for everybody, where nobody else can reach this server, 0.0.0.0/0" if name == "*" else ""
        raise ValueError(
            f"trusted_proxies: {name!r} is neither an address, a network such as 10.0.0.0/8, nor 'unix' ({error}){hint}"
        ) from None


def _checked(name: str) -> str:
    if str(name).lower() not in READABLE:
        raise ValueError(f"forwarded_headers: {name!r} is none of {', '.join(READABLE)}")
    return name.lower()


def _is_forwarded(name: bytes) -> bool:
    return name in _FAMILY or name.startswith(_PREFIX)


def _members(values: Iterable[bytes]) -> list[bytes]:
    """Return the members of a list that may be spread over several fields."""
    return [member for value in values for member in map(bytes.strip, value.split(b",")) if member]


def _of_hop(values: Sequence[bytes], hops: int) -> bytes:
    """Return what is said of the same hop as the client, where the proxies append; else what the first has said."""
    return values[-max(hops, 1)] if len(values) >= max(hops, 1) else values[0] if values else b""


def _of_no_client(elements: Sequence[_Hop]) -> _Hop:
    """Return what the nearest proxy says, whose client is hidden or unknown (RFC 7239 section 6)."""
    nearest = elements[-1] if elements else _Hop()
    return _Hop(b"", nearest.scheme, nearest.host)


def _last(fields: dict[bytes, list[bytes]], name: bytes) -> bytes:
    values = fields.get(name)
    return values[-1] if values else b""


def _elements(value: bytes) -> list[_Hop]:
    """Return the elements of a ``Forwarded`` field. What cannot be read hides what comes behind it: it is refused."""
    elements, position, ends = [_Hop()], 0, False
    while position < len(value):
        pair = _PAIR.match(value, position)
        if pair is None:
            raise HttpError(400, f"The Forwarded field {show(value)} of a proxy cannot be read.")
        if ends:
            elements.append(_Hop())
        _note(elements[-1], pair[1].lower(), pair[2] or re.sub(rb"\\(.)", rb"\1", pair[3] or b""))
        position, ends = pair.end(), pair[4] != b";"
    return elements


def _note(hop: _Hop, name: bytes, value: bytes) -> None:
    if name == b"for":
        hop.client = value
    elif name == b"proto":
        hop.scheme = value
    elif name == b"host":
        hop.host = value


def _address(node: bytes) -> IPv4Address | IPv6Address | None:
    """Return the address of a node, with or without a port; an IPv4 address in IPv6 is one of IPv4."""
    match = _NODE.fullmatch(node)
    try:
        address = ip_address((match[1] or match[2] or match[4]).decode()) if match else None
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _client(node: bytes) -> tuple[str, int]:
    match, address = _NODE.fullmatch(node), _address(node)
    assert match is not None
    return str(address), int(match[3] or 0)


def _is_secure(scheme: bytes) -> bool:
    if scheme.lower() not in _SCHEMES:
        raise HttpError(400, f"The scheme {show(scheme)} of a proxy is neither http nor https.")
    return _SCHEMES[scheme.lower()]


def _port(value: bytes) -> int:
    if not value.isdigit() or len(value) > 5:
        raise HttpError(400, f"The X-Forwarded-Port {show(value)} of a proxy is no port.")
    return int(value)


def _with_host(headers: Headers, host: bytes) -> Headers:
    if not is_host(host):
        raise HttpError(400, f"The host {show(host)} of a proxy is not one host with an optional port.")
    return [(b"host", host), *(field for field in headers if field[0] != b"host")]
