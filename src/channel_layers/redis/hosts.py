"""What the option ``hosts`` says, in each of its forms, and 1.x's ``connection_kwargs`` beside it.

Every form becomes a dict by redis-py's names for its options, and that becomes the address.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from channel_layers.redis import tls
from channel_layers.redis.address import DEFAULT_PORT, Address
from channel_layers.suggestions import did_you_mean

FORMS: Final = "redis://host:port/0, rediss://host:port/0, unix:///path/to/socket?db=0 or (host, port)"

MEANT: Final = ("host", "port", "unix_socket_path", "db", "username", "password", "ssl", *sorted(tls.OPTIONS))
TIMES: Final = ("socket_timeout", "socket_connect_timeout")
"""Options of redis-py that bound how long a verb waits."""
_POINTLESS: Final = {
    **dict.fromkeys(("max_connections", "connection_pool_class", "single_connection_client"), "a process has few"),
    **dict.fromkeys(("retry", "retry_on_error", "retry_on_timeout"), "what may have arrived is not sent again"),
    **dict.fromkeys(("health_check_interval", "socket_keepalive", "socket_keepalive_options"), "it is always done"),
    **dict.fromkeys(("decode_responses", "encoding", "encoding_errors", "protocol"), "the layer has its own"),
    **dict.fromkeys(("client_name", "lib_name", "lib_version"), "the layer has its own"),
}
"""Options of redis-py that are accepted with a note, and why they do nothing."""

Host = str | tuple[str, int] | Mapping[str, Any] | Address

logger = logging.getLogger("channel_layers")


def read_hosts(hosts: Host | Sequence[Host] | None, kwargs: Mapping[str, Any] | None = None) -> Address:
    """Return the address that ``hosts`` names, Redis on this machine by default; ``kwargs`` goes before what it says.

    Raises :exc:`ValueError` for what is no address; no password is in its text.
    """
    several = [hosts] if isinstance(hosts, (str, Mapping, Address)) or _is_pair(hosts) else list(hosts or ())
    if hosts is not None and len(several) != 1:
        names = ", ".join(map(_shown, several))
        raise ValueError(f"hosts names one server, not {len(several)} ({names}): several cannot share the work yet")
    host = several[0] if several else ("localhost", DEFAULT_PORT)
    if isinstance(host, Address):
        return host
    # None is redis-py's "not given", but as ssl_cert_reqs its "do not verify".
    given = {name: value for name, value in (kwargs or {}).items() if value is not None or name == "ssl_cert_reqs"}
    return _address(_options_of(host) | given, _shown(host))


def _is_pair(host: object) -> bool:
    return isinstance(host, (tuple, list)) and [type(part) for part in host] == [str, int]


def _options_of(host: Any) -> dict[str, Any]:
    if isinstance(host, str):
        return _read_url(host)
    if isinstance(host, Mapping):
        more = dict(host)
        address = more.pop("address", None)
        return {**(_options_of(address) if address is not None else {}), **more}
    if not _is_pair(host):
        raise ValueError(f"a host is one of {FORMS}, not {_shown(host)!r}")
    return {"host": host[0], "port": host[1]}


def _read_url(url: str) -> dict[str, Any]:
    shown = _shown(url)
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"a host is one of {FORMS}, not {shown!r}")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        hint = "in a password, / ? # and @ are written as %2F %3F %23 and %40"
        raise ValueError(f"{shown!r} has a port that is no number; {hint}") from None
    options: dict[str, Any] = {"host": parts.hostname or "localhost", "port": port, "ssl": parts.scheme == "rediss"}
    if parts.scheme == "unix":
        options["unix_socket_path"] = unquote(parts.path)
    elif parts.path.strip("/"):
        options["db"] = parts.path.strip("/")
    options |= {"username": unquote(parts.username or ""), "password": unquote(parts.password or "")}
    return options | dict(parse_qsl(parts.query))


def _address(options: dict[str, Any], shown: str) -> Address:
    _check_names(options, shown)
    speaks_tls = options.get("ssl", False)
    tls_options = {name: value for name, value in options.items() if name in tls.OPTIONS}
    if tls_options and not speaks_tls:
        raise ValueError(f"{shown!r} is reached without TLS, so {min(tls_options)} means nothing; write rediss://")
    times = [_seconds(options[name], name) for name in TIMES if options.get(name) is not None]
    return Address(
        options.get("host") or "localhost",
        _number(options, "port", DEFAULT_PORT, shown),
        options.get("unix_socket_path") or "",
        _number(options, "db", 0, shown),
        options.get("username") or "",
        options.get("password") or "",
        tls.context_of(tls_options) if speaks_tls else None,
        max(times, default=None),
    )


def _check_names(options: Mapping[str, Any], shown: str) -> None:
    known = (*MEANT, *TIMES, *_POINTLESS)
    for name in options:
        if name not in known:
            hint = did_you_mean(str(name), known)
            listed = ", ".join((*MEANT, *TIMES))
            raise ValueError(f"{shown!r} or connection_kwargs has an unknown option {name!r}.{hint} Options: {listed}")
        if name in _POINTLESS:
            logger.warning("%s has no effect: %s", name, _POINTLESS[name])


def _number(options: Mapping[str, Any], name: str, default: int, shown: str) -> int:
    value = options.get(name)
    if value is None:
        return default
    if str(value).isdecimal():
        return int(value)
    what = "database" if name == "db" else name
    raise ValueError(f"the {what} of {shown!r} is a number, not {value!r}")


def _seconds(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is a number of seconds, not {value!r}") from None


def _shown(host: object) -> str:
    """Return a host as errors show it: without its password."""
    if isinstance(host, str):
        return re.sub(r"^(\w+://|)([^:/@]*):.*@", r"\1\2:***@", host)
    if isinstance(host, Mapping):
        hidden = {name: "***" if name == "password" else value for name, value in host.items()}
        return str({name: _shown(value) if name == "address" else value for name, value in hidden.items()})
    return "{}:{}".format(*host) if isinstance(host, (tuple, list)) and _is_pair(host) else str(host)
