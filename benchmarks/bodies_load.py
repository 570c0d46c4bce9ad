"""The loads of :mod:`benchmarks.bodies`: ``python -m benchmarks.bodies_load WHAT PORT SIZE``.

Each says that it is ready, begins when it is told to, and prints in the end what it has found.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import sys
import time
from collections.abc import Iterator

from benchmarks.load.dialects import DIALECTS
from benchmarks.load.sockets import Arrivals, open_all
from benchmarks.load.spec import Spec
from benchmarks.site.bodies import PIECE

BETWEEN = 0.005
"""Seconds from one echo to the next."""
BOUNDARY = "a-boundary"
BEFORE = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large"\r\n\r\n'.encode()
BEHIND = f"\r\n--{BOUNDARY}--\r\n".encode()
READ_SIZE = 1024 * 1024
PATIENCE = 30.0


def upload(port: int, size: int) -> str:
    """Upload a file of ``size`` bytes; return what the view says of it."""
    with connected(port) as client:
        ready()
        client.sendall(head_of_upload(size))
        for piece in pieces(size):
            client.sendall(piece)
        client.sendall(BEHIND)
        with http.client.HTTPResponse(client) as answer:
            answer.begin()
            return answer.read().decode()


def download(port: int, size: int) -> int:
    """Return how many bytes have come."""
    with connected(port) as client:
        ready()
        client.sendall(f"GET /download/{size}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        with http.client.HTTPResponse(client) as answer:
            answer.begin()
            return compared(answer)


def compared(answer: http.client.HTTPResponse) -> int:
    """Return how many bytes a body has; fail if they are not those of :func:`pieces`."""
    buffer, expected = bytearray(READ_SIZE), memoryview(PIECE * (READ_SIZE // len(PIECE) + 1))
    size = 0
    while count := answer.readinto(buffer):
        at = size % len(PIECE)
        assert buffer.startswith(expected[at : at + count]), f"the body is another one at {size}"
        size += count
    return size


def head_of_upload(size: int) -> bytes:
    """Return the head of the request, and that of the file in its form."""
    lines = [
        "POST /upload/ HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: close",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {len(BEFORE) + size + len(BEHIND)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + BEFORE


def pieces(size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes."""
    for start in range(0, size, len(PIECE)):
        yield PIECE[: size - start]


def connected(port: int) -> socket.socket:
    """Return a connection to the server."""
    return socket.create_connection(("127.0.0.1", port), timeout=120)


def echo(port: int, _size: int) -> str:
    """Send one echo after another until there is something to read; return how long each took, in seconds."""
    latencies: list[float] = []
    spec = Spec(mode="echo", ports=(port,), size=100)
    dialect, text = DIALECTS[spec.dialect], "x" * spec.size
    frame = dialect.say(spec.path, text, spec.binary)
    arrivals = Arrivals(dialect, dialect.hear(spec.path, text, spec.binary))
    [client] = open_all(spec)
    client.settimeout(PATIENCE)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], BETWEEN)[0]:
        began = time.perf_counter()
        client.sendall(frame)
        while not arrivals.count(client, client.recv(4096)):
            pass
        latencies.append(time.perf_counter() - began)
    return json.dumps(latencies)


def ready() -> None:
    """Say that nothing is left to do but what is measured, and wait for the word."""
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    """Do what the command line names."""
    what, port, size = sys.argv[1:]
    print({"upload": upload, "download": download, "echo": echo}[what](int(port), int(size)))


if __name__ == "__main__":
    main()
