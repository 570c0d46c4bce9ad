"""An open WebSocket: frames in, events out, replies back, and every way in which it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as PeerFrame
from websockets.streams import StreamReader

from channel_layers.envelope import AGAIN, LOST, RAISED, UNROUTED
from channel_layers.notes import HANDSHAKE, SESSION
from daphne.delivery import MAX_FANOUTS, STRIDE
from tests.daphne.serving import CONNECT, DISCONNECT, RECEIVE, Job, Rig, Socket, serving
from tests.daphne.virtual_time import elapse, idle
from tests.daphne.wire import BINARY, CLOSE, PING, PONG, TEXT, Frame, close, frame, read_frames, text


async def echo(rig: Rig) -> Job:
    """Handle the next receive entry as an echo consumer does."""
    job = await rig.job(RECEIVE)
    job.end(*[{"text": content["text"]} for content in job.contents])
    await idle()
    return job


# -- messages ----------------------------------------------------------------------------------------------------------


async def test_a_message_is_echoed() -> None:
    """A frame becomes an event, the reply of its consumer a frame."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("hello")
        job = await rig.job(RECEIVE)
        expected = {"text": "hello", "reply_channel": socket.channel, "path": "/chat", "order": 1}
        assert job.content == expected
        job.end_with({"text": "hello"})
        await idle()
        assert socket.frames() == [(TEXT, b"hello")]
        assert rig.server.lanes_size == 0


async def test_what_came_before_the_decision_is_not_lost() -> None:
    """Messages for the socket and frames of the client, each in order."""
    async with serving() as rig:
        transport = rig.handshake(early=text("one"))
        job = await rig.job(CONNECT)
        job.send({"text": "two"})
        await idle()
        job.end()
        assert (await rig.job(RECEIVE)).content["text"] == "one"
        assert transport.written.endswith(b"\r\n\r\n\x81\x03two")


async def test_binary_messages_go_both_ways() -> None:
    """Bytes are bytes, and empty ones are transmitted."""
    async with serving() as rig:
        socket = await rig.open()
        socket.send(BINARY, b"\0\1")
        job = await rig.job(RECEIVE)
        assert job.content["bytes"] == b"\0\1"
        job.end({"bytes": b"\2"}, {"bytes": b""}, {"text": ""})
        await idle()
        assert socket.frames() == [(BINARY, b"\2"), (BINARY, b""), (TEXT, b"")]


async def test_what_queues_up_leaves_together_and_in_order() -> None:
    """While one entry is under way the next events gather; order counts every event of the connection."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a", "b", "c")
        first = await echo(rig)
        second = await echo(rig)
        assert ([c["order"] for c in first.contents], [c["order"] for c in second.contents]) == ([1], [2, 3])
        assert socket.texts() == ["a", "b", "c"]
        assert await rig.is_quiet()


async def test_the_order_of_a_connection_is_kept_over_its_whole_life() -> None:
    """Connect, each receive, disconnect: one number after the other, whatever was batched."""
    async with serving() as rig:
        socket = await rig.open()
        for number in range(5):
            socket.say(*[str(number)] * number)
        socket.transport.lose()
        await idle()
        orders = []
        while rig.depth(RECEIVE):
            job = await rig.job(RECEIVE)
            orders += [content["order"] for content in job.contents]
            job.end()
            await idle()
        last = await rig.job(DISCONNECT)
        assert [*orders, last.content["order"]] == list(range(1, 12))
        last.end()


@pytest.mark.parametrize("outcome", [RAISED, LOST, UNROUTED])
async def test_an_event_that_failed_does_not_stop_the_lane(outcome: int) -> None:
    """The socket stays open and its next event leaves."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a", "b")
        (await rig.job(RECEIVE)).end(outcome=outcome)
        assert (await echo(rig)).content["text"] == "b"
        assert socket.texts() == ["b"]


async def test_an_event_whose_worker_died_is_given_up() -> None:
    """The lane goes on after two looks at the layer, and the loss is counted."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a", "b")
        (await rig.job(RECEIVE)).die()
        await elapse(4)
        assert (await echo(rig)).content["text"] == "b"
        assert rig.layer.losses.counts["event lost"] == 1
        assert socket.texts() == ["b"]


async def test_a_disconnect_sent_before_it_was_known_that_nobody_reads_any_is_given_up() -> None:
    """Nothing of the socket is kept for it, and nothing is counted as lost."""
    async with serving() as rig:
        socket = await rig.open()
        socket.transport.lose()
        await idle()
        assert rig.depth(DISCONNECT) == 1
        rig.read(CONNECT, RECEIVE)
        await elapse(20)
        assert (rig.depth(DISCONNECT), rig.server.connections) == (0, {})
        assert not rig.server.losses.counts


async def test_an_event_waits_for_a_worker_as_long_as_it_takes() -> None:
    """With all workers down the socket stays open and nothing is lost."""
    async with serving() as rig:
        socket = await rig.open()
        rig.reads = ()
        socket.say("a")
        for _ in range(30):
            await elapse(10)
            socket.send(PONG)
        assert (await echo(rig)).content["text"] == "a"
        assert socket.frames()[-1] == (TEXT, b"a")


async def test_a_doubled_settlement_is_ignored() -> None:
    """A late answer does not end the next event, and its session counts by its version."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a", "b")
        first = await rig.job(RECEIVE)
        first.end_with({"text": "a"}, session=b"2:two")
        await idle()
        first.end_with({"text": "again"}, session=b"1:late")
        socket.say("c")
        await idle()
        second = await rig.job(RECEIVE)
        assert (second.content["text"], second.envelope.session) == ("b", b"2:two")
        assert await rig.is_quiet()
        first.end_with({"text": "again"}, session=b"3:late")
        second.end()
        assert (await rig.job(RECEIVE)).envelope.session == b"3:late"


