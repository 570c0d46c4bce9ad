"""A number of like processes: kept alive, replaced one by one, ended together."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

from channels.processes import line
from channels.processes.child import Child, Launch, how_it_ended

logger = logging.getLogger("django.channels.processes")

START_TIMEOUT: Final = 60.0
"""Seconds that a process may take until it is ready, in place of one that works; more than a large project needs."""
STEADY: Final = 10.0
"""Seconds that a process has to live for its end not to count as the next of several in a row."""
FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 30.0
"""Seconds before a process is started again that has ended twice in a row; doubled each time, up to the second."""
RETRY_DELAY: Final = 30.0
"""Seconds before a process is replaced after all whose successor did not start."""
GRACE: Final = 5.0
"""Seconds beyond its own time limit after which a process that was told to end is killed."""

Launcher = Callable[[str, bool], Launch]
"""Returns how to start the process of this name; the second is whether it runs code that may be new."""
Ended = Callable[[Child], Awaitable[None]]
"""Called with every process that has ended."""


async def do_nothing(child: Child) -> None:
    """Let it be."""


class Place:
    """Where one process of the fleet is, or is about to be again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.child: Child | None = None
        self.failures = 0
        self.lock = asyncio.Lock()
        self._filled = asyncio.Event()

    def fill(self, child: Child) -> None:
        """Let ``child`` be the one that counts here."""
        self.child = child
        self._filled.set()

    async def wait_until_filled(self, timeout: float | None) -> None:
        """Wait until another process is here, up to ``timeout`` seconds."""
        self._filled.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._filled.wait()


