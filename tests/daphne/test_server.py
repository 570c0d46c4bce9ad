"""A server as a whole: its beginning, its end, its heartbeat, and the budgets its connections share."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

from channel_layers.exceptions import LayerDeclined, LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.registry import Announcement
from daphne.config import Config
from daphne.server import Server, new_event_loop
from tests.daphne.serving import DISCONNECT, RECEIVE, REQUEST, Rig, Socket, serving
from tests.daphne.virtual_time import elapse, idle
from tests.daphne.wire import CLOSE, PONG, close, get, post, read_answer, text

OK: dict[str, Any] = {"status": 200, "content": b"hello"}
RESTART = (CLOSE, close(1012, "server restarts"))


def announced(rig: Rig) -> Announcement | None:
    """Return the heartbeat of the server, if it is alive."""
    return next((a for a in rig.layer.processes() if a.process == rig.layer.process), None)


# -- heartbeat ---------------------------------------------------------------------------------------------------------


async def test_a_server_is_known_from_its_start_to_its_end() -> None:
    """Its announcement counts the connections it holds, and is withdrawn when it stops."""
    async with serving() as rig:
        first = announced(rig)
        assert first is not None
        assert (first.connections, first.channels, first.pid > 0) == (0, (), True)
        one = await rig.open()
        await rig.open()
        await elapse(5)
        later = announced(rig)
        assert later is not None
        assert (later.connections, later.time > first.time) == (2, True)
        one.transport.lose()
        await elapse(60)
        assert announced(rig) is not None
    assert announced(rig) is None


async def test_what_workers_read_is_learnt_with_each_heartbeat() -> None:
    """Before any worker has announced itself the next one may read everything."""
    async with serving(reads=()) as rig:
        assert rig.server.is_read(DISCONNECT)
        rig.read(RECEIVE)
        await elapse(5)
        assert (rig.server.is_read(RECEIVE), rig.server.is_read(DISCONNECT)) == (True, False)
        rig.read(RECEIVE, DISCONNECT)
        await elapse(5)
        assert rig.server.is_read(DISCONNECT)
        rig.reads = ()
        await elapse(30)
        assert rig.server.is_read("whatever")


@pytest.mark.parametrize(("error", "counted"), [(LayerUnavailable("it is away"), 0), (LayerDeclined("read-only"), 3)])
async def test_a_heartbeat_that_fails_ends_nothing(error: LayerUnavailable, counted: int) -> None:
    """The next one is tried; a layer that is away has said so itself, one that declines has not."""
    async with serving() as rig:
        working = rig.layer.aannounce

        async def fail(announcement: Announcement) -> None:
            raise error

        rig.layer.aannounce = fail  # type: ignore[method-assign]  # a layer that is gone for a while
        await elapse(16)
        assert announced(rig) is None
        rig.layer.aannounce = working  # type: ignore[method-assign]  # and back again
        await elapse(5)
        assert announced(rig) is not None
        assert rig.server.losses.counts["no heartbeat"] == counted


async def test_a_group_that_nobody_here_is_in_is_withdrawn() -> None:
    """Some heartbeats after its last member has left, the layer sends its messages elsewhere."""
    async with serving() as rig:
        client = await rig.open("all")
        client.transport.lose()
        assert "all" in rig.layer.groups
        await elapse(20)
        assert "all" not in rig.layer.groups


# -- budgets -----------------------------------------------------------------------------------------------------------


async def test_all_lanes_together_have_a_budget() -> None:
    """Once it is used up no socket is read; when events are done every one of them is read again."""
    async with serving(max_lanes_size=3000) as rig:
        sockets = [await rig.open() for _ in range(5)]
        for client in sockets:
            client.say("x" * 1000)
        assert rig.server.lanes_size > 3000
        paused = [client for client in sockets if not client.transport.reading]
        assert sockets[-1] in paused
        for client in sockets:
            if client.transport.reading:
                client.say("y")
            assert not client.transport.reading
        await idle()
        while rig.depth(RECEIVE):
            (await rig.job(RECEIVE)).end()
            await idle()
        assert rig.server.lanes_size == 0
        assert all(client.transport.reading for client in sockets)


async def test_a_lane_that_is_full_itself_is_not_read_for_room_in_the_others() -> None:
    """Room in the budget is no room in the lane."""
    async with serving(max_lanes_size=2500, max_lane_messages=1) as rig:
        full, large = await rig.open(), await rig.open()
        full.say("a", "b")
        large.say("x" * 3000)
        await idle()
        jobs = [await rig.job(RECEIVE) for _ in range(2)]
        next(job for job in jobs if job.reply_channel == large.channel).end()
        await idle()
        assert (full.transport.reading, large.transport.reading) == (False, True)
        next(job for job in jobs if job.reply_channel == full.channel).end()
        await idle()
        assert full.transport.reading
        while rig.depth(RECEIVE):
            (await rig.job(RECEIVE)).end()
            await idle()
        assert rig.server.lanes_size == 0


# -- the end -----------------------------------------------------------------------------------------------------------


async def stop(rig: Rig) -> asyncio.Task[None]:
    """Begin to stop the server."""
    stopping = asyncio.create_task(rig.server.stop())
    await idle()
    return stopping


async def test_sockets_are_closed_with_1012_and_their_disconnects_are_sent() -> None:
    """Those that answer are gone at once; the server ends with the last of them."""
    async with serving() as rig:
        sockets = [await rig.open() for _ in range(3)]
        stopping = await stop(rig)
        for client in sockets:
            assert client.frames() == [RESTART]
            assert not stopping.done()
            client.send(CLOSE, close(1012))
        await idle()
        assert stopping.done()
        codes = [(await rig.job(DISCONNECT)).content["code"] for _ in sockets]
        assert codes == [1012] * 3
        assert sum(" 1012 by server (stops) after " in line for line in rig.lines) == 3


async def test_a_socket_that_does_not_answer_is_cut() -> None:
    """The closing timeout holds for a server that stops as well."""
    async with serving(close_timeout=3) as rig:
        client = await rig.open()
        stopping = await stop(rig)
        await elapse(2.5)
        assert not stopping.done()
        await elapse(1)
        assert (stopping.done(), client.transport.aborted) == (True, True)
        assert (await rig.job(DISCONNECT)).content["code"] == 1006


async def test_requests_in_flight_are_answered_before_the_end() -> None:
    """Idle connections go at once; the last answer says that the connection closes."""
    async with serving() as rig:
        waiting, busy = rig.connect(), rig.connect()
        busy.feed(get())
        job = await rig.job(REQUEST)
        stopping = await stop(rig)
        assert (waiting.lost, busy.is_closing(), stopping.done()) == (True, False, False)
        job.end(OK)
        await idle()
        answer = read_answer(busy.written)
        assert (answer.body, answer.headers["connection"], busy.lost) == (b"hello", "close", True)
        assert stopping.done()


async def test_half_a_request_is_refused_at_the_end() -> None:
    """A body that is still on its way is not waited for."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(post(b"a" * 10)[:-1])
        stopping = await stop(rig)
        assert (read_answer(client.written).status, stopping.done()) == (503, True)


