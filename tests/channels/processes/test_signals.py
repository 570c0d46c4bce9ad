"""What signals mean to a process, alone and above others."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from channels.processes.signals import STOPPING, StopSignals, Terminal, run_with_signals

PATIENCE = 10.0


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    """Handlers are those of before, whatever a test does: none is ignored, though nohup may have started all this."""
    found = {number: signal.getsignal(number) for number in STOPPING}
    ignored = [number for number, handler in found.items() if handler is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    assert before == {number: signal.getsignal(number) for number in STOPPING}
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.parametrize("number", STOPPING)
def test_first_signal_is_waited_for_and_the_second_is_the_systems(number: int) -> None:
    """Until the block ends; then the handlers are those of before."""
    with StopSignals() as signals:
        signal.raise_signal(number)
        signals.wait()
        assert {signal.getsignal(each) for each in STOPPING} == {signal.SIG_DFL}


def test_a_signal_that_does_not_interrupt_the_wait_ends_it() -> None:
    """As one that comes just before the main thread blocks: here another thread is what it interrupts."""
    ended, missed = threading.Event(), threading.Event()
    main = threading.get_ident()

    def interrupt_this_thread() -> None:
        while sys._current_frames()[main].f_code is not StopSignals.wait.__code__:
            pass
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        if not ended.wait(PATIENCE):
            missed.set()
            signal.pthread_kill(main, signal.SIGTERM)

    with StopSignals() as signals:
        thread = threading.Thread(target=interrupt_this_thread)
        thread.start()
        signals.wait()
        ended.set()
        thread.join()
    assert not missed.is_set()


def test_what_others_are_woken_by_does_not_end_the_wait() -> None:
    """A forked process writes to the same socket when a signal comes to it, and a handler of the project's is heard."""
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        heard.append(number)
        signal.raise_signal(signal.SIGTERM)

    previous = signal.signal(signal.SIGALRM, hear)
    socket.setdefaulttimeout(0.001)  # a project may have one
    try:
        with StopSignals() as signals:
            signals._writer.send(bytes([signal.SIGTERM]))
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            signals.wait()
    finally:
        socket.setdefaulttimeout(None)
        signal.signal(signal.SIGALRM, previous)
    assert heard == [signal.SIGALRM]


@pytest.mark.parametrize("is_full", [False, True])
def test_a_signal_ends_the_wait_whatever_became_of_its_byte(is_full: bool) -> None:
    """Another may have taken the place that signals write to; others may have left no room."""
    with StopSignals() as signals:
        if is_full:
            with suppress(BlockingIOError):
                while signals._writer.send(bytes([signal.SIGALRM])):
                    pass
        else:
            signal.set_wakeup_fd(-1)
        signal.raise_signal(signal.SIGTERM)
        signals.wait()


def test_what_was_ignored_is_ignored() -> None:
    """As under nohup, whose terminal may go; SIGTERM is heeded even so."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
            signals.wait()
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_signals_of_the_terminal_are_left_to_a_parent() -> None:
    """They come to all processes in it."""
    with StopSignals([signal.SIGTERM], [signal.SIGINT, signal.SIGHUP]) as signals:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        signals.wait()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGTERM, "stop"), (signal.SIGINT, "stop"), (signal.SIGHUP, "roll")]
)
def test_each_signal_has_its_meaning(number: signal.Signals, expected: str) -> None:
    """Each time that it comes."""
    called: list[str] = []

    async def main() -> bool:
        twice = asyncio.Event()

        def note(what: str) -> None:
            called.append(what)
            if len(called) == 2:
                twice.set()
            else:
                os.kill(os.getpid(), number)

        async def work() -> bool:
            os.kill(os.getpid(), number)
            async with asyncio.timeout(PATIENCE):
                await twice.wait()
            return True

        return await run_with_signals(work, lambda: note("stop"), lambda: note("roll"))

    assert asyncio.run(main())
    assert called == [expected] * 2


def test_a_terminal_that_has_gone_ends_what_ran_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed window is no request for new code."""
    called: list[str] = []
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "__stdin__", terminal)

        async def main() -> bool:
            stopped = asyncio.Event()

            async def work() -> bool:
                os.close(ours)
                os.kill(os.getpid(), signal.SIGHUP)
                async with asyncio.timeout(PATIENCE):
                    await stopped.wait()
                return False

            return await run_with_signals(work, stopped.set, lambda: called.append("roll"))

        assert not asyncio.run(main())
    assert called == []


def test_without_a_terminal_none_can_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a supervisor of the system, or without any standard input."""
    with open(os.devnull) as null:  # noqa: PTH123 - the stream, as Python has it
        for stdin in (null, None):
            monkeypatch.setattr(sys, "__stdin__", stdin)
            assert not Terminal().has_gone()
