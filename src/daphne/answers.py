"""What the server itself answers: errors, each with a page that tells a stranger no more than it has to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from daphne.response import Response, error_page

if TYPE_CHECKING:
    from daphne.request import Request

RETRY_AFTER: Final = (b"Retry-After", b"1")
"""Goes with every 503: a worker or a server that restarts is back in a moment."""
MUCH_UNREAD: Final = frozenset((413, 414, 431))
"""Answers to what the client is probably still sending."""
_SENTENCES: Final = {
    400: "This request cannot be understood.",
    403: "This request was refused.",
    404: "Nothing is here.",
    405: "This cannot be done here.",
    408: "This request took too long to arrive.",
    413: "This request is too large.",
    429: "Your address has too many connections open.",
    500: "Something went wrong here.",
    503: "Nobody could answer this request in time. Try again in a moment.",
}


def error_answer(
    request: Request | None,
    request_id: str,
    status: int,
    sentence: str = "",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> tuple[Response, bytes]:
    """Return the answer to a ``request``, or to what is none, and its bytes; the connection is to be closed behind it.

    Without a ``sentence`` the page has one for the status.
    """
    method, version = (request.method, request.http_version) if request else ("GET", "1.1")
    page, body = error_page(status, sentence or _SENTENCES.get(status, _SENTENCES[400]))
    more = [RETRY_AFTER] if status == 503 else []
    response = Response(method, version, keep_alive=False, request_id=request_id)
    return response, response.start(status, [*page, *more, *headers], body)
