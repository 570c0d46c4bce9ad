"""Trials in which new code is brought to workers under load."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from benchmarks.soak_load import Peer, open_peer
from benchmarks.stack import Stack

SOCKETS = 1000
PACE = 2.0
"""Seconds between two messages of one socket: 500 a second in all."""
PROCESSES = 2
LONGEST = 2.0
"""Seconds that an echo may take at most."""


async def rolling() -> None:
    """Every worker is replaced, twice, under 500 messages a second on 1,000 sockets: nobody notices."""
    with Stack(threads=4, worker_options=["--processes", str(PROCESSES)]) as stack:
        url = f"ws://127.0.0.1:{stack.ports[0]}/echo/"
        peers = [await open_peer(url) for _ in range(SOCKETS)]
        gaps: list[float] = []
        talking = [asyncio.create_task(_talk(peer, n * PACE / SOCKETS, gaps)) for n, peer in enumerate(peers)]
        for turn in (1, 2):
            await asyncio.sleep(5)
            os.kill(stack.workers[0].pid, signal.SIGHUP)
            await _until(lambda turn=turn: len(stack.workers[0].lines(": Stopped.")) == turn * PROCESSES)
        await asyncio.sleep(5)
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await _until(lambda: all(peer.expected == peer.sent for peer in peers))
        faults = [fault for peer in peers for fault in peer.faults]
        said = sum(peer.sent for peer in peers)
        print(f"  {said} echoes, {2 * PROCESSES} processes replaced, the longest took {max(gaps):.2f} s")
        assert not any(peer.closed for peer in peers), "a socket was closed"
        assert not faults, faults[:5]
        assert max(gaps) < LONGEST
        complaints = [
            line for process in (*stack.servers, *stack.workers) for line in process.lines("WARNING", "ERROR")
        ]
        assert not complaints, complaints[:5]
        for peer in peers:
            peer.transport.disconnect()


async def _talk(peer: Peer, delay: float, gaps: list[float]) -> None:
    await asyncio.sleep(delay)
    while True:
        begun = time.monotonic()
        peer.came.clear()
        peer.say(16)
        await peer.came.wait()
        gaps.append(time.monotonic() - begun)
        await asyncio.sleep(max(0.0, begun + PACE - time.monotonic()))


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.1)