class Fleet:
    """``size`` processes of one kind, each named after ``kind`` and its number.

    A process that ends is started again: at once, and with growing delays if that happens again and again. Told to
    end, it has ``stop_timeout`` seconds. If none has ever been ready, one that ends is the end of the fleet; with
    ``is_patient`` it waits for :meth:`roll` then, because new code may mend that.

    All methods are called in the loop that :meth:`run` runs in.
    """

    def __init__(
        self,
        kind: str,
        size: int,
        launcher: Launcher,
        *,
        stop_timeout: float,
        ended: Ended = do_nothing,
        is_patient: bool = False,
    ) -> None:
        self.kind = kind
        self.heard: Callable[[Child, str, str], None] = lambda child, word, detail: None
        """Called with what a process says, by the words of :mod:`channels.processes.line`."""
        self.begun: Callable[[], object] = lambda: None
        """Called whenever a process has become ready, or has ended before it was."""
        self.places = [Place(f"{kind} {number}" if size > 1 else kind) for number in range(1, size + 1)]
        self.rolled = time.time()
        """When the newest code was asked for, in seconds since the epoch."""
        self.fault = ""
        """Why nothing is started, once that is so."""
        self.is_broken = False
        """Whether that code does not start."""
        self._launcher = launcher
        self._stop_timeout = stop_timeout
        self._ended = ended
        self._is_patient = is_patient
        self._alive: set[Child] = set()
        self._farewells: set[asyncio.Future[None]] = set()
        self._starting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._was_ready = False
        self._failed = False
        self._error: BaseException | None = None
        self._wants_roll = asyncio.Event()
        self._requests: asyncio.Queue[tuple[Child, str]] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._changing = asyncio.Lock()  # one process at a time is replaced, for whatever reason

    @property
    def children(self) -> list[Child]:
        """The processes that run now, those included that are about to end."""
        return list(self._alive)

    async def run(self) -> bool:
        """Keep the processes running until :meth:`stop`; return whether they have begun and ended in order."""
        self._do(self._roll_when_asked())
        self._do(self._replace_when_asked())
        for place in self.places:
            self._do(self._fill(place, None))
        try:
            await self._stopping.wait()
            await self._all_gone()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._error is not None:
            raise self._error
        return not self._failed

    def stop(self) -> None:
        """Tell all processes to end; told again they end at once."""
        at_once = self._stopping.is_set()
        self._stopping.set()
        for child in list(self._alive):
            child.end(at_once=at_once)

    def roll(self) -> None:
        """Replace the processes one by one, each once its successor is ready."""
        self._wants_roll.set()

    def replace(self, child: Child, reason: str) -> None:
        """Replace one process once its successor is ready; ``reason`` is for the log."""
        self._requests.put_nowait((child, reason))

    # -- keeping -----------------------------------------------------------------------------------------------------

    async def _fill(self, place: Place, before: Child | None) -> None:
        """Start a process in the place of ``before``, unless that was done."""
        async with place.lock:
            if place.child is before and not self._stopping.is_set():
                place.fill(await self._start(place))

    async def _start(self, place: Place, is_new: bool = False) -> Child:
        self._starting += 1
        try:
            child = await Child.start(place.name, self._launcher(place.name, is_new), self._hear)
        finally:
            self._starting -= 1
        self._alive.add(child)
        self._do(self._attend(child, place))
        if self._stopping.is_set():
            child.end()
        return child

    async def _attend(self, child: Child, place: Place) -> None:
        status = await child.wait()
        self.begun()
        if not self._stopping.is_set():
            if place.child is child:
                self._do(self._start_again(place, child, status))
        elif child.is_ready and status:
            logger.error("%s %s", child, how_it_ended(status))
            self._failed = True
        await child.close()
        self._alive.discard(child)
        farewell = asyncio.ensure_future(self._ended(child))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    async def _start_again(self, place: Place, child: Child, status: int) -> None:
        if not (child.is_ready or self._was_ready or self._is_patient):
            await self._give_up(child, f"{child} {how_it_ended(status)} before it was ready")
            return
        self.is_broken = self.is_broken or (self._is_patient and not child.is_ready)
        place.failures = place.failures + 1 if child.age < STEADY else 1
        delay = None if self.is_broken and self._is_patient and not child.is_ready else delay_of(place.failures)
        logger.error("%s %s; another is started %s", child, how_it_ended(status), _when(delay))
        if delay != 0:
            await place.wait_until_filled(delay)
        await self._fill(place, child)

    async def _give_up(self, child: Child, how: str) -> None:
        logger.error("%s: nothing is started", how)
        self._failed = True
        await child.close()  # what it has said may not have been read
        self.fault = self.fault or f"{child.name} does not start: {child.fault or how}"
        self.stop()

    def _hear(self, child: Child, word: str, detail: str) -> None:
        if word == line.READY:
            self._was_ready = True
            self.begun()
        elif word == line.REPLACE:
            self.replace(child, detail)
        self.heard(child, word, detail)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = self._error or error
            self.stop()

    # -- replacing ---------------------------------------------------------------------------------------------------

    async def _roll_when_asked(self) -> None:
        while await self._wants_roll.wait():
            self._wants_roll.clear()
            async with self._changing:
                self.rolled = time.time()
                self.is_broken = not await self._roll()

    async def _roll(self) -> bool:
        for place in self.places:
            if not await self._replace(place, is_new=place is self.places[0]):
                logger.error("the new %s does not start; what runs goes on as it is", place.name)
                return False
        logger.info("%s replaced", f"all {len(self.places)} {self.kind}s" if len(self.places) > 1 else self.kind)
        return True

    async def _replace_when_asked(self) -> None:
        while True:
            child, reason = await self._requests.get()
            async with self._changing:
                place = next((place for place in self.places if place.child is child), None)
                if place is None or child.has_ended:
                    continue  # it has been replaced meanwhile, or is about to be started again
                logger.info("%s is replaced: %s", child, reason)
                if not await self._replace(place):
                    logger.error("the new %s does not start; %s goes on for now", place.name, child)
                    asyncio.get_running_loop().call_later(RETRY_DELAY, self.replace, child, reason)

    async def _replace(self, place: Place, is_new: bool = False) -> bool:
        async with place.lock:
            old = place.child
            new = await self._start(place, is_new)
            if not await new.wait_until_ready(START_TIMEOUT):
                new.send(signal.SIGKILL)
                return self._stopping.is_set()
            place.failures = 0
            place.fill(new)
        if old is not None:
            old.end()
            await self._gone([old])
        return True

    # -- ending ------------------------------------------------------------------------------------------------------

    async def _all_gone(self) -> None:
        while self._alive or self._starting:
            await self._gone(self._alive)
            await asyncio.sleep(0.01)  # those that were about to be started when the word to end came
        await asyncio.gather(*self._farewells)

    async def _gone(self, children: Iterable[Child]) -> None:
        """Wait until ``children`` have ended; kill those that take longer than they may."""
        ending = {asyncio.create_task(child.wait()): child for child in children}
        _, late = await asyncio.wait(ending, timeout=self._stop_timeout + GRACE) if ending else (set(), set())
        for task in late:
            logger.error("%s does not end and is killed", ending[task])
            ending[task].send(signal.SIGKILL)
        if late:
            await asyncio.wait(late)


def delay_of(failures: int) -> float:
    """Return how many seconds to wait before starting a process again that has ended so many times in a row."""
    if failures < 2:
        return 0.0
    longest: float = min(FIRST_DELAY * 2 ** min(failures - 2, 16), LONGEST_DELAY)
    return longest * random.uniform(0.5, 1.0)


def _when(delay: float | None) -> str:
    if delay is None:
        return "when its code has changed"
    return f"in {delay:.1f} s" if delay else "now"
