"""Lines for the access log: what a person watching the server wants to know of each connection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger("daphne.access")

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
    line = f"{method} {target.decode('latin-1')} HTTP/{version}"
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


def _shown(client: Address) -> str:
    return f"{client[0]}:{client[1]}" if client else "unix"