async def test_a_session_that_was_kept_from_elsewhere_goes_with_the_next_event() -> None:
    """A consumer without a lane has written it; other notes of the connection leave its session alone."""
    async with serving() as rig:
        socket = await rig.open(session=b"1:one")
        rig.layer.keep_note(socket.channel, SESSION, b"2:two")
        rig.layer.keep_note(socket.channel, HANDSHAKE, b"3:path")
        await idle()
        socket.say("a")
        assert (await rig.job(RECEIVE)).envelope.session == b"2:two"


async def test_a_session_kept_during_the_handshake_goes_with_the_next_event() -> None:
    """A connection that is not decided has its lane already."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        rig.layer.keep_note(job.envelope.owner, SESSION, b"1:one")
        job.end()
        await idle()
        Socket(transport, job.reply_channel).say("a")
        assert (await rig.job(RECEIVE)).envelope.session == b"1:one"


async def test_headers_that_come_too_late_are_counted() -> None:
    """The response they are for was sent; those of a doubled accept are its own affair."""
    async with serving() as rig:
        socket = await rig.open()
        rig.layer.send(socket.channel, {"headers": [(b"Set-Cookie", b"a=b")]})
        rig.layer.send(socket.channel, {"accept": True, "headers": [(b"Set-Cookie", b"a=b")]})
        await idle()
        assert socket.frames() == []
        assert rig.server.losses.counts == {"headers too late": 1}


async def test_a_message_that_comes_to_nothing_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The line names its sender and keys; the socket stays open, the event that it settles is settled."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a", "b")
        (await rig.job(RECEIVE)).end_with({"path": "/"})
        await idle()
        rig.layer.write([rig.layer.message(socket.channel, {}, route="chat.say")])
        rig.layer.send(socket.channel, {"close": False})
        rig.layer.send(socket.channel, {"accept": True})
        await idle()
        assert socket.frames() == []
        assert rig.server.losses.counts == {"bad message": 2}
        assert "sent by a process outside consumers: a message to a WebSocket with nothing but 'path'" in caplog.text
        (await rig.job(RECEIVE)).end_with({"text": "b"})
        await idle()
        assert [frame.payload for frame in socket.frames()] == [b"b"]


async def test_a_message_that_comes_to_nothing_does_not_wait_for_the_handshake() -> None:
    """It is counted when it comes, and the socket is let in."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        rig.layer.send(job.reply_channel, {})
        rig.layer.send(job.reply_channel, {"text": "welcome"})
        await idle()
        assert rig.server.losses.counts == {"bad message": 1}
        job.end()
        await idle()
        assert transport.take().endswith(b"\r\n\r\n\x81\x07welcome")


async def test_a_connect_consumer_that_just_returns_is_no_empty_message() -> None:
    """What the server accepts with is nobody's message."""
    async with serving() as rig:
        await rig.open()
        assert not rig.server.losses.counts


async def test_an_event_that_is_wanted_later_comes_again_after_a_growing_delay() -> None:
    """It is sent with its next attempt; neither new frames nor the end of the socket hasten it or pass it."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a", "b", "c")
        (await rig.job(RECEIVE)).end()
        job = await rig.job(RECEIVE)
        job.end(outcome=AGAIN, handled=1)
        seen = []
        for attempt in range(1, 5):
            socket.say(f"later {attempt}")
            began = rig.server.loop.time()
            assert await rig.is_quiet()
            while not rig.depth(RECEIVE):
                await elapse(0.01)
            job = await rig.job(RECEIVE)
            seen.append((job.envelope.attempt, [c["text"] for c in job.contents]))
            delay = rig.server.loop.time() - began
            assert 0.9 * 0.05 * 2 ** (attempt - 1) < delay < 0.2 * 2**attempt
            job.end(outcome=AGAIN if attempt < 4 else 0)
        assert seen == [(attempt, ["c"]) for attempt in range(1, 5)]
        rest = await rig.job(RECEIVE)
        assert [c["text"] for c in rest.contents] == [f"later {attempt}" for attempt in range(1, 5)]
        assert rest.envelope.attempt == 0
        rest.end()


async def test_a_disconnect_waits_for_what_is_wanted_later() -> None:
    """A socket that ends meanwhile is remembered until both are done."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a")
        (await rig.job(RECEIVE)).end(outcome=AGAIN)
        await idle()
        socket.transport.lose()
        assert await rig.is_quiet()
        while not rig.depth(RECEIVE):
            await elapse(0.01)
        (await rig.job(RECEIVE)).end()
        (await rig.job(DISCONNECT)).end()
        await idle()
        assert not rig.server.connections


