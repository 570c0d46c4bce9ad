"""Commands and replies as bytes (RESP2, and RESP3 where a link is to be told of a flush). Only this knows hiredis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import hiredis

Argument = str | bytes | int | float
Commands = Sequence[bytes]
Replies = list[Any]

PORTION: Final = 64 * 1024
"""Bytes of commands that are written at a time, or a single command."""
NOTHING: Final = object()
"""What :meth:`Parser.gets` returns while a reply is not complete."""

ReplyError = hiredis.ReplyError
"""An error that the server answered with; it stands among the other replies."""
ProtocolError = hiredis.ProtocolError
"""What was received is no RESP."""


def pack(*command: Argument) -> bytes:
    """Return one command as the server reads it."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # the stubs mean a tuple of any length
    return packed


def pack_value(key: str, value: bytes, lifetime: int) -> bytes:
    """Return the command that stores a long ``value`` for so many seconds. It is copied once, by hiredis twice."""
    name, seconds = key.encode(), b"%d" % lifetime
    head = b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n" % (len(name), name, len(value))
    return b"".join((head, value, b"\r\n$2\r\nEX\r\n$%d\r\n%b\r\n" % (len(seconds), seconds)))


def portions(commands: Commands) -> Iterator[bytes]:
    """Yield what is written for ``commands``: as a rule all at once.

    Much is written in portions. The server begins with the first while the others are made, and nothing has to be
    copied into one large piece, whose memory would come from the system and go back to it each time.
    """
    waiting: list[bytes] = []
    size = 0
    for command in commands:
        waiting.append(command)
        size += len(command)
        if size >= PORTION:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def has_error(replies: Replies) -> bool:
    """Return whether the server answered a command with an error."""
    for reply in replies:  # noqa: SIM110 - a generator costs more than looking at the one or two that there are
        if isinstance(reply, ReplyError):
            return True
    return False


class Parser(hiredis.Reader):
    """Turns received bytes into replies: ``bytes``, ``int``, ``None``, lists of these, and :exc:`ReplyError`.

    ``pushes`` counts what a server says unasked, which RESP3 allows.
    """

    def __init__(self) -> None:
        super().__init__(notEnoughData=NOTHING)
        self.pushes = 0

    def replies(self, received: bytes | memoryview) -> Replies:
        """Return the replies that ``received`` completes."""
        self.feed(bytes(received))
        found = []
        while (reply := self.gets()) is not NOTHING:
            if type(reply) is hiredis.PushNotification:
                self.pushes += 1
            else:
                found.append(reply)
        return found
