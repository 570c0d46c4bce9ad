"""A trial that keeps books: what becomes of every one of many numbered messages while everything is being killed."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.chaos.sockets import PATIENCE, close, connect
from benchmarks.process import Process
from benchmarks.stack import Stack
from channel_layers.exceptions import LayerUnavailable, may_have_arrived
from channel_layers.redis import RedisChannelLayer

MESSAGES = 100_000
PROCESSES = 4
BATCH = 50
LANES = 50
PAUSE = 0.02
"""Seconds between two batches: there is always something in hand when something is killed."""


async def ledger() -> None:
    """100,000 numbered messages under kill -9 and CLIENT KILL: none twice, every loss counted, or none lost at all."""
    with Stack(threads=2, worker_options=["--processes", str(PROCESSES)]) as stack:
        clients = await connect(f"ws://127.0.0.1:{stack.ports[0]}/echo/", LANES)
        layer = RedisChannelLayer(hosts=stack.environment["BENCHMARK_LAYER"])
        sending = asyncio.create_task(asyncio.to_thread(_send, layer))
        kills, statuses = await _disturb(stack, layer, sending)
        unsure = await sending
        await _settle(stack, layer)
        for client in clients:
            client.say("end")
        for client in clients:
            assert "end" in await client.heard(1), "a lane does not move"
        _audit(stack, unsure, kills, statuses)
        close(clients)


async def _disturb(
    stack: Stack, layer: RedisChannelLayer, sending: asyncio.Task[set[int]]
) -> tuple[Counter[str], Counter[str]]:
    """Kill workers and connections by chance while messages are sent and handled; ask for pages meanwhile."""
    chance, kills, statuses = random.Random(7), Counter[str](), Counter[str]()
    redis = stack.client()
    while not sending.done() or _waiting(layer):
        with suppress(IndexError, ProcessLookupError):
            if chance.random() < 0.5:
                os.kill(chance.choice(_children(stack.workers[0])), signal.SIGKILL)
                kills["kill -9"] += 1
            else:
                redis.ask("CLIENT", "KILL", "ID", chance.choice(_connections(stack)))
                kills["CLIENT KILL"] += 1
        statuses[await _status(stack.ports[0])] += 1
        await asyncio.sleep(chance.uniform(1.0, 2.5))
    redis.close()
    return kills, statuses


def _send(layer: RedisChannelLayer) -> set[int]:
    """Send every number to one of two channels, in turns; return those of which it is not known."""
    unsure: set[int] = set()
    for first in range(0, MESSAGES, BATCH):
        time.sleep(PAUSE)
        waiting = [layer.message("kept" if n % 2 else "once", {"n": n}) for n in range(first, first + BATCH)]
        while waiting:
            try:
                waiting = [refused.envelope for refused in layer.write(waiting)]
            except LayerUnavailable as error:
                if may_have_arrived(error):
                    unsure.update(range(first, first + BATCH))
                    break
    return unsure


async def _settle(stack: Stack, layer: RedisChannelLayer) -> None:
    """Wait until nothing waits and every process has told what it knows."""
    async with asyncio.timeout(PATIENCE * 3):
        while _waiting(layer) or stack.client().ask("EXISTS", layer.keys.slots):
            await asyncio.sleep(0.5)
    await asyncio.sleep(12)  # a cause is logged once in ten seconds
    layer.close()


def _audit(stack: Stack, unsure: set[int], kills: Counter[str], statuses: Counter[str]) -> None:
    """Compare the ledger with what was sent, and with what was counted."""
    lines = Path(stack.environment["BENCHMARK_LEDGER"]).read_text().splitlines()
    found = Counter((line.split()[0], int(line.split()[1])) for line in lines)
    once, kept = ({n for n in range(MESSAGES) if n % 2 == odd} - unsure for odd in (0, 1))
    doubled = sum(1 for (channel, _), times in found.items() if channel == "once" and times > 1)
    again = sum(1 for (channel, _), times in found.items() if channel == "kept" and times > 1)
    lost = sum(("once", n) not in found for n in once)
    missing = sum(("kept", n) not in found for n in kept)
    counted = sum(_counted(stack.workers[0], stack.servers[0]))
    print(f"  {dict(kills)}, pages: {dict(statuses)}, {len(unsure)} sends unsure")
    print(f"  at most once: {doubled} doubled, {lost} lost, {counted} counted")
    print(f"  at least once: {missing} lost, {again} delivered again")
    assert doubled == 0
    assert missing == 0
    assert lost <= counted
    assert "" not in statuses, "a client was not answered"


def _counted(*processes: Process) -> Iterator[int]:
    for process in processes:
        for line in process.log.read_text().splitlines():
            yield from map(int, re.findall(r"\((?:worker died|answers lost): (\d+) since", line))


def _children(supervisor: Process) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()]


def _connections(stack: Stack) -> list[str]:
    """Return the numbers of all connections of servers and workers to Redis, not those of this process."""
    client = stack.client()
    listed = client.ask("CLIENT", "LIST").decode().splitlines()
    client.close()
    return [found[1] for line in listed if "cmd=client" not in line and (found := re.match(r"id=(\d+)", line))]


def _waiting(layer: RedisChannelLayer) -> int:
    try:
        return layer.depth("once") + layer.depth("kept")
    except LayerUnavailable:
        return 1


async def _status(port: int) -> str:
    """Return the status of a page, or nothing if there was no answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            head = await reader.readline()
    finally:
        writer.close()
    return head.split()[1].decode() if head else ""