async def test_what_is_wanted_later_is_no_more_wanted_after_the_server_has_stopped() -> None:
    """The attempt that is due then finds an outbox nobody empties, and does no harm."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a")
        (await rig.job(RECEIVE)).end(outcome=AGAIN)
        socket.transport.lose()


async def test_a_second_attempt_is_not_sent_twice() -> None:
    """The entry that is under way when a doubled answer asks again stays alone."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a")
        job = await rig.job(RECEIVE)
        job.end(outcome=AGAIN)
        await idle()
        job.end(outcome=AGAIN)
        await elapse(5)
        assert rig.depth(RECEIVE) == 1
        (await rig.job(RECEIVE)).end()


# -- groups ------------------------------------------------------------------------------------------------------------


async def test_a_group_message_reaches_every_member() -> None:
    """With and without data of its own kind; an excluded member gets none."""
    async with serving() as rig:
        one, two, other = await rig.open("all"), await rig.open("all"), await rig.open()
        rig.layer.send_group("all", {"text": "hi"})
        rig.layer.send_group("all", {"bytes": b"\0"}, without=[two.channel])
        await idle()
        assert (one.frames(), two.frames(), other.frames()) == ([(TEXT, b"hi"), (BINARY, b"\0")], [(TEXT, b"hi")], [])


async def test_a_group_close_closes_every_member() -> None:
    """The log says that a group message did it."""
    async with serving() as rig:
        socket = await rig.open("all")
        rig.layer.send_group("all", {"text": "bye", "close": 4000, "reason": "over"})
        await idle()
        assert socket.frames() == [(TEXT, b"bye"), (CLOSE, close(4000, "over"))]
        socket.send(CLOSE, close(4000))
        job = await rig.job(DISCONNECT)
        assert job.content["code"] == 4000
        assert " 4000 by group message after " in rig.lines[-1]
        job.end()


async def crowd(rig: Rig) -> list[Socket]:
    """Return the members of ``all``: so many that a message to them is written in slices."""
    return [await rig.open("all") for _ in range(STRIDE + 1)]


async def test_group_messages_that_came_together_leave_in_one_write() -> None:
    """Each member gets all of them in order, and the log counts each."""
    async with serving() as rig:
        sockets = await crowd(rig)
        before = [socket.transport.writes for socket in sockets]
        for number in range(MAX_FANOUTS):
            rig.layer.send_group("all", {"text": str(number)})
        await idle()
        assert [socket.texts() for socket in sockets] == [[str(number) for number in range(MAX_FANOUTS)]] * len(sockets)
        assert [socket.transport.writes for socket in sockets] == [number + 1 for number in before]
        sockets[0].send(CLOSE, close(1000))
        assert rig.lines[-1].endswith(f", in 0 out {MAX_FANOUTS}")


async def test_a_group_message_that_closes_acts_behind_those_before_it() -> None:
    """What was sent after it reaches nobody."""
    async with serving() as rig:
        sockets = await crowd(rig)
        for content in ({"text": "one"}, {"text": "two", "close": 4000}, {"text": "three"}):
            rig.layer.send_group("all", content)
        await idle()
        expected = [(TEXT, b"one"), (TEXT, b"two"), (CLOSE, close(4000))]
        assert [socket.frames() for socket in sockets] == [expected] * len(sockets)


async def test_group_messages_that_came_together_wait_one_by_one_for_a_client_that_is_behind() -> None:
    """So that those of its group's policy can be dropped; the other members have all of them."""
    async with serving(write_policies=(("all", "coalesce"),)) as rig:
        slow, *others = await crowd(rig)
        slow.transport.stalled = True
        rig.layer.send(slow.channel, {"bytes": bytes(70_000)})
        for number in range(3):
            rig.layer.send_group("all", {"text": str(number)})
        await idle()
        slow.transport.drain()
        assert slow.frames() == [(BINARY, bytes(70_000)), (TEXT, b"2")]
        assert [socket.texts() for socket in others] == [["0", "1", "2"]] * len(others)


# -- flow control ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "size"), [({"max_lane_messages": 3}, 1), ({"max_lane_size": 1000}, 200)], ids=["messages", "bytes"]
)
async def test_a_full_lane_is_not_read_and_loses_nothing(options: dict[str, Any], size: int) -> None:
    """Reading pauses while the worker is behind and resumes when it has caught up."""
    async with serving(**options) as rig:
        socket = await rig.open()
        said: list[str] = []
        heard: list[str] = []
        while len(said) < 50:
            while socket.transport.reading:
                said.append(str(len(said)) * size)
                socket.say(said[-1])
            job = await rig.job(RECEIVE)
            heard += [content["text"] for content in job.contents]
            assert rig.server.lanes_size < 2000
            job.end()
            await idle()
        while rig.depth(RECEIVE):
            job = await rig.job(RECEIVE)
            heard += [content["text"] for content in job.contents]
            job.end()
            await idle()
        assert heard == said
        assert (socket.transport.reading, rig.server.lanes_size) == (True, 0)


async def test_one_segment_of_many_frames_is_kept_whole() -> None:
    """What was read is handled, though it is more than a lane should hold."""
    async with serving(max_lane_messages=3) as rig:
        socket = await rig.open()
        socket.transport.feed(b"".join(text(str(number)) for number in range(100)))
        assert not socket.transport.reading
        heard: list[str] = []
        while rig.depth(RECEIVE) or not heard:
            job = await rig.job(RECEIVE)
            heard += [content["text"] for content in job.contents]
            job.end()
            await idle()
        assert heard == [str(number) for number in range(100)]
        assert socket.transport.reading


