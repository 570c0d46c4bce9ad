"""A client that does not read: what waits for it, in which order, what of it is dropped, and when it is closed."""

from __future__ import annotations

from typing import Any

from tests.daphne.serving import DISCONNECT, RECEIVE, Rig, Socket, serving
from tests.daphne.virtual_time import elapse, idle
from tests.daphne.wire import CLOSE, PING, PONG, TEXT, close, text

BEHIND: dict[str, Any] = {"max_write_size": 100_000}
"""Beyond 64 KiB in the transport a socket is behind; beyond this something has to go."""
POLICIES: dict[str, Any] = {**BEHIND, "write_policies": (("price-*", "coalesce"), ("cursor", "drop-oldest"))}


async def stalled(rig: Rig, *groups: str) -> Socket:
    """Return a socket whose client has left 70,000 bytes unread."""
    socket = await rig.open(*groups)
    socket.transport.stalled = True
    rig.layer.send(socket.channel, {"bytes": bytes(70_000)})
    await idle()
    assert [frame.payload for frame in socket.frames()] == [bytes(70_000)]
    return socket


async def test_what_is_sent_to_a_client_that_is_behind_waits_in_order() -> None:
    """Its own messages and those of its groups leave as soon as it reads, counted then."""
    async with serving(**BEHIND) as rig:
        socket = await stalled(rig, "all")
        for number in range(3):
            rig.layer.send(socket.channel, {"text": f"own {number}"})
            rig.layer.send_group("all", {"text": f"all {number}"})
        await idle()
        assert socket.frames() == []
        socket.transport.drain()
        assert socket.texts() == [f"{whose} {number}" for number in range(3) for whose in ("own", "all")]
        socket.send(CLOSE, close(1000))
        assert rig.lines[-1].endswith(", in 0 out 7")
        (await rig.job(DISCONNECT)).end()


async def test_a_client_that_reads_a_little_gets_a_little() -> None:
    """What fills the transport again leaves the rest waiting, in order."""
    async with serving(max_write_size=10**6) as rig:
        socket = await stalled(rig)
        for number in range(10):
            rig.layer.send(socket.channel, {"text": str(number) * 40_000})
        await idle()
        seen: list[str] = []
        while len(seen) < 10:
            socket.transport.drain()
            texts = socket.texts()
            assert 1 <= len(texts) <= 2
            seen += texts
        assert seen == [str(number) * 40_000 for number in range(10)]


async def test_one_message_may_be_larger_than_the_limit() -> None:
    """It is what waits that is limited: a client that reads gets it, and the next one after it."""
    async with serving(max_write_size=1000) as rig:
        socket = await rig.open()
        socket.transport.stalled = True
        rig.layer.send(socket.channel, {"bytes": bytes(50_000)})
        await idle()
        socket.transport.drain()
        rig.layer.send(socket.channel, {"text": "next"})
        await idle()
        assert [frame.payload for frame in socket.frames()] == [bytes(50_000), b"next"]


async def test_beyond_the_limit_a_slow_client_is_closed() -> None:
    """With 1013 and without what waited: nobody would read it. It is counted and logged."""
    async with serving(**BEHIND) as rig:
        socket = await stalled(rig)
        for _ in range(4):
            rig.layer.send(socket.channel, {"bytes": bytes(10_000)})
        await idle()
        assert socket.frames() == [(CLOSE, close(1013, "too slow"))]
        assert rig.server.losses.counts["slow client"] == 1
        await elapse(6)
        assert "1006 by server (client left 100000 bytes unread: max_write_size)" in rig.lines[-1]
        (await rig.job(DISCONNECT)).end()


async def test_of_a_coalescing_group_the_newest_message_waits() -> None:
    """Each group has one; what was replaced is counted, and the client stays."""
    async with serving(**POLICIES) as rig:
        socket = await stalled(rig, "price-a", "price-b")
        for number in range(1000):
            rig.layer.send_group("price-a", {"text": f"a {number} " + "x" * 1000})
            rig.layer.send_group("price-b", {"text": f"b {number} " + "x" * 1000})
            await idle()
        rig.layer.send(socket.channel, {"text": "own 1000 "})
        await idle()
        socket.transport.drain()
        assert [text[:6] for text in socket.texts()] == ["a 999 ", "b 999 ", "own 10"]
        assert rig.server.losses.counts == {"coalesced for a slow client": 2 * 999}


async def test_of_a_dropping_group_the_oldest_messages_go() -> None:
    """As many as are needed for the newest; what was sent to the socket itself stays."""
    async with serving(**POLICIES) as rig:
        socket = await stalled(rig, "cursor")
        rig.layer.send(socket.channel, {"text": "own"})
        for number in range(10):
            rig.layer.send_group("cursor", {"text": f"{number}" + "x" * 9000})
        await idle()
        socket.transport.drain()
        assert [text[:3] for text in socket.texts()] == ["own", "7xx", "8xx", "9xx"]
        assert rig.server.losses.counts == {"dropped for a slow client": 7}


async def test_where_nothing_may_be_dropped_the_client_is_closed_all_the_same() -> None:
    """Policies are for their groups: the socket's own messages are never dropped."""
    async with serving(**POLICIES) as rig:
        socket = await stalled(rig, "cursor")
        rig.layer.send_group("cursor", {"text": "x" * 9000})
        for _ in range(4):
            rig.layer.send(socket.channel, {"text": "x" * 9000})
        await idle()
        assert socket.frames() == [(CLOSE, close(1013, "too slow"))]
        counts = rig.server.losses.counts
        assert (counts["dropped for a slow client"], counts["slow client"]) == (1, 1)


async def test_a_slow_client_that_breaks_the_protocol_is_given_up_for_that() -> None:
    """What more is sent to it meanwhile fills no buffer: its close frame goes at once."""
    async with serving(**BEHIND) as rig:
        socket = await stalled(rig)
        socket.transport.feed(text("a") + b"\x81\x01a")
        job = await rig.job(RECEIVE)
        for _ in range(4):
            rig.layer.send(socket.channel, {"bytes": bytes(10_000)})
        await idle()
        assert socket.frames()[-1] == (CLOSE, close(1002, "frames of a client must be masked"))
        job.end()
        job = await rig.job(DISCONNECT)
        assert job.content["code"] == 1002
        job.end()


async def test_a_close_comes_behind_what_waits() -> None:
    """A consumer that says something and closes is understood by a slow client, too."""
    async with serving(**BEHIND) as rig:
        socket = await stalled(rig)
        rig.layer.send(socket.channel, {"text": "bye", "close": 4000})
        await idle()
        assert socket.frames() == [(TEXT, b"bye"), (CLOSE, close(4000))]
        socket.transport.drain()


async def test_a_client_that_does_not_read_gets_one_pong() -> None:
    """For its last ping: a flood of them fills no buffer (RFC 6455, section 5.5.3)."""
    async with serving(**BEHIND) as rig:
        socket = await stalled(rig)
        for number in range(10_000):
            socket.send(PING, b"%d" % number)
        assert socket.frames() == []
        socket.transport.drain()
        assert socket.frames() == [(PONG, b"9999")]
