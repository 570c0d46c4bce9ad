"""Trials in which background work would take everything, if it could."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial

from benchmarks.chaos.sockets import PATIENCE, close, connect, get
from benchmarks.histogram import Histogram
from benchmarks.soak_load import Peer, open_peer
from benchmarks.stack import Stack
from channel_layers.redis import RedisChannelLayer

THREADS = 4
MESSAGES = 100
SECONDS = 10.0
"""What each message of the background takes."""
MEASURED = 20.0
"""Seconds of load; in all of them the background has the slots that it may have, and more is waiting."""
SOCKETS, PAGES = 20, 10
PACE = 0.2
"""Seconds between two messages of one socket, and between two pages of one browser."""
LONGEST = 0.2
"""Seconds that 99 of 100 answers may take at most."""
BURST = 64
ROUNDS = 20
BLOCKED = 5.0
"""Seconds for which one of two workers is blocked."""
UNBLOCKED = 2.5
"""Seconds in which everything else is done: far less than that, and more than a busy machine needs."""


async def reserved() -> None:
    """A hundred background messages of 10 s, `--threads 4`: HTTP and WebSockets are answered, 99 of 100 in 200 ms."""
    for computes in (False, True):
        with Stack(threads=THREADS) as stack:
            layer = RedisChannelLayer(hosts=stack.environment["BENCHMARK_LAYER"])
            content = {"seconds": SECONDS, "computes": computes}
            assert layer.write([layer.message("drag", content) for _ in range(MESSAGES)]) == []
            await _until(partial(_is_under_way, layer))
            echoes, pages = await _measured(stack.ports[0])
            kind = "computing" if computes else "waiting"
            print(f"  {MESSAGES} {kind} for {SECONDS:g} s each: echoes {_shown(echoes)}; pages {_shown(pages)}")
            assert layer.depth("drag"), "the background has ended before the load"
            assert max(echoes.percentile(99), pages.percentile(99)) < LONGEST
            layer.close()


async def blocked() -> None:
    """Of two workers one is blocked in a burst it has taken: no message waits in it while the other is idle."""
    with Stack(workers=2) as stack:
        url, longest = f"ws://127.0.0.1:{stack.ports[0]}/trials/jobs/", 0.0
        clients = await connect(url, BURST)
        chance = random.Random(3)
        for number in range(ROUNDS):
            for client in clients:
                client.say(f"{number}")
            for client in clients:
                await client.heard(number + 1)
        slow = chance.choice(clients[:8])
        others = [client for client in clients if client is not slow]
        begun = time.monotonic()
        for client in clients:
            client.say(f"slow {BLOCKED}" if client is slow else "quick")
        for client in others:
            await client.heard(ROUNDS + 1)
            longest = max(longest, time.monotonic() - begun)
        print(f"  {len(others)} others were answered within {longest * 1000:.0f} ms")
        assert longest < UNBLOCKED
        assert len(slow.received) == ROUNDS, "the slow one was quick"
        close(clients)


def _is_under_way(layer: RedisChannelLayer) -> bool:
    """Return whether the background has all slots that it may have."""
    return layer.depth("drag") == MESSAGES - THREADS + 1


async def _measured(port: int) -> tuple[Histogram, Histogram]:
    """Return the latencies of echoes, and of pages, from the moment at which each was due."""
    echoes: list[float] = []
    pages: list[float] = []
    peers = [await open_peer(f"ws://127.0.0.1:{port}/echo/") for _ in range(SOCKETS)]
    url = f"http://127.0.0.1:{port}/"
    await get(url)  # the first of a process imports what it needs
    jobs = [_repeated(partial(_echo, peer), n / SOCKETS, echoes) for n, peer in enumerate(peers)]
    jobs += [_repeated(partial(get, url), n / PAGES, pages) for n in range(PAGES)]
    await asyncio.gather(*jobs)
    assert not any(peer.faults or peer.closed for peer in peers)
    for peer in peers:
        peer.transport.disconnect()
    return Histogram.of(echoes), Histogram.of(pages)


async def _repeated(step: Callable[[], Awaitable[object]], offset: float, latencies: list[float]) -> None:
    """Take a step at fixed times; one that is late because of that before it has been late since it was due."""
    due = time.monotonic() + offset * PACE
    for _ in range(int(MEASURED / PACE)):
        await asyncio.sleep(due - time.monotonic())
        await step()
        latencies.append(time.monotonic() - due)
        due += PACE


async def _echo(peer: Peer) -> None:
    peer.came.clear()
    peer.say(16)
    async with asyncio.timeout(PATIENCE):
        await peer.came.wait()


def _shown(latencies: Histogram) -> str:
    p50, p99, most = (latencies.percentile(share) * 1000 for share in (50, 99, 100))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {most:.0f} ms, of {len(latencies)}"


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.05)