async def test_a_socket_that_ends_while_it_is_not_read_is_forgotten() -> None:
    """Its events are handled, then its disconnect, and nothing waits for room any more."""
    async with serving(max_lane_messages=1) as rig:
        socket = await rig.open()
        socket.say("a", "b")
        assert not socket.transport.reading
        socket.transport.lose()
        assert rig.server.paused == {}
        for channel in (RECEIVE, RECEIVE, DISCONNECT):
            (await rig.job(channel)).end()
        await idle()
        assert rig.server.connections == {}


async def test_a_close_is_heard_though_the_lane_is_full() -> None:
    """When we close, the peer's answer has to be read; messages before it are not wanted any more."""
    async with serving(max_lane_messages=1) as rig:
        socket = await rig.open()
        socket.say("a", "b")
        rig.layer.send(socket.channel, {"close": True})
        await idle()
        assert socket.transport.reading
        socket.say("c")
        socket.send(CLOSE, close(1000))
        heard = []
        for channel in (RECEIVE, RECEIVE, DISCONNECT):
            job = await rig.job(channel)
            heard.append(job.content.get("text"))
            job.end()
        assert heard == ["a", "b", None]


# -- a client that sends too much --------------------------------------------------------------------------------------


async def test_a_client_above_its_rate_is_not_read_for_a_while() -> None:
    """Nothing is dropped and nothing closed: its TCP waits, and it is read again when its time has come."""
    async with serving(max_messages_per_second=10, max_lane_messages=1000) as rig:
        socket = await rig.open()
        began, said = rig.server.loop.time(), 0
        while said < 50:
            while socket.transport.reading:
                socket.say(str(said))
                said += 1
            await elapse(0.05)
        assert 3.8 <= rig.server.loop.time() - began <= 4.5
        assert rig.server.losses.counts["throttled"] >= 10
        heard: list[str] = []
        while rig.depth(RECEIVE):
            job = await rig.job(RECEIVE)
            heard += [content["text"] for content in job.contents]
            job.end()
            await idle()
        assert heard == [str(number) for number in range(said)]


async def test_control_frames_count_as_messages_do() -> None:
    """A flood of pings is slowed down, and pongs come for those that were read."""
    async with serving(max_messages_per_second=10) as rig:
        socket = await rig.open()
        socket.transport.feed(frame(PING) * 20)
        assert not socket.transport.reading
        assert len(socket.frames()) == 20
        await elapse(0.9)
        assert not socket.transport.reading
        await elapse(0.2)
        assert socket.transport.reading


async def test_a_close_is_heard_by_a_client_above_its_rate() -> None:
    """When we close, its answer has to be read, and the end of its wait changes nothing any more."""
    async with serving(max_messages_per_second=1) as rig:
        socket = await rig.open()
        socket.transport.feed(text("a") * 3)
        assert not socket.transport.reading
        rig.layer.send(socket.channel, {"close": True})
        await idle()
        assert socket.transport.reading
        socket.send(CLOSE, close(1000))
        await elapse(5)
        for channel in (RECEIVE, RECEIVE, DISCONNECT):
            (await rig.job(channel)).end()


# -- a client with nothing to say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"idle_timeout": 60}, {"idle_timeouts": (("^/chat", 60),), "ping_interval": 0}], ids=["all", "by path"]
)
async def test_an_idle_socket_is_closed(options: dict[str, Any]) -> None:
    """Pings and pongs keep it alive as a connection, not as a conversation; the log says which limit it was."""
    async with serving(**options) as rig:
        socket = await rig.open()
        for _ in range(11):
            await elapse(5)
            socket.send(PONG)
        assert not any(opcode == CLOSE for opcode, _ in socket.frames())
        await elapse(6)
        assert socket.frames()[-1] == (CLOSE, close(1001, "idle"))
        socket.send(CLOSE, close(1001))
        assert " 1001 by server (no message for 60 s: idle limit) after " in rig.lines[-1]
        (await rig.job(DISCONNECT)).end()


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_a_message_either_way_keeps_a_socket(direction: str) -> None:
    """It is closed when none has come for the limit, at most a quarter of it later."""
    async with serving(idle_timeout=60) as rig:
        socket = await rig.open("all")
        for _ in range(10):
            await elapse(50)
            if direction == "in":
                socket.say("still here")
                (await rig.job(RECEIVE)).end()
            else:
                rig.layer.send_group("all", {"text": "still there"})
            socket.send(PONG)
        socket.frames()
        for _ in range(15):
            await elapse(5)
            socket.send(PONG)
        assert socket.frames()[-1] == (CLOSE, close(1001, "idle"))


async def test_other_paths_have_their_own_limit() -> None:
    """0 is none."""
    async with serving(idle_timeout=10, idle_timeouts=(("^/chat", 0),), ping_interval=0) as rig:
        socket = await rig.open()
        await elapse(3600)
        assert socket.frames() == []


# -- a peer that is not to be trusted with the end ---------------------------------------------------------------------


