"""One connected socket: requests out, replies in, nothing tried twice."""

from __future__ import annotations

import select
import socket
import ssl
import struct
from contextlib import suppress
from typing import Final

from channel_layers.redis.address import Address
from channel_layers.redis.protocol import Commands, Parser, ProtocolError, Replies, ReplyError, pack, portions
from channel_layers.redis.scripts import load_all

RECEIVE_SIZE: Final = 64 * 1024
SHORT: Final = 5
"""Bytes of a reply that says no more than that all is well."""
MAX_SHORT: Final = 32
"""Such replies in a row that may be left where they are: with more, what is behind them might be too short to tell."""
LINGER: Final = 0.01
"""Seconds that such replies may wait for what comes behind them."""
WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket raises that has nothing to read, or no room to write."""
# No key is tracked, so all that is ever told is that every key is gone; RESP3 tells it over the link itself.
_TRACKING: Final = [pack("HELLO", 3), pack("CLIENT", "TRACKING", "ON", "OPTIN")]


class Link:
    """A connection that has introduced itself; it knows every script.

    ``run`` is the id of the server's run, or empty where the server does not tell; ``client_id`` is what the server
    calls this connection. With ``tracks`` the server says when it was emptied, if the account may ask for that (client
    tracking). Raises :exc:`OSError` or :exc:`ReplyError` if it cannot be opened in ``timeout`` seconds.
    """

    def __init__(self, address: Address, name: str, timeout: float, tracks: bool = False) -> None:
        self.sock = address.open(timeout)
        self._parser = Parser()
        self._replies: Replies = []  # that were received and not asked for
        self._timeout: float | None = -1.0
        self._send_timeout = -1.0
        self._low_water = 1
        self._poll = _poll_of(self.sock)
        try:
            self.sock.settimeout(None)
            self.client_id, self.run = self._introduce(address, name, timeout)
            if tracks:
                self.request(_TRACKING, timeout)  # without it the next heartbeat finds out
        except BaseException:
            self.close()
            raise

    def request(self, commands: Commands, timeout: float | None, rest: Commands = ()) -> Replies:
        """Send ``commands`` and return their replies; raise :exc:`OSError` if that takes ``timeout`` seconds.

        Behind them leaves a ``rest`` that may take its time, with replies for :meth:`answers`. Those to ``commands``
        are then left where they are for a moment: as a rule both can be received together.
        """
        if timeout is not None:  # a wait without a limit is one for the answer
            self._limit_sending(timeout)
        try:
            for portion in portions([*commands, *rest] if rest else commands):
                self.sock.sendall(portion)
        except WOULD_BLOCK:
            raise TimeoutError(f"nothing could be sent within {timeout:.1f} s") from None
        if rest and self._poll is not None and len(commands) <= MAX_SHORT:
            self._receive_more_than(len(commands) * SHORT)
        return self.answers(len(commands), timeout)

    def answers(self, count: int, timeout: float | None) -> Replies:
        """Return the next ``count`` replies; raise :exc:`OSError` if that takes ``timeout`` seconds."""
        if len(self._replies) < count:
            self._limit_receiving(timeout)
            self.wait_for_more_than(0)
            try:
                while len(self._replies) < count:
                    self._replies += self.receive()
            except WOULD_BLOCK:
                raise TimeoutError(f"no answer within {timeout:.1f} s") from None
        found = self._replies[:count]
        del self._replies[:count]
        return found

    def _receive_more_than(self, size: int) -> None:
        """Receive once there are more than ``size`` bytes, or after a moment: to wake a thread is dear."""
        self._limit_receiving(LINGER)
        self.wait_for_more_than(size)
        with suppress(*WOULD_BLOCK):
            self._replies += self.receive()

    def receive(self) -> Replies:
        """Return the replies that the next bytes complete; raise :exc:`OSError` if the connection has ended."""
        received = self.sock.recv(RECEIVE_SIZE)
        if not received:
            raise ConnectionResetError("the server closed the connection")
        try:
            return self._parser.replies(received)
        except ProtocolError as error:
            raise ConnectionAbortedError(f"what answers is no Redis server: {error}") from None

    def is_ready(self) -> bool:
        """Return whether there is something to receive; ``True`` also where only trying tells.

        To look takes a quarter of the time that trying and a :data:`WOULD_BLOCK` take.
        """
        return self._poll is None or bool(self._poll.poll(0))

    def was_flushed(self) -> bool:
        """Return whether the server has said since the last call that it was emptied."""
        pushes, self._parser.pushes = self._parser.pushes, 0
        return pushes > 0

    def has_ended(self) -> bool:
        """Return whether the server has closed the connection since the last request."""
        try:
            return not self._peek()
        except WOULD_BLOCK:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def _limit_sending(self, timeout: float) -> None:
        """Let writes fail after ``timeout`` seconds. By the kernel: Python's own way polls each time."""
        if self._poll is None:
            self._limit_receiving(timeout)
        elif timeout != self._send_timeout:
            self._send_timeout = timeout
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(timeout))

    def wait_for_more_than(self, size: int) -> None:
        """Let nobody be woken for ``size`` bytes of replies. Without effect on TLS, where bytes are no replies."""
        if size + 1 != self._low_water and self._poll is not None:
            self._low_water = size + 1
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, self._low_water)

    def _limit_receiving(self, timeout: float | None) -> None:
        """Let reads fail after ``timeout`` seconds; under TLS in Python's way, for the kernel's is not heeded."""
        if timeout == self._timeout:
            return
        self._timeout = timeout
        if self._poll is None:
            self.sock.settimeout(timeout)
        else:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(timeout or 0))

    def _peek(self) -> bytes:
        if not isinstance(self.sock, ssl.SSLSocket):
            return self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1)
        finally:
            self.sock.settimeout(None)
            self._timeout = None

    def _introduce(self, address: Address, name: str, timeout: float) -> tuple[int, str]:
        commands = []
        if address.password:
            commands.append(pack("AUTH", *filter(None, [address.username]), address.password))
        if address.database:
            commands.append(pack("SELECT", address.database))
        commands += [*load_all(), pack("CLIENT", "SETNAME", name), pack("CLIENT", "ID"), pack("INFO", "server")]
        replies = self.request(commands, timeout)
        for reply in replies[:-3]:
            if isinstance(reply, ReplyError):
                raise reply
        return _client_id(replies[-2]), _run_id(replies[-1])


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", *divmod(int(seconds * 1_000_000), 1_000_000))


def _poll_of(sock: socket.socket) -> select.poll | None:
    """Return what tells whether ``sock`` can be read; ``None`` for TLS, which may hold what came before."""
    if isinstance(sock, ssl.SSLSocket) or not hasattr(select, "poll"):
        return None
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll


def _client_id(reply: object) -> int:
    return reply if isinstance(reply, int) else 0  # an account may be refused these commands


def _run_id(reply: object) -> str:
    info = reply.decode() if isinstance(reply, bytes) else ""
    return next((line[7:] for line in info.splitlines() if line.startswith("run_id:")), "")