async def test_nothing_holds_the_end_up_for_ever() -> None:
    """After the drain time what is left is cut."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        stopping = await stop(rig)
        await elapse(9)
        assert not stopping.done()
        await elapse(2)
        assert (stopping.done(), client.lost) == (True, True)


async def test_a_handshake_is_refused_at_the_end() -> None:
    """And a server without connections ends at once."""
    async with serving() as rig:
        transport = rig.handshake()
        stopping = await stop(rig)
        assert transport.written.startswith(b"HTTP/1.1 503 ")
        assert stopping.done()


async def test_nothing_of_a_server_goes_on_after_its_end() -> None:
    """Neither deadlines nor looks at the layer: an hour later nothing has happened."""
    async with serving() as rig:
        client = await rig.open()
        client.say("never handled")
        client.transport.lose()
    before = len(rig.lines)
    await elapse(3600)
    assert (len(rig.lines), announced(rig), rig.layer.inboxes) == (before, None, {})


async def test_replies_to_a_server_that_has_ended_are_discarded() -> None:
    """They can never reach another connection."""
    async with serving() as rig:
        client = await rig.open("all")
    client.transport.take()
    rig.layer.send(client.channel, {"text": "late"})
    rig.layer.send_group("all", {"text": "late"})
    await idle()
    assert client.transport.written == b""


async def test_a_peer_that_answers_keeps_its_socket() -> None:
    """Nothing but silence ends it, however old it is."""
    async with serving(ping_interval=600, ping_timeout=600) as rig:
        client: Socket = await rig.open()
        for _ in range(50):
            await elapse(5000 / 9)
            client.send(PONG)
        assert not client.transport.is_closing()


# -- real sockets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", [new_event_loop, asyncio.new_event_loop], ids=["new_event_loop", "asyncio"])
def test_a_server_listens_until_it_stops(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """A client gets in while it runs and is turned away afterwards; access lines go to the log by default."""

    async def listen() -> None:
        server = Server(MemoryChannelLayer(), Config())
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        await server.start([listener])
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"\x16\x03\x01")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await writer.wait_closed()
        await server.stop()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection(*address)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(listen(), 10))


async def test_the_log_of_a_server_is_daphne_access_by_default(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing need be given but a layer and a configuration."""
    caplog.set_level(logging.INFO, "daphne.access")
    server = Server(MemoryChannelLayer(), Config())
    await server.start([])
    async with serving() as rig:
        rig.server.log = server.log
        client = await rig.open()
        client.transport.feed(text("a"))
        client.transport.lose()
    await server.stop()
    assert [record.name for record in caplog.records if "WS" in record.getMessage()] == ["daphne.access"] * 2