async def test_who_breaks_the_protocol_and_goes_on_sending_is_heard_out_for_a_moment() -> None:
    """What comes is forgotten, and the close frame arrives; not longer than close_timeout."""
    async with serving(close_timeout=2) as rig:
        socket = await rig.open()
        socket.transport.feed(b"\x81\x01a" + bytes(20_000))
        assert socket.frames() == [(CLOSE, close(1002, "frames of a client must be masked"))]
        (await rig.job(DISCONNECT)).end()
        began = rig.server.loop.time()
        while not socket.transport.is_closing():
            socket.say("and on and on")
            await elapse(0.05)
        assert 1.9 <= rig.server.loop.time() - began <= 2.6
        assert await rig.is_quiet()


async def test_who_breaks_the_protocol_in_the_middle_of_much_has_a_moment() -> None:
    """Once nothing more comes the connection is closed; one that sent little is closed at once."""
    async with serving() as rig:
        for size, closes in ((20_000, False), (10, True)):
            socket = await rig.open()
            socket.transport.feed(b"\x81\x01a" + bytes(size))
            assert socket.transport.is_closing() == closes
            await elapse(0.5)
            assert socket.transport.lost
            (await rig.job(DISCONNECT)).end()


async def test_who_breaks_the_protocol_and_leaves_gets_no_close_frame() -> None:
    """The events before the fault are handled, then the disconnect comes with the code of the fault."""
    async with serving() as rig:
        socket = await rig.open()
        socket.transport.feed(text("before") + b"\x81\x01a")
        socket.transport.fail()
        (await rig.job(RECEIVE)).end()
        job = await rig.job(DISCONNECT)
        assert (job.content["code"], socket.frames()) == (1002, [])
        job.end()
        socket.transport.lose()


async def test_a_close_frame_that_does_not_leave_at_once_waits_in_the_transport() -> None:
    """Nothing more is queued behind it, and reading on changes nothing."""
    async with serving(max_write_size=10, close_timeout=5) as rig:
        socket = await rig.open()
        socket.transport.stalled = True
        rig.layer.send(socket.channel, {"close": 4000, "reason": "a reason of some length"})
        rig.layer.send(socket.channel, {"text": "too late"})
        await idle()
        socket.transport.drain()
        assert socket.frames() == [(CLOSE, close(4000, "a reason of some length"))]
        socket.send(CLOSE, close(4000))
        (await rig.job(DISCONNECT)).end()


async def test_who_closes_and_leaves_the_answer_unread_is_cut() -> None:
    """A closed connection holds its unsent bytes for close_timeout and no longer."""
    async with serving(close_timeout=2) as rig:
        socket = await rig.open()
        socket.transport.close = lambda: None  # type: ignore[method-assign]  # as with bytes that do not leave
        socket.send(CLOSE, close(1000))
        (await rig.job(DISCONNECT)).end()
        socket.transport.fail()
        await elapse(3)
        assert socket.transport.aborted
        socket.transport.lose()


# -- compression -------------------------------------------------------------------------------------------------------

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


async def test_compression_is_used_where_it_is_offered() -> None:
    """What comes compressed is heard, what is long enough is sent compressed, and a broadcast to each in its way."""
    async with serving() as rig:
        transport = rig.handshake("/chat", OFFER)
        job = await rig.job(CONNECT)
        job.join("all")
        job.end()
        await idle()
        answer = transport.take()
        assert b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover;" in answer
        plain = await rig.open("all")
        transport.feed(frame(0x40 | TEXT, bytes.fromhex("f248cdc9c90700")))
        job = await rig.job(RECEIVE)
        assert job.content["text"] == "Hello"
        job.end({"text": "short"}, {"text": "long " * 100})
        rig.layer.send_group("all", {"text": "for all " * 100})
        await idle()
        assert plain.texts() == ["for all " * 100]
        expected = [b"short", b"long " * 100, b"for all " * 100]
        sent = transport.take()
        assert inflated(sent) == expected
        assert len(sent) < sum(map(len, expected)) / 5


def inflated(data: bytes) -> list[bytes]:
    """Return the payloads of frames of the server, as another implementation reads them."""
    reader = StreamReader()
    reader.feed_data(data)
    found = []
    while reader.buffer:
        parsing = PeerFrame.parse(reader.read_exact, mask=False, extensions=[PerMessageDeflate(True, True, 12, 12)])
        with pytest.raises(StopIteration) as done:
            next(parsing)
        found.append(bytes(done.value.value.data))
    return found


@pytest.mark.parametrize("options", [{"compression_level": 0}, {}], ids=["switched off", "not offered"])
async def test_without_agreement_a_compressed_message_is_an_error(options: dict[str, Any]) -> None:
    """The handshake says nothing of it, and reserved bits close the socket."""
    async with serving(**options) as rig:
        transport = rig.handshake("/chat", *([OFFER] if options else []))
        (await rig.job(CONNECT)).end()
        await idle()
        assert b"Sec-WebSocket-Extensions" not in transport.take()
        transport.feed(frame(0x40 | TEXT, b"\x00"))
        await idle()
        assert read_frames(transport.take())[0].payload[:2] == close(1002)
        (await rig.job(DISCONNECT)).end()


# -- control frames ----------------------------------------------------------------------------------------------------


