"""Where a request came from, and what it is called."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int] | None
Headers: TypeAlias = list[tuple[bytes, bytes]]

REQUEST_ID: Final = b"x-request-id"
_VALID_ID = re.compile(rb"[0-9A-Za-z._:+/=@\-]{1,128}")


@dataclass(slots=True)
class Source:
    """``client`` and ``server`` are host and port, or ``None`` on a Unix socket.

    ``request_id`` is empty where requests get none; ``root_path`` is what a proxy says of the mount point, or ``None``.
    """

    client: Address
    server: Address = None
    is_secure: bool = False
    request_id: str = ""
    root_path: str | None = None

    def copy(self) -> Source:
        """Return what a connection knows, for one request to complete."""
        return Source(self.client, self.server, self.is_secure, root_path=self.root_path)


def identified(headers: Headers, source: Source, believed: bool) -> Headers:
    """Give a request the id that it brings along, if that is to be ``believed`` and valid, or else one of its own.

    Return the headers with this id as their only one: application and access log know the request by the same name.
    """
    brought = [value for name, value in headers if name == REQUEST_ID]
    if believed and len(brought) == 1 and _VALID_ID.fullmatch(brought[0]):
        source.request_id = brought[0].decode()
        return headers
    source.request_id = secrets.token_hex(16)
    others = [field for field in headers if field[0] != REQUEST_ID] if brought else headers
    return [*others, (REQUEST_ID, source.request_id.encode())]
