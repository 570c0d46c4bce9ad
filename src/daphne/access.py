"""What the access log is written from: a request that is over, a socket that has opened, was refused or has closed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from daphne.request import Request
    from daphne.source import Source

REQUEST: Final = "request"
"""A request was answered, or its client has left (499)."""
OPEN: Final = "open"
"""A WebSocket was accepted."""
REFUSED: Final = "refused"
"""A handshake was refused, or its client has left before the decision (499)."""
CLOSE: Final = "close"
"""A WebSocket has ended."""

SECRET: Final = re.compile(r"session_?(key|id)|token|passw(or)?d|secret|api_?key|signature", re.IGNORECASE)
"""What the name of a parameter has in it whose value stays out of the log."""
HIDDEN: Final = "***"


@dataclass(slots=True)
class Access:
    """One line.

    ``status`` is that of the answer, ``size`` the bytes of its body, ``seconds`` what it took; of a :data:`CLOSE`
    ``status`` is the close code, ``seconds`` how long the socket was open, and ``received`` and ``sent`` count its
    messages. ``by`` says who closed a socket, or why it was refused. ``path`` is decoded and without the query string,
    which in the address of a socket is mostly a secret. ``request`` is ``None`` where none could be read, and of a
    :data:`CLOSE`.
    """

    event: str
    status: int
    source: Source
    path: str = ""
    request: Request | None = None
    size: int = 0
    seconds: float = 0.0
    received: int = 0
    sent: int = 0
    by: str = ""

    @property
    def failed(self) -> bool:
        """Whether it deserves a look."""
        return self.event == REFUSED or (self.event == REQUEST and self.status >= 400)

    @property
    def scheme(self) -> str:
        """The scheme of the address."""
        return ("http" if self.event == REQUEST else "ws") + "s" * self.source.is_secure

    def header(self, name: bytes) -> bytes:
        """Return a header of the request, or nothing."""
        headers = self.request.headers if self.request else ()
        return next((value for key, value in headers if key == name), b"")


AccessLog: TypeAlias = Callable[[Access], None]


def printable(path: str) -> str:
    """Return a decoded path as a log may show it: what would end its line, or steer a terminal, is escaped."""
    if path.isprintable():
        return path
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in path)


def redacted(target: str) -> str:
    """Return a request target without the values of parameters that let their holder in, such as ``session_key``."""
    path, mark, query = target.partition("?")
    return path + mark + "&".join(map(_redacted_pair, query.split("&"))) if mark else target


def _redacted_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}{equals}{HIDDEN}" if equals and SECRET.search(unquote_plus(name)) else pair
