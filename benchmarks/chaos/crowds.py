"""Trials with many sockets, much to say, and nobody to answer."""

from __future__ import annotations

import asyncio
import random
import signal
import time

from benchmarks.chaos.sockets import Client, close, connect, get
from benchmarks.stack import Stack


async def burst() -> None:
    """A thousand messages back to back to a group of 2,000: complete, in order, with default settings."""
    with Stack() as stack:
        clients = await connect(f"ws://127.0.0.1:{stack.ports[0]}/trials/publish/all/", 2000)
        begun = time.monotonic()
        clients[0].say("1000")
        expected = [str(number) for number in range(1000)]
        for client in clients:
            assert await client.heard(1000, 120) == expected
        took = time.monotonic() - begun
        print(f"  2,000,000 deliveries in {took:.1f} s, complete and in order")
        assert not any(client.closed for client in clients)
        close(clients)


async def churn() -> None:
    """For a minute 200 sockets come and go, half of them by a reset, while 50 hear a numbered stream."""
    chance = random.Random(1)
    with Stack(threads=2) as stack:
        url = f"ws://127.0.0.1:{stack.ports[0]}/rooms/all/"
        hearers = await connect(url, 50)
        guests = await connect(url, 200)
        ended, sent = time.monotonic() + 60, 0
        gone = 0
        while time.monotonic() < ended:
            await get(f"http://127.0.0.1:{stack.ports[0]}/trials/stream/all/{sent}/20/")
            sent += 20
            for _ in range(10):
                guest = guests.pop(chance.randrange(len(guests)))
                guest.reset() if chance.random() < 0.5 else guest.leave()
                gone += 1
            guests += await connect(url, 200 - len(guests))
        expected = [str(number) for number in range(sent)]
        for hearer in hearers:
            assert await hearer.heard(sent) == expected, "a gap or a double"
        print(f"  {sent} messages to 50 hearers without gap or double while {gone} sockets came and went")
        close(hearers + guests)


async def backlog() -> None:
    """A hundred thousand frames while no worker runs: the server's memory stays, and every frame is handled later."""
    frames, lanes = 100_000, 200
    with Stack() as stack:
        clients = await connect(f"ws://127.0.0.1:{stack.ports[0]}/echo/", lanes)
        for worker in stack.workers:
            worker.end()
        before = stack.servers[0].resident()
        for number in range(frames // lanes):
            for client in clients:
                client.say(str(number))
            await asyncio.sleep(0)
        await asyncio.sleep(3)
        grown = (stack.servers[0].resident() - before) / 1024 / 1024
        print(f"  {frames} frames sent, the server has grown by {grown:.1f} MiB")
        assert grown < 32
        begun = time.monotonic()
        stack.start_workers()
        expected = [str(number) for number in range(frames // lanes)]
        for client in clients:
            assert await client.heard(len(expected), 120) == expected
        print(f"  all answered in order {time.monotonic() - begun:.1f} s after workers came")
        close(clients)


async def storm() -> None:
    """Half of 2,000 sockets are gone in a moment; nothing of them is left."""
    with Stack() as stack:
        url = f"ws://127.0.0.1:{stack.ports[0]}/rooms/all/"
        stay, leave = await connect(url, 1000), await connect(url, 1000)
        for client in leave:
            client.reset()
        await asyncio.sleep(1)
        stay[0].say("hello")
        for client in stay:
            assert await client.heard(1) == ["hello"]
        close(stay)


async def killed_worker() -> None:
    """A worker is killed in the middle of its consumers: their lanes go on with the other one."""
    with Stack(workers=2) as stack:
        clients: list[Client] = await connect(f"ws://127.0.0.1:{stack.ports[0]}/trials/jobs/", 20)
        for client in clients:
            client.say("first 0.5")
        await asyncio.sleep(0.3)
        stack.workers[0].end(signal.SIGKILL)
        for client in clients:
            client.say("second")
        for client in clients:
            while "second" not in client.received:
                await client.heard(len(client.received) + 1, 60)
        lost = sum("first" not in client.received for client in clients)
        print(f"  {lost} of 20 events were lost with the worker, every lane moves")
        assert lost <= 2
        close(clients)