async def test_a_ping_is_answered_at_once() -> None:
    """With the same bytes, and without the application."""
    async with serving() as rig:
        socket = await rig.open()
        socket.send(PING, b"payload")
        assert socket.frames() == [(PONG, b"payload")]
        assert await rig.is_quiet()


async def test_a_silent_peer_is_pinged_and_one_that_answers_stays() -> None:
    """One ping per interval of silence; any byte is a sign of life."""
    async with serving(ping_interval=20, ping_timeout=30) as rig:
        socket = await rig.open()
        await elapse(39)
        assert socket.frames() == []
        for _ in range(3):
            await elapse(22)
            pings = socket.frames()
            assert pings == [(PING, b"")] * len(pings)
            socket.send(PONG)
            await elapse(10)
        assert not socket.transport.is_closing()


async def test_without_pongs_the_socket_is_gone() -> None:
    """After the ping timeout the connection is aborted, and the code says that no close frame came."""
    async with serving(ping_interval=20, ping_timeout=30) as rig:
        socket = await rig.open()
        await elapse(100)
        assert socket.transport.aborted
        assert socket.frames() == [(PING, b"")]
        job = await rig.job(DISCONNECT)
        assert job.content["code"] == 1006
        assert " 1006 by server (no pong for 30 s) after " in rig.lines[-1]
        job.end()


async def test_pings_can_be_switched_off() -> None:
    """Then silence is no reason for anything."""
    async with serving(ping_interval=0) as rig:
        socket = await rig.open()
        await elapse(10000)
        assert (socket.frames(), socket.transport.is_closing()) == ([], False)


async def test_no_pong_is_expected_while_nothing_is_read() -> None:
    """A worker that is down for an hour costs no socket."""
    async with serving(max_lane_messages=1) as rig:
        socket = await rig.open()
        socket.say("a", "b")
        await elapse(3600)
        assert not socket.transport.is_closing()
        (await rig.job(RECEIVE)).end()
        (await rig.job(RECEIVE)).end()


# -- ends --------------------------------------------------------------------------------------------------------------


async def client_closes(rig: Rig, socket: Socket) -> None:
    """Close as a browser does that leaves the page."""
    socket.send(CLOSE, close(1001, "bye"))


async def client_closes_without_code(rig: Rig, socket: Socket) -> None:
    """Close with an empty frame."""
    socket.send(CLOSE)


async def consumer_closes(rig: Rig, socket: Socket) -> None:
    """Close from the application; the client answers."""
    rig.layer.send(socket.channel, {"close": True})
    await idle()
    socket.send(CLOSE, close(1000))


async def consumer_closes_and_nobody_answers(rig: Rig, socket: Socket) -> None:
    """Close from the application; the client is silent."""
    rig.layer.send(socket.channel, {"close": 4001})
    await elapse(6)


async def connection_ends(rig: Rig, socket: Socket) -> None:
    """Lose the connection without a close frame."""
    socket.transport.lose()


async def connection_is_reset(rig: Rig, socket: Socket) -> None:
    """Lose the connection with an error."""
    socket.transport.lose(ConnectionResetError("reset by peer"))


async def client_is_silent(rig: Rig, socket: Socket) -> None:
    """Let the pings go unanswered."""
    await elapse(100)


async def client_is_slow(rig: Rig, socket: Socket) -> None:
    """Leave everything unread."""
    socket.transport.stalled = True
    rig.layer.send(socket.channel, {"bytes": bytes(70_000)})
    rig.layer.send(socket.channel, {"text": "one more"})
    await elapse(6)


async def client_was_slow(rig: Rig, socket: Socket) -> None:
    """Read on once the close frame is there, and answer it."""
    socket.transport.stalled = True
    rig.layer.send(socket.channel, {"bytes": bytes(70_000)})
    rig.layer.send(socket.channel, {"text": "one more"})
    await idle()
    socket.send(CLOSE, close(1013))


async def message_is_too_long(rig: Rig, socket: Socket) -> None:
    """Send more than a message may have."""
    socket.send(TEXT, bytes(2000))


async def protocol_is_broken(rig: Rig, socket: Socket) -> None:
    """Send a frame without a mask."""
    socket.transport.feed(b"\x81\x01a")


async def text_is_none(rig: Rig, socket: Socket) -> None:
    """Send text that is not UTF-8."""
    socket.send(TEXT, b"\xff")


async def member_is_closed(rig: Rig, socket: Socket) -> None:
    """Close the socket by a message to its group; the client answers."""
    rig.layer.send_group("all", {"close": 4000, "reason": "over"})
    await idle()
    socket.send(CLOSE, close(4000, "over"))


async def reserved_bits_are_set(rig: Rig, socket: Socket) -> None:
    """Send reserved bits on a connection without compression, as a compressed message would have."""
    socket.send(0x40 | TEXT, b"\x00")


async def socket_is_idle(rig: Rig, socket: Socket) -> None:
    """Answer pings and say nothing."""
    while (CLOSE, close(1001, "idle")) not in socket.frames():
        await elapse(2)
        socket.send(PONG)
    socket.send(CLOSE, close(1001))


async def server_stops(rig: Rig, socket: Socket) -> None:
    """Close every connection as a server does that stops; the client answers."""
    rig.server.connections[socket.channel].close(1012, "server restarts", "server (stops)")
    socket.send(CLOSE, close(1012))


