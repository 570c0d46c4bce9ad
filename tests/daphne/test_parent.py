"""The line of a server to the process that has started it."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from daphne.parent import Parent, tell_failure

PATIENCE = 10.0


def test_it_is_told_when_the_server_listens() -> None:
    """In one line; that it has gone meanwhile is no error."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        descriptor = theirs.detach()
        parent = Parent(descriptor, lambda: None)
        assert not os.get_inheritable(descriptor)
        parent.ready("d1")
        assert ours.recv(64) == b"ready d1\n"
        ours.close()
        parent.ready("d1")
        parent.close()

    asyncio.run(main())


@pytest.mark.parametrize("resets", [False, True])
def test_its_end_is_told(resets: bool) -> None:
    """Once, however it ends; what it says before is not heeded."""

    async def main() -> int:
        ended = asyncio.Event()
        count = 0

        def note() -> None:
            nonlocal count
            count += 1
            ended.set()

        ours, theirs = socket.socketpair()
        parent = Parent(theirs.detach(), note)
        ours.send(b"hello")
        await asyncio.sleep(0.01)
        assert count == 0
        if resets:
            parent.ready("d1")  # unread: the end is a reset
        ours.close()
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        await asyncio.sleep(0.01)
        parent.close()
        return count

    assert asyncio.run(main()) == 1


def test_it_is_told_why_there_is_no_server() -> None:
    """In one line, whatever the reason looks like; without a parent, or one that has gone, nobody is told."""
    ours, theirs = socket.socketpair()
    with ours:
        tell_failure(theirs.detach(), OSError("no room:\n  \udcff"))
        assert ours.recv(64) == b"failed no room: \xff\n"
        assert ours.recv(64) == b""
    ours, theirs = socket.socketpair()
    ours.close()
    tell_failure(theirs.detach(), "too late")
    tell_failure(None, "nobody there")
