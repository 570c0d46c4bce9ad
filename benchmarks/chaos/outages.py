"""Trials in which the layer goes away, forgets, or cuts connections."""

from __future__ import annotations

import asyncio
import signal
import time

from benchmarks.chaos.sockets import Client, accepted, close, connect
from benchmarks.stack import Stack

LANES = 1000
QUEUE = "channels:{work}queue:websocket.receive"


async def outage() -> None:
    """Redis is killed for ten seconds with an event under way on each of 1,000 lanes."""
    with Stack(threads=4) as stack:
        clients = await _members(stack, LANES)
        busy = await _busy_lanes(stack)
        stack.redis.end(signal.SIGKILL)
        await _senders_are_told(stack)
        await asyncio.sleep(8)
        stack.start_redis()
        back = time.monotonic()
        await _whole(stack, clients, "back", 2.0, back)
        for client in busy:
            client.say("second")
        for client in busy:
            while "second" not in client.received:
                await client.heard(len(client.received) + 1)
        print(f"  every lane moves {time.monotonic() - back:.1f} s after the return")
        _all_open(clients + busy)
        for process in (*stack.servers, *stack.workers):
            lines = process.lines("cannot be reached", "is back after")
            assert len(lines) == 2, f"{process.name} says of the outage: {lines}"
        close(clients + busy)


async def flush() -> None:
    """Redis is emptied with an event under way on each of 1,000 lanes."""
    with Stack(threads=4) as stack:
        clients = await _members(stack, LANES)
        busy = await _busy_lanes(stack)
        stack.client().ask("FLUSHALL")
        begun = time.monotonic()
        await _whole(stack, clients, "whole", 1.0, begun)
        for client in busy:
            client.say("second")
        for client in busy:
            while "second" not in client.received:
                await client.heard(len(client.received) + 1)
        print(f"  every lane moves {time.monotonic() - begun:.1f} s after the flush")
        _all_open(clients + busy)
        close(clients + busy)


async def cuts() -> None:
    """Every connection to Redis is cut again and again at 5,000 messages a second, while sockets join."""
    rate, seconds, lanes = 5000, 20, 250
    with Stack(threads=2) as stack:
        busy = await connect(f"ws://127.0.0.1:{stack.ports[0]}/trials/jobs/", lanes)
        redis = stack.client()
        members: list[Client] = []
        begun, sent, cut = time.monotonic(), 0, 0.0
        while (passed := time.monotonic() - begun) < seconds:
            while sent < passed * rate:
                busy[sent % lanes].say(str(sent // lanes))
                sent += 1
            if passed > cut + 0.5:
                cut += 0.5
                redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
                members += await accepted(f"ws://127.0.0.1:{stack.ports[0]}/rooms/all/", 5)
            await asyncio.sleep(0.005)
        print(f"  {sent} messages sent, connections cut {int(cut * 2)} times")
        await asyncio.sleep(4)
        for client in busy:
            client.say("last")
        for client in busy:
            while "last" not in client.received:
                await client.heard(len(client.received) + 1, 120)
            numbers = [int(word) for word in client.received if word != "last"]
            assert numbers == sorted(set(numbers)), "a lane has heard something twice, or out of order"
        answered = sum(len(client.received) - 1 for client in busy)
        print(f"  {answered} answered, {sent - answered} lost with a connection; every lane moves")
        members[0].say("hello")
        for member in members:
            await member.heard(1)
        print(f"  all {len(members)} sockets that were accepted meanwhile are members")
        _all_open(busy + members)
        close(busy + members)


async def idle() -> None:
    """Redis closes connections that say nothing for five seconds."""
    with Stack() as stack:
        redis = stack.client()
        redis.ask("CONFIG", "SET", "timeout", 5)
        clients = await _members(stack, 10)
        await asyncio.sleep(17)
        await _whole(stack, clients, "hello", 1.0, time.monotonic())
        _all_open(clients)
        lines = [line for process in (*stack.servers, *stack.workers) for line in process.lines("WARNING", "ERROR")]
        assert not lines, lines
        close(clients)


async def _members(stack: Stack, count: int) -> list[Client]:
    clients = await connect(f"ws://127.0.0.1:{stack.ports[0]}/rooms/all/", count)
    clients[0].say("begin")
    for client in clients:
        await client.heard(1)
    return clients


async def _busy_lanes(stack: Stack) -> list[Client]:
    """Return sockets each of which has an event under way: in a consumer, or in the queue behind those."""
    busy = await connect(f"ws://127.0.0.1:{stack.ports[0]}/trials/jobs/", LANES)
    for client in busy:
        client.say("first 0.2")
    redis = stack.client()
    async with asyncio.timeout(10):
        while redis.ask("LLEN", QUEUE) < LANES - 20:
            await asyncio.sleep(0.01)
    return busy


async def _whole(stack: Stack, clients: list[Client], text: str, limit: float, since: float) -> None:
    """Send to the group until every member has heard of it, from another process; it has to be soon."""
    begun = time.monotonic()
    while not all(text in client.received for client in clients):
        await asyncio.to_thread(stack.run, "-c", _SEND.format(text=text))
        await asyncio.sleep(0.05)
        assert time.monotonic() - since < limit + 10, "memberships are not whole"
    took = time.monotonic() - since
    print(f"  memberships whole after at most {took:.1f} s (a sender's start included)")
    assert begun - since < limit


async def _senders_are_told(stack: Stack) -> None:
    begun = time.monotonic()
    said = await asyncio.to_thread(stack.run, "-c", _SEND_AND_TELL)
    took = time.monotonic() - begun
    print(f"  a sender is told after {took:.1f} s: {said.strip()[:110]}")
    assert said.startswith("LayerUnavailable")
    assert took < 10


def _all_open(clients: list[Client]) -> None:
    closed = sum(client.closed for client in clients)
    assert not closed, f"{closed} sockets were closed"


_SEND = """
import django; django.setup()
from channels import Group
Group("room-all").send({{"text": "{text}"}})
"""
_SEND_AND_TELL = """
import django; django.setup()
from channels import Group
try:
    Group("room-all").send({"text": "in vain"})
except OSError as error:
    print(type(error).__name__, error)
"""
