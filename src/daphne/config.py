"""Every limit and time of an interface server, in one place; units are in the names or beside the values."""

from __future__ import annotations

import inspect
import re
from dataclasses import Field, dataclass, fields
from functools import cache
from typing import Any, Final

from daphne.access_format import FORMATS
from daphne.broadcast import WritePolicies
from daphne.forwarded import Proxies
from daphne.pace import IdleLimits

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What one interface server does and how far it lets itself be pushed.

    Times are seconds (``float``), sizes are bytes. Raises :exc:`ValueError` for a value that is out of range.
    """

    # HTTP (RFC 9112). Defaults follow nginx and gunicorn where they agree.
    max_target_size: int = 8 * KIB
    """Longest request target; longer is answered 414."""
    max_header_size: int = 32 * KIB
    """All field lines of one message together; more is answered 431."""
    max_headers: int = 100
    """Field lines of one message; more is answered 431."""
    max_body_size: int = 100 * MIB
    """Longest request body; longer is answered 413."""
    max_bodies_size: int = 256 * MIB
    """Request bodies held in this process at once; more is answered 503."""
    inline_body_size: int = 128 * KIB
    """What of a body travels in the request message itself; the rest follows in chunks."""
    head_timeout: float = 20.0
    """From the first byte of a request (or from accept) to the end of its headers; later is answered 408."""
    body_timeout: float = 60.0
    """Between two pieces of a request body; later is answered 408."""
    keep_alive_timeout: float = 75.0
    """An idle HTTP connection is closed after this."""
    http_timeout: float = 120.0
    """From the complete request to the first message of its response; later is answered 503."""
    send_timeout: float = 60.0
    """A client that takes nothing of its response for this long is cut off."""
    max_spool_size: int = 64 * MIB
    """What of one response may wait for its client here, in a file mostly; more waits in the worker."""
    max_spools_size: int = 1024 * MIB
    """The same for the responses of all clients."""
    root_path: str = ""
    """Mount point of the application, decoded (``SCRIPT_NAME``)."""

    # Who sends a request, and what is known of it
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of the proxies in front; ``unix`` for Unix sockets."""
    forwarded_headers: tuple[str, ...] = ("x-forwarded-for", "x-forwarded-proto")
    """What those proxies write; every other forwarded header is taken out of their requests, too."""
    request_ids: bool = True
    """Every request has an ``X-Request-ID``, for the application, the access log and the client."""
    access_log_format: str = "text"
    """Format of the access log: ``text``, ``common``, ``combined`` or ``json``."""
    probes: bool = True
    """Answer ``/-/live`` and ``/-/ready`` without the application."""

    # WebSocket (RFC 6455)
    max_frame_size: int = 1 * MIB
    """Payload of one frame; more closes the socket with 1009."""
    max_message_size: int = 1 * MIB
    """Payload of one message after reassembly, as it was sent; more closes the socket with 1009."""
    max_inflated_size: int = 0
    """One message that came compressed, after inflating; more closes with 1009. 0: as ``max_message_size``."""
    max_fragments: int = 1024
    """Frames of one message; more closes the socket with 1008."""
    handshake_timeout: float = 20.0
    """From the request to the consumer's decision; later is refused with 503."""
    max_handshakes: int = 1000
    """Handshakes waiting for a decision at once; more wait for their turn."""
    max_waiting_handshakes: int = 10_000
    """Handshakes waiting for their turn; more are refused with 503."""
    max_messages_per_second: int = 0
    """Messages and control frames of one socket; one that sends more is not read for a while. 0: as many as come."""
    close_timeout: float = 5.0
    """From our close frame to the peer's; then the transport is aborted."""
    ping_interval: float = 20.0
    """Silence from the peer after which it is sent a ping; 0 turns pings off."""
    ping_timeout: float = 30.0
    """From a ping to its pong; then the socket is gone."""
    idle_timeout: float = 0.0
    """A socket without a message either way for this long is closed with 1001; 0: never."""
    idle_timeouts: tuple[tuple[str, float], ...] = ()
    """The same by path: regular expressions and seconds; the first that is found counts."""
    compression_level: int = 1
    """Of messages to clients that offer compression, from 1, the fastest, to 9; 0 turns it off both ways."""
    compression_window: int = 12
    """Largest window to negotiate, in bits: 9 to 15."""
    min_compressed_size: int = 256
    """Messages that are shorter are not compressed."""
    subprotocols: tuple[str, ...] = ()
    """Subprotocols the server offers, in its order of preference."""

    # Lanes: events of one WebSocket that wait for the application
    max_lane_messages: int = 64
    """Events waiting in one lane before its socket is not read any more."""
    max_lane_size: int = 256 * KIB
    """Bytes waiting in one lane before its socket is not read any more."""
    max_lanes_size: int = 64 * MIB
    """Bytes waiting and under way in all lanes before no socket is read any more."""
    max_batch_messages: int = 32
    """Queued events that leave a lane together."""
    max_batch_size: int = 64 * KIB
    """Bytes of queued events that leave a lane together."""

    # Connections
    max_connections: int = 0
    """Connections of this process at once; more are answered 503. 0: as many as it may open files."""
    max_connections_per_address: int = 0
    """Connections from one address at once; more are answered 429. 0: no limit, which suits a proxy in front."""

    # Outgoing
    max_write_size: int = 1 * MIB
    """Unsent bytes of one connection; a WebSocket with more to send is closed with 1013."""
    write_policies: tuple[tuple[str, str], ...] = ()
    """What else to do for groups: shell globs and ``drop-oldest`` or ``coalesce``; the first that matches counts."""
    max_pending_messages: int = 256
    """Messages that wait for a socket whose handshake is not decided."""

    # Origin (RFC 6454) of browser handshakes
    allowed_hosts: tuple[str, ...] = ()
    """Django's ``ALLOWED_HOSTS``; only concrete names open anything to a foreign page."""
    trusted_origins: tuple[str, ...] = ()
    """Django's ``CSRF_TRUSTED_ORIGINS``."""
    debug: bool = False
    """Loopback pages may connect to any host; refusals explain themselves to the client."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, default = getattr(self, field.name), field.default
            kinds = (int, float) if isinstance(default, float) else (type(default),)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                expected = " or ".join(kind.__name__ for kind in kinds)
                raise ValueError(f"{field.name} is {expected}, {default!r} by default, not {value!r}")
            if isinstance(value, (int, float)) and value < 0:
                raise ValueError(f"{field.name} must not be negative, not {value!r}")
        self._check_ranges()

    def _check_ranges(self) -> None:
        if self.compression_level > 9:
            raise ValueError(f"compression_level is 0 to 9, not {self.compression_level}")
        if not 9 <= self.compression_window <= 15:
            raise ValueError(f"compression_window is 9 to 15, not {self.compression_window}")
        if self.access_log_format not in FORMATS:
            raise ValueError(f"access_log_format is one of {', '.join(FORMATS)}, not {self.access_log_format!r}")
        WritePolicies(self.write_policies)
        IdleLimits(self.idle_timeout, self.idle_timeouts)
        Proxies(self.trusted_proxies, self.forwarded_headers)


LIMITS: Final = tuple(field for field in fields(Config) if type(field.default) in (int, float))
"""Numbers of the configuration; each is an option of the commands."""


def text_of(name: str) -> str:
    """Return the docstring of a field of the configuration, without markup."""
    return _texts()[name].replace("``", "")


def spelling(name: str) -> str:
    """Return the option of a command that is called ``name``."""
    return "--" + name.replace("_", "-")


def option_of(limit: Field[Any]) -> dict[str, Any]:
    """Return what :mod:`argparse` is told of a limit, beside its spelling: type, unit, and docstring as help."""
    return {
        "dest": limit.name,
        "type": type(limit.default),
        "metavar": "SECONDS" if type(limit.default) is float else "NUMBER",
        "help": f"{text_of(limit.name)} ({limit.default})".replace("%", "%%"),
    }


@cache
def _texts() -> dict[str, str]:
    return dict(re.findall(r'^    (\w+): .*\n    """(.*)"""$', inspect.getsource(Config), re.MULTILINE))
