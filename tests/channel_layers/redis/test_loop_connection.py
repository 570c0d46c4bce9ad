"""The connections of event loops."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from channel_layers.exceptions import AnswerLost, LayerUnavailable
from channel_layers.redis import loop_connection
from channel_layers.redis.connector import Connector
from channel_layers.redis.exchange import Answer, Request
from channel_layers.redis.hosts import read_hosts
from channel_layers.redis.link import Link
from channel_layers.redis.loop_connection import MANY, LoopConnection
from channel_layers.redis.protocol import Replies, pack
from tests.channel_layers.redis.server import RedisServer

PATIENCE = 10.0
Work = Callable[[LoopConnection], Awaitable[None]]


def with_connection(server: RedisServer, work: Work, timeout: float = PATIENCE) -> None:
    """Do ``work`` with a connection, in a loop, in bounded time."""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE), opened(server, timeout) as connection:
            await work(connection)

    asyncio.run(main())


@asynccontextmanager
async def opened(server: RedisServer, timeout: float) -> AsyncIterator[LoopConnection]:
    """A connection to ``server`` that is closed in the end."""
    connection = LoopConnection(Connector(read_hosts(server.url), "test", timeout))
    try:
        yield connection
    finally:
        connection.close()


def test_requests_are_answered_in_their_order(server: RedisServer) -> None:
    """Many tasks ask at once over one link, and each has its own answers."""

    async def work(connection: LoopConnection) -> None:
        asked = [connection.ask(Request([pack("ECHO", n), pack("ECHO", -n)])) for n in range(50)]
        answers = await asyncio.gather(*asked)
        assert answers == [[b"%d" % n, b"%d" % -n] for n in range(50)]

    with_connection(server, work)


def test_what_the_socket_has_no_room_for_follows(server: RedisServer) -> None:
    """Requests and answers larger than any buffer arrive whole, those behind them too."""

    async def work(connection: LoopConnection) -> None:
        large = bytes(8 * 1024 * 1024)
        asked = [connection.ask(Request([pack("ECHO", large)])) for _ in range(3)]
        asked.append(connection.ask(Request([pack("PING")])))
        answers = await asyncio.gather(*asked)
        assert answers == [[large]] * 3 + [[b"PONG"]]
        assert await connection.ask(Request([pack("PING")])) == [b"PONG"]

    with_connection(server, work)


def test_a_cancelled_request_harms_no_other(server: RedisServer) -> None:
    """Its answer is dropped when it comes, and the others have theirs."""

    async def work(connection: LoopConnection) -> None:
        await connection.ask(Request([pack("PING")]))
        cancelled = asyncio.create_task(connection.ask(Request([pack("ECHO", "x")])))
        other = asyncio.create_task(connection.ask(Request([pack("ECHO", "y")])))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert await other == [b"y"]
        assert cancelled.cancelled()

    with_connection(server, work)


def test_no_answer_is_not_waited_for_without_end(server: RedisServer) -> None:
    """After its time a request fails, the link is given up, and the next request has another."""

    async def work(connection: LoopConnection) -> None:
        with pytest.raises(LayerUnavailable, match="did not answer within"):
            await connection.ask(Request([pack("BLPOP", "test_loop_nothing", 0)]))
        assert connection.lost is not None
        assert await connection.ask(Request([pack("PING")])) == [b"PONG"]

    with_connection(server, work, timeout=0.1)


def test_whoever_waits_is_told_when_the_link_ends(own_server: RedisServer) -> None:
    """Every request under way fails, and what is sent to a server that is gone fails as well."""

    async def work(connection: LoopConnection) -> None:
        await connection.ask(Request([pack("PING")]))
        asked = [asyncio.create_task(connection.ask(Request([pack("BLPOP", "a", 0)], None))) for _ in range(2)]
        await asyncio.sleep(0)
        own_server.kill()
        for result in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(result, LayerUnavailable)
        connection.post([pack("PING")])
        with pytest.raises(LayerUnavailable, match="cannot be reached"):
            await connection.ask(Request([pack("PING")]))

    with_connection(own_server, work, timeout=0.1)


def test_a_write_to_a_link_that_has_just_ended(own_server: RedisServer) -> None:
    """The loop has not heard of the end yet: the request fails, with or without somebody who waits for it."""

    async def work(connection: LoopConnection) -> None:
        await connection.ask(Request([pack("PING")]))
        own_server.kill()
        with pytest.raises(LayerUnavailable, match="did not answer"):
            await connection.ask(Request([pack("PING")]))
        own_server.start()
        await connection.ask(Request([pack("PING")]))
        own_server.kill()
        connection.post([pack("PING")])

    with_connection(own_server, work, timeout=1.0)


def test_connecting_can_be_cancelled(own_server: RedisServer) -> None:
    """A task that is cancelled while it connects leaves no thread that goes on trying, and no link."""

    async def work(connection: LoopConnection) -> None:
        own_server.kill()
        asking = asyncio.create_task(connection.ask(Request([pack("PING")])))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        own_server.start()
        assert await connection.ask(Request([pack("PING")])) == [b"PONG"]

    with_connection(own_server, work)


def test_a_link_made_for_a_task_that_was_cancelled_is_closed(server: RedisServer) -> None:
    """Nobody else knows of it."""

    async def work(connection: LoopConnection) -> None:
        asking = asyncio.create_task(connection.ask(Request([pack("PING")])))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    with_connection(server, work)


def test_a_connection_of_a_loop_that_has_ended_can_be_closed(server: RedisServer) -> None:
    """Also with requests that nobody will ever answer."""
    kept: list[LoopConnection] = []

    async def main() -> None:
        connection = LoopConnection(Connector(read_hosts(server.url), "test", PATIENCE))
        kept.append(connection)
        await connection.ask(Request([pack("PING")]))
        connection.post([pack("BLPOP", "a", 0)])

    asyncio.run(main())
    kept[0].close()
    assert kept[0].run is None


def new_uvloop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop, where that exists."""
    return pytest.importorskip("uvloop").new_event_loop()  # type: ignore[no-any-return]  # imported by its name


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, new_uvloop])
def test_a_connection_that_is_reset_is_noticed(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Whoever waits without a time limit is told, whichever loop it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()

    async def main() -> None:
        async with opened(server, PATIENCE) as connection:
            link = connection._connector.connect(PATIENCE)
            link.close()
            link.sock = near
            monkeypatch.setattr(connection._connector, "connect", lambda *args, **kwargs: link)
            asking = asyncio.create_task(connection.ask(Request([b"a question", b"another"], None)))
            await asyncio.get_running_loop().run_in_executor(None, far.recv, 100)
            far.send(b"+OK\r\n")
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            far.close()
            with pytest.raises(AnswerLost):
                await asyncio.wait_for(asking, PATIENCE)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def test_answers_that_nobody_awaits_come_by_themselves(server: RedisServer) -> None:
    """A moment later, in their order."""

    async def work(connection: LoopConnection) -> None:
        await connection.ask(Request([pack("PING")]))
        said: asyncio.Queue[Answer] = asyncio.Queue()
        for n in range(3):
            connection.say(Request([pack("ECHO", n)]), said.put_nowait, is_awaited=False)
        assert [await said.get() for _ in range(3)] == [[b"0"], [b"1"], [b"2"]]

    with_connection(server, work)


def test_a_long_answer_that_nobody_awaits_comes_at_once(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals and errors are long; with it come the short ones before it."""
    monkeypatch.setattr(loop_connection, "LINGER", 3600.0)

    async def work(connection: LoopConnection) -> None:
        await connection.ask(Request([pack("PING")]))
        said: asyncio.Queue[Answer] = asyncio.Queue()
        connection.say(Request([pack("PING")]), said.put_nowait, is_awaited=False)
        connection.say(Request([pack("ECHO", "x" * MANY)]), said.put_nowait, is_awaited=False)
        assert [await said.get() for _ in range(2)] == [[b"PONG"], [b"x" * MANY]]

    with_connection(server, work)


def test_short_answers_that_nobody_awaits_come_together(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn of the loop is not spent on each; an answer that is awaited brings them along."""
    monkeypatch.setattr(loop_connection, "LINGER", 3600.0)
    received: list[int] = []
    receive = Link.receive

    def counting(link: Link) -> Replies:
        replies = receive(link)
        received.append(len(replies))
        return replies

    async def work(connection: LoopConnection) -> None:
        await connection.ask(Request([pack("PING")]))
        said: list[Answer] = []
        monkeypatch.setattr(Link, "receive", counting)
        for _ in range(8):
            connection.say(Request([pack("SET", "test_loop_short", 1)]), said.append, is_awaited=False)
            await asyncio.to_thread(server.ask, "PING")  # by now it has been answered
        assert await connection.ask(Request([pack("PING")])) == [b"PONG"]
        assert said == [[b"OK"]] * 8
        assert sum(received) == 9
        if server.plain_port:  # Linux has no low water for sockets with a path
            assert len(received) <= 2

    with_connection(server, work)
