"""Signals that end a process, and those that are meant for the processes below it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Final, Self

STOPPING: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
"""What ends a process: by a supervisor, Ctrl-C, or a terminal that is closed."""


class StopSignals:
    """Signals that end this process: :meth:`wait` returns at the first, the second ends the process at once.

    Of ``numbers`` those that were ignored already, as with ``nohup``, are left so. ``ignored`` are others from here on.
    For the main thread, which is woken by bytes: a lock or a queue would miss what comes just before it blocks, until
    the next signal.
    """

    def __init__(self, numbers: Sequence[int] = STOPPING, ignored: Sequence[int] = ()) -> None:
        self._numbers = [n for n in numbers if n == signal.SIGTERM or signal.getsignal(n) is not signal.SIG_IGN]
        self._ignored = ignored
        self._has_come = False

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(True)  # sockets may have another default
        self._writer.setblocking(False)
        self._previous_writer = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, signal.SIG_IGN) for number in self._ignored}
        self._previous |= {number: signal.signal(number, self._receive) for number in self._numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_writer)
        self._reader.close()
        self._writer.close()

    def wait(self) -> None:
        """Wait for the first signal. Bytes may be of others as well, also of those that a forked process gets."""
        while not self._has_come:
            self._reader.recv(1)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        for each in self._numbers:
            signal.signal(each, signal.SIG_DFL)
        self._has_come = True
        with suppress(BlockingIOError):  # then there are bytes
            self._writer.send(b"\0")  # the one that signals write to may be another's by now


async def run_with_signals(
    work: Callable[[], Awaitable[bool]], stop: Callable[[], object], roll: Callable[[], object]
) -> bool:
    """Return what ``work`` returns. In the main thread.

    SIGTERM and SIGINT call ``stop``, each time that they come. SIGHUP calls ``roll``; where it comes because the
    terminal was closed, it calls ``stop``.
    """
    loop = asyncio.get_running_loop()
    terminal = Terminal()
    previous = {number: signal.getsignal(number) for number in STOPPING}
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: stop() if terminal.has_gone() else roll())
    try:
        return await work()
    finally:
        for number, handler in previous.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


class Terminal:
    """What the process was started from."""

    def __init__(self) -> None:
        self._was_there = self._is_there()

    def has_gone(self) -> bool:
        """Return whether there was one, and is none any more."""
        return self._was_there and not self._is_there()

    def _is_there(self) -> bool:
        return sys.__stdin__ is not None and os.isatty(sys.__stdin__.fileno())
