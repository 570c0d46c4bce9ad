"""Lines for the access log: what a person watching the server wants to know of each connection."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

logger = logging.getLogger("daphne.access")

SECRET: Final = re.compile(r"session_?(key|id)|token|passw(or)?d|secret|api_?key|signature", re.IGNORECASE)
"""What the name of a parameter has in it whose value stays out of the log."""
HIDDEN: Final = "***"

Address = tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class Access:
    """One line: ``text`` for people, ``status`` of the answer or 0, ``failed`` if it deserves a look."""

    text: str
    status: int = 0
    failed: bool = False


AccessLog = Callable[[Access], None]


def log_access(access: Access) -> None:
    """Log to ``daphne.access``; the default of a server."""
    logger.log(logging.WARNING if access.failed else logging.INFO, "%s", access.text)


def http_access(method: str, target: bytes, version: str, status: int, size: int) -> Access:
    """A finished request, as Django's development server writes it."""
    line = f"{method} {redacted(target.decode('latin-1'))} HTTP/{version}"
    return Access(f'"{line}" {status} {size}', status, status >= 400)


def websocket_opened(path: str, client: Address) -> Access:
    """A socket was accepted."""
    return Access(f"WS OPEN {path} [{_shown(client)}]", 101)


def websocket_refused(path: str, client: Address, status: int, why: str) -> Access:
    """A handshake was refused; ``why`` names the value, the limit and the setting."""
    return Access(f"WS REFUSED {path} {status} [{_shown(client)}]: {why}", status, failed=True)


def websocket_closed(path: str, code: int, by: str, seconds: float, received: int, sent: int) -> Access:
    """A socket has ended; ``by`` says who closed it and, where there is something to say, why."""
    return Access(f"WS CLOSE {path} {code} by {by} after {seconds:.1f} s, in {received} out {sent}")


def redacted(target: str) -> str:
    """Return a request target without the values of parameters that let their holder in, such as ``session_key``."""
    path, mark, query = target.partition("?")
    return path + mark + "&".join(map(_redacted_pair, query.split("&"))) if mark else target


def _redacted_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}{equals}{HIDDEN}" if equals and SECRET.search(unquote_plus(name)) else pair


def _shown(client: Address) -> str:
    return f"{client[0]}:{client[1]}" if client else "unix"
