"""``python -m compliance.fuzz [options of libFuzzer]``: whatever comes in, the parser gives events or an HTTP error.

It is fed whole and in pieces, and both have to come to the same end. Atheris looks for inputs that reach new code,
for ``-max_total_time`` seconds or until one is found that breaks this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import pairwise

import atheris

with atheris.instrument_imports(include=["daphne"]):
    from daphne.config import Config
    from daphne.http import HttpError, HttpParser

CONFIG = Config(max_target_size=200, max_header_size=400, max_headers=10, max_body_size=100)
PIECES = 4
WORDS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
)
"""What random bytes would hardly ever begin with."""


def outcome(pieces: list[bytes]) -> tuple[list[object], int | None, bytes]:
    """Return the events with adjoining pieces of a body joined, the status of a refusal, and what was left unread."""
    parser, events, status = HttpParser(CONFIG), [], None
    for piece in pieces:
        try:
            events += parser.receive_data(piece)
        except HttpError as error:
            events += error.events
            status = error.status
            break
    return joined(events), status, parser.rest


def joined(events: Iterable[object]) -> list[object]:
    """Return events as they are however a body was cut."""
    found: list[object] = []
    for event in events:
        if isinstance(event, bytes) and found and isinstance(found[-1], bytes):
            found[-1] += event
        else:
            found.append(event)
    return found


def try_one(data: bytes) -> None:
    """Feed what atheris has thought of."""
    provider = atheris.FuzzedDataProvider(data)
    begin = provider.ConsumeIntInRange(0, len(WORDS))
    places = [provider.ConsumeIntInRange(0, 600) for _ in range(PIECES)]
    rest = provider.ConsumeBytes(600)
    wire = (WORDS[begin] + rest) if begin < len(WORDS) else rest
    bounds = sorted({0, len(wire), *(min(place, len(wire)) for place in places)})
    pieces = [wire[start:end] for start, end in pairwise(bounds)]
    whole = outcome([wire])
    assert outcome(pieces) == whole, (wire, bounds)
    assert outcome([wire[n : n + 1] for n in range(len(wire))]) == whole, wire


def main() -> None:
    """Search until the time is up."""
    atheris.Setup([*sys.argv[:1], "-max_total_time=60", *sys.argv[1:]], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
