"""Trials of what consumers and senders do."""

from __future__ import annotations

import asyncio
import time

from benchmarks.chaos.sockets import close, connect, get
from benchmarks.stack import Stack


async def gil() -> None:
    """A consumer that lets no other thread of its worker run for five seconds is not taken for dead."""
    with Stack() as stack:
        (client,) = await connect(f"ws://127.0.0.1:{stack.ports[0]}/trials/gil/", 1)
        client.say("5")
        begun = time.monotonic()
        assert await client.heard(1) == ["released"]
        took = time.monotonic() - begun
        client.say("0")
        assert await client.heard(2) == ["released", "released"]
        print(f"  answered after {took:.1f} s")
        lines = [line for process in (*stack.servers, *stack.workers) for line in process.lines("WARNING", "ERROR")]
        assert not lines, lines
        close([client])


async def ask() -> None:
    """A consumer sends a question, waits until the client has answered, and goes on."""
    with Stack(threads=2) as stack:
        (client,) = await connect(f"ws://127.0.0.1:{stack.ports[0]}/trials/ask/", 1)
        for number in range(5):
            client.say(f"q{number}")
            assert (await client.heard(2 * number + 1))[-1] == f"question q{number}"
            await get(f"http://127.0.0.1:{stack.ports[0]}/trials/answer/q{number}/")
            assert (await client.heard(2 * number + 2))[-1] == f"answered q{number}"
        print("  five questions asked and answered in the middle of a consumer")
        close([client])


async def senders() -> None:
    """The same line sends from a view of either kind, a signal, a thread, a shell and a forked process."""
    with Stack() as stack:
        clients = await connect(f"ws://127.0.0.1:{stack.ports[0]}/rooms/all/", 3)
        said = await asyncio.to_thread(stack.run, "-m", "benchmarks.chaos.senders")
        print("  " + said.strip().replace("\n", "\n  "))
        expected = int(said.split()[-1])
        for client in clients:
            assert len(await client.heard(expected)) == expected
        close(clients)
