"""The formats of the access log: for people, for the tools that read those of other servers, and JSON."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from daphne.access import CLOSE, OPEN, REFUSED, REQUEST, Access, AccessLog, printable, redacted
from daphne.source import Address

logger = logging.getLogger("daphne.access")

_HEADERS: Final = {"host": b"host", "referer": b"referer", "user_agent": b"user-agent"}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_UNSAFE = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')


def as_text(access: Access) -> str:
    """Return a line for people; of a request as Django's development server writes it."""
    client, path = _shown(access.source.client), printable(access.path)
    if access.event == OPEN:
        return f"WS OPEN {path} [{client}]"
    if access.event == REFUSED:
        return f"WS REFUSED {path} {access.status} [{client}]: {printable(access.by)}"
    if access.event == CLOSE:
        counts = f"in {access.received} out {access.sent}"
        return f"WS CLOSE {path} {access.status} by {access.by} after {access.seconds:.1f} s, {counts}"
    return f'"{_request_line(access).decode("latin-1")}" {access.status} {access.size}'


def as_common(access: Access) -> str:
    """Return a line in the Common Log Format, with the request's id behind it if there is one.

    A socket is a request with status 101 when it opens. Its end, for which the format has no place, is one by the
    method ``WSCLOSE`` whose status is the close code.
    """
    return _with_id(access, _common(access))


def as_combined(access: Access) -> str:
    """Return a line in the Combined Log Format: as :func:`as_common`, with referrer and user agent."""
    referer, agent = _quoted(_redacted(access.header(b"referer"))), _quoted(access.header(b"user-agent"))
    return _with_id(access, f"{_common(access)} {referer} {agent}")


def as_json(access: Access) -> str:
    """Return a JSON object; ``duration`` is in seconds, ``time`` is UTC."""
    record: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": access.event,
        "request_id": access.source.request_id,
        "client": access.source.client[0] if access.source.client else None,
        "path": access.path,
        "duration": round(access.seconds, 6),
    }
    if access.event == CLOSE:
        record |= {"code": access.status, "by": access.by, "received": access.received, "sent": access.sent}
        return json.dumps(record)
    record["status"] = access.status
    if access.request is not None:
        record |= _described(access)
    record |= {"size": access.size} if access.event == REQUEST else {"by": access.by}
    return json.dumps(record)


TEXT: Final = "text"
FORMATS: Final[dict[str, Callable[[Access], str]]] = {
    TEXT: as_text,
    "common": as_common,
    "combined": as_combined,
    "json": as_json,
}


def access_log(name: str) -> AccessLog:
    """Return what logs to ``daphne.access`` in a format of :data:`FORMATS`."""
    form = FORMATS[name]

    def log(access: Access) -> None:
        level = logging.WARNING if access.failed else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, "%s", form(access))

    return log


def _request_line(access: Access) -> bytes:
    request = access.request
    if access.event == CLOSE:
        return b"WSCLOSE %b HTTP/1.1" % access.path.encode("utf-8", "surrogateescape")
    if request is None:
        return b"- - HTTP/1.1"
    target = _redacted(request.target) if access.event == REQUEST else request.target.partition(b"?")[0]
    return b"%b %b HTTP/%b" % (request.method.encode(), target, request.http_version.encode())


def _redacted(target: bytes) -> bytes:
    return redacted(target.decode("latin-1")).encode("latin-1")


def _common(access: Access) -> str:
    host = access.source.client[0] if access.source.client else "-"
    moment, line = _local_time(int(time.time())), _quoted(_request_line(access))
    return f"{host} - - [{moment}] {line} {access.status} {access.size or '-'}"


def _with_id(access: Access, line: str) -> str:
    return f"{line} {access.source.request_id}" if access.source.request_id else line


def _described(access: Access) -> dict[str, Any]:
    request = access.request
    assert request is not None
    described = {"method": request.method, "http_version": request.http_version, "scheme": access.scheme}
    described |= {key: access.header(name).decode("latin-1") for key, name in _HEADERS.items()}
    described["referer"] = redacted(described["referer"])
    if access.event == REQUEST:
        described["query"] = redacted("?" + request.query_string.decode("latin-1"))[1:]
    return described


def _quoted(field: bytes) -> str:
    """Return a field that ends where it seems to: quotes, backslashes and what is not ASCII as other servers do."""
    return f'"{_UNSAFE.sub(_escaped, field).decode()}"' if field else '"-"'


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"\\" + match[0] if match[0] in b'"\\' else b"\\x%02x" % ord(match[0])


@lru_cache(maxsize=1)
def _local_time(second: int) -> str:
    """Return ``10/Oct/2000:13:55:36 -0700``, made once a second; its months are English everywhere."""
    now = time.localtime(second)
    minutes = now.tm_gmtoff // 60
    sign, offset = ("-" if minutes < 0 else "+"), abs(minutes)
    return (
        f"{now.tm_mday:02}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year}:{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} "
        f"{sign}{offset // 60:02}{offset % 60:02}"
    )


def _shown(client: Address) -> str:
    return f"{client[0]}:{client[1]}" if client else "unix"