ENDS: dict[Callable[[Rig, Socket], Awaitable[None]], tuple[int, str, list[Frame], str]] = {
    client_closes: (1001, "bye", [Frame(CLOSE, close(1001))], "client"),
    client_closes_without_code: (1005, "", [Frame(CLOSE, b"")], "client"),
    consumer_closes: (1000, "", [Frame(CLOSE, close(1000))], "consumer"),
    consumer_closes_and_nobody_answers: (1006, "", [Frame(CLOSE, close(4001))], "consumer"),
    connection_ends: (1006, "", [], "network (no close frame)"),
    connection_is_reset: (1006, "", [], "network (reset by peer)"),
    client_is_silent: (1006, "", [Frame(PING, b"")], "server (no pong for 30 s)"),
    client_is_slow: (
        1006,
        "",
        [Frame(BINARY, bytes(70_000)), Frame(CLOSE, close(1013, "too slow"))],
        "server (client left 65536 bytes unread: max_write_size)",
    ),
    client_was_slow: (
        1013,
        "",
        [Frame(BINARY, bytes(70_000)), Frame(CLOSE, close(1013, "too slow"))],
        "server (client left 65536 bytes unread: max_write_size)",
    ),
    message_is_too_long: (
        1009,
        "frame of 2000 bytes is over max_frame_size, 1000",
        [Frame(CLOSE, close(1009, "frame of 2000 bytes is over max_frame_size, 1000"))],
        "server (frame of 2000 bytes is over max_frame_size, 1000)",
    ),
    protocol_is_broken: (
        1002,
        "frames of a client must be masked",
        [Frame(CLOSE, close(1002, "frames of a client must be masked"))],
        "server (frames of a client must be masked)",
    ),
    text_is_none: (
        1007,
        "text is not valid UTF-8",
        [Frame(CLOSE, close(1007, "text is not valid UTF-8"))],
        "server (text is not valid UTF-8)",
    ),
    member_is_closed: (4000, "over", [Frame(CLOSE, close(4000, "over"))], "group message"),
    reserved_bits_are_set: (
        1002,
        "reserved bits are set that no negotiated extension uses",
        [Frame(CLOSE, close(1002, "reserved bits are set that no negotiated extension uses"))],
        "server (reserved bits are set that no negotiated extension uses)",
    ),
    socket_is_idle: (1001, "", [], "server (no message for 600 s: idle limit)"),
    server_stops: (1012, "", [Frame(CLOSE, close(1012, "server restarts"))], "server (stops)"),
}
OPTIONS: dict[str, Any] = {"max_frame_size": 1000, "max_write_size": 65536, "close_timeout": 5, "idle_timeout": 600}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_every_end_is_one_disconnect_with_its_code(end: Callable[[Rig, Socket], Awaitable[None]]) -> None:
    """One event, one line in the log, no membership that outlives the socket, and nothing left behind it."""
    code, reason, frames, by = ENDS[end]
    async with serving(**OPTIONS) as rig:
        socket = await rig.open("all")
        socket.say("a")
        (await rig.job(RECEIVE)).end({"text": "a"})
        await idle()
        assert socket.texts() == ["a"]
        await end(rig, socket)
        await idle()
        assert socket.frames() == frames
        assert rig.layer.group_channels("all") == []
        job = await rig.job(DISCONNECT)
        expected = {"reply_channel": socket.channel, "path": "/chat", "order": 2, "code": code, "reason": reason}
        assert job.content == expected
        job.end({"text": "too late"})
        assert await rig.is_quiet()
        await elapse(1)
        assert (socket.transport.lost, rig.server.connections, rig.server.lanes_size) == (True, {}, 0)
        closed = [line for line in rig.lines if line.startswith("WS CLOSE")]
        assert len(closed) == 1
        assert closed[0].startswith(f"WS CLOSE /chat {code} by {by} after ")
        assert ", in 1 out " in closed[0]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_no_end_is_a_disconnect_where_nobody_reads_it(end: Callable[[Rig, Socket], Awaitable[None]]) -> None:
    """A project without a disconnect consumer costs no message, and the memberships are gone all the same."""
    async with serving(reads=(CONNECT, RECEIVE), **OPTIONS) as rig:
        socket = await rig.open("all")
        await end(rig, socket)
        assert await rig.is_quiet()
        assert (rig.layer.group_channels("all"), rig.server.connections) == ([], {})


async def test_memberships_are_gone_before_the_application_hears_of_the_end() -> None:
    """Though events are still under way, a group message reaches nobody and a late join makes no member."""
    async with serving() as rig:
        socket = await rig.open("all")
        socket.say("a")
        job = await rig.job(RECEIVE)
        socket.transport.lose()
        assert rig.layer.group_channels("all") == []
        job.join("all")
        await idle()
        assert rig.layer.group_channels("all") == []
        job.end({"text": "too late"})
        (await rig.job(DISCONNECT)).end()
        assert socket.frames() == []


