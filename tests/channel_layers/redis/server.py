"""A real Redis or Valkey server of the tests' own."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.channel_layers.redis.certificates import Authority
from tests.runserver import free_port
from tests.services import missing, require

PATIENCE = 10.0
"""Seconds that a server has to start or to end."""


class ServerEndedError(Exception):
    """A server that does not understand its options."""


class RedisServer:
    """``program``, or redis-server, on a unix socket in ``folder``; it keeps nothing when it ends.

    With a ``plain_port`` it is also there, and its ``url`` leads there.
    """

    def __init__(self, folder: Path, program: str = "", plain_port: int = 0) -> None:
        self.path = folder / "redis.sock"
        self.plain_port = plain_port
        self._program = program or require("redis-server")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What the ``hosts`` option takes."""
        return f"redis://127.0.0.1:{self.plain_port}" if self.plain_port else f"unix://{self.path}"

    def start(self, *options: str) -> None:
        """Start it and wait until it answers."""
        listens = ["--port", str(self.plain_port), "--bind", "127.0.0.1", "--unixsocket", str(self.path)]
        arguments = [*listens, "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [self._program, *arguments, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE
        while self._ask_once(b"PING") != b"+PONG\r\n":
            if self._process.poll() is not None:
                raise ServerEndedError(f"{self._program} ended at once with {options}")
            assert time.monotonic() < deadline, f"{self._program} did not start"
            time.sleep(0.01)  # nothing tells when it listens but an answer

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it answer nobody: it neither reads nor closes a connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE)
            self._process = None

    def ask(self, *command: str | int) -> bytes:
        """Return the first bytes of the answer to an inline ``command``."""
        return self._ask_once(" ".join(map(str, command)).encode())

    def connections(self) -> list[str]:
        """Return the names of the clients that are connected, but for the one that asks."""
        listed = self.ask("CLIENT", "LIST").decode()
        names = [part[5:] for part in listed.split() if part.startswith("name=")]
        return [name for name in names if name]

    def blocked(self) -> int:
        """Return how many clients wait in the server."""
        return int(self.ask("INFO", "clients").partition(b"blocked_clients:")[2].split()[0])

    def _ask_once(self, command: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            try:
                sock.connect(str(self.path))
            except OSError:
                return b""
            sock.sendall(command + b"\r\n")
            return sock.recv(1 << 20)


class TlsServer(RedisServer):
    """A server that speaks TLS as ``localhost``, certified by ``authority``, and trusts others that are."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.authority = Authority(folder)
        self.port = free_port()
        self._files = self.authority.sign("localhost")

    @property
    def address(self) -> str:
        """Its URL without options."""
        return f"rediss://localhost:{self.port}"

    @property
    def url(self) -> str:
        """What the ``hosts`` option takes."""
        return f"{self.address}?ssl_ca_certs={self.authority.certificate}"

    def start(self, *options: str) -> None:
        """Start it; certificates of clients are not asked for unless ``options`` say so."""
        files = (self._files[0], self._files[1], self.authority.certificate)
        names = ("--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file")
        given = [part for name, file in zip(names, files, strict=True) for part in (name, str(file))]
        try:
            super().start("--tls-port", str(self.port), *given, "--tls-auth-clients", "no", *options)
        except ServerEndedError:
            missing("this redis-server was built without TLS")


def until(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds, for what nobody tells: the server does not say when a client begins to wait."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def auntil(condition: Callable[[], object]) -> None:
    """As :func:`until`, in a loop."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - as above: there is no event
            await asyncio.sleep(0.005)