async def test_a_protocol_error_is_answered_behind_what_came_before_it() -> None:
    """Earlier frames are handled and answered first; nothing behind the error is read."""
    async with serving() as rig:
        socket = await rig.open()
        socket.transport.feed(text("a") + text("b") + b"\x81\x01x" + text("c"))
        assert not socket.transport.reading
        await echo(rig)
        assert socket.frames() == [(TEXT, b"a")]
        await echo(rig)
        expected = [(TEXT, b"b"), (CLOSE, close(1002, "frames of a client must be masked"))]
        assert socket.frames() == expected
        assert (await rig.job(DISCONNECT)).content["code"] == 1002


async def test_a_protocol_error_does_not_wait_for_ever_for_a_worker() -> None:
    """After the closing timeout the close frame goes; the events before the error are still handled."""
    async with serving(close_timeout=5) as rig:
        socket = await rig.open()
        socket.transport.feed(text("a") + b"\x81\x01x")
        await elapse(6)
        assert socket.frames() == [(CLOSE, close(1002, "frames of a client must be masked"))]
        (await rig.job(RECEIVE)).end({"text": "a"})
        assert (await rig.job(DISCONNECT)).content["code"] == 1002


async def test_a_consumer_cannot_close_what_a_protocol_error_closes() -> None:
    """The code of the error stands; data is still sent."""
    async with serving() as rig:
        socket = await rig.open()
        socket.transport.feed(text("a") + b"\x81\x01x")
        (await rig.job(RECEIVE)).end({"text": "bye", "close": 4000})
        await idle()
        assert socket.frames() == [(TEXT, b"bye"), (CLOSE, close(1002, "frames of a client must be masked"))]


async def test_a_protocol_error_after_our_close_frame_ends_it_at_once() -> None:
    """There is nothing more to say to such a peer."""
    async with serving() as rig:
        socket = await rig.open()
        rig.layer.send(socket.channel, {"close": True})
        await idle()
        socket.transport.feed(b"\x81\x01x")
        assert socket.transport.aborted
        assert (await rig.job(DISCONNECT)).content["code"] == 1006


async def test_nothing_is_heard_or_said_after_our_close_frame() -> None:
    """Messages are dropped both ways, pings are not answered; the first close is the one that counts."""
    async with serving() as rig:
        socket = await rig.open()
        rig.layer.send(socket.channel, {"close": 4001})
        rig.layer.send(socket.channel, {"text": "late", "close": 4002})
        await idle()
        socket.say("late")
        socket.send(PING)
        assert await rig.is_quiet()
        assert socket.frames() == [(CLOSE, close(4001))]


async def test_the_closing_handshake_gets_its_whole_time() -> None:
    """A ping that was due a moment later does not cut it short."""
    async with serving(ping_interval=20, close_timeout=5) as rig:
        socket = await rig.open()
        await elapse(19)
        rig.layer.send(socket.channel, {"close": True})
        await elapse(4.5)
        assert not socket.transport.is_closing()
        socket.send(CLOSE, close(1000))
        assert (await rig.job(DISCONNECT)).content["code"] == 1000


async def test_a_reply_to_a_connection_that_has_failed_is_dropped() -> None:
    """Between the failure and the news of it nothing is written."""
    async with serving() as rig:
        socket = await rig.open()
        socket.transport.fail()
        rig.layer.send(socket.channel, {"text": "hi"})
        await idle()
        socket.transport.lose()
        assert (socket.transport.written, socket.transport.late) == (b"", b"")


async def test_a_full_lane_of_a_failed_connection_is_not_paused() -> None:
    """A transport that is closing is not read anyway."""
    async with serving(max_lane_messages=1) as rig:
        socket = await rig.open()
        socket.transport.fail()
        socket.say("a", "b")
        assert (socket.transport.reading, rig.server.paused) == (True, {})
        socket.transport.lose()


async def test_slow_clients_are_counted_and_others_are_not_touched() -> None:
    """The counter names the cause; a member that reads gets everything."""
    async with serving(max_write_size=65536) as rig:
        slow, quick = await rig.open("all"), await rig.open("all")
        slow.transport.stalled = True
        for _ in range(5):
            rig.layer.send_group("all", {"bytes": bytes(40_000)})
        await idle()
        assert rig.server.losses.counts["slow client"] == 1
        assert [f.opcode for f in slow.frames()] == [BINARY, BINARY, CLOSE]
        assert [f.opcode for f in quick.frames()] == [BINARY] * 5


async def test_a_fragmented_message_is_one_event() -> None:
    """Cut into frames and segments at any place."""
    async with serving() as rig:
        socket = await rig.open()
        data = frame(TEXT, b"a", fin=False) + frame(PING) + frame(0, b"b", fin=True)
        for position in range(len(data)):
            socket.transport.feed(data[position : position + 1])
        assert (await rig.job(RECEIVE)).content["text"] == "ab"
        assert socket.frames() == [(PONG, b"")]


async def test_the_log_counts_what_was_said() -> None:
    """One line at the beginning, one at the end, with seconds and messages both ways."""
    async with serving() as rig:
        socket = await rig.open()
        socket.say("a", "b")
        await echo(rig)
        await echo(rig)
        rig.layer.send(socket.channel, {"text": "c"})
        await elapse(2.5)
        socket.send(CLOSE, close(1000))
        assert rig.lines == [
            "WS OPEN /chat [192.0.2.7:50001]",
            "WS CLOSE /chat 1000 by client after 2.5 s, in 2 out 3",
        ]
