"""Responses that others add to: long polls and event streams, by groups, for clients fast and slow."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from channel_layers.envelope import AGAIN, RETURNED, UNDECIDED
from daphne.access import REQUEST as FINISHED
from tests.daphne.serving import HTTP_DISCONNECT, REQUEST, USUAL, Job, Rig, serving
from tests.daphne.test_http_connection import end
from tests.daphne.virtual_time import elapse, idle
from tests.daphne.wire import Transport, get, read_answer

HEAD: dict[str, Any] = {"status": 200, "headers": [(b"Content-Type", b"text/event-stream")], "more_content": True}
PLAIN: dict[str, Any] = {"status": 200, "headers": [(b"Content-Type", b"text/plain")], "more_content": True}
ONE, TWO, THREE = b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"
COMMENT = b":\n\n"


def part(content: bytes) -> dict[str, Any]:
    """Return a part of a stream."""
    return {"content": content, "more_content": True}


def chunk(content: bytes) -> bytes:
    """Return the bytes of a part."""
    return b"%x\r\n%b\r\n" % (len(content), content)


async def begin(rig: Rig, head: dict[str, Any] = HEAD, content: bytes = b"") -> tuple[Transport, Job]:
    """Return a client whose response has begun, and the job that began it; it is a member of the group ``all``."""
    client = rig.connect()
    client.feed(get("/events"))
    job = await rig.job(REQUEST)
    job.join("all")
    job.send({**head, "content": content})
    await idle()
    return client, job


async def stream(rig: Rig, head: dict[str, Any] = HEAD) -> Transport:
    """Return a client whose consumer has left a stream to the group ``all``, and nothing unread."""
    client, job = await begin(rig, head)
    job.end()
    await idle()
    client.take()
    return client


# -- groups ------------------------------------------------------------------------------------------------------------


async def test_one_message_to_a_group_answers_all_who_wait() -> None:
    """Each once, and each connection is free for another request."""
    async with serving() as rig:
        clients = [rig.connect() for _ in range(50)]
        for client in clients:
            client.feed(get("/poll"))
            job = await rig.job(REQUEST)
            job.join("waiting")
            job.end(outcome=UNDECIDED)
        rig.layer.send_group("waiting", {"status": 200, "content": b"news"})
        rig.layer.send_group("waiting", {"status": 200, "content": b"more news"})
        await idle()
        assert [read_answer(client.take())[::2] for client in clients] == [(200, b"news")] * 50
        assert rig.layer.group_channels("waiting") == []
        assert not any(client.is_closing() for client in clients)


async def test_a_group_may_answer_before_the_consumer_has_finished() -> None:
    """It has joined, so it is meant."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/poll"))
        job = await rig.job(REQUEST)
        job.join("waiting")
        rig.layer.send_group("waiting", {"status": 200, "content": b"news"})
        await idle()
        assert read_answer(client.take()).body == b"news"
        job.end(outcome=UNDECIDED)


async def test_a_group_adds_to_a_stream() -> None:
    """Part by part, until one says that it is the last."""
    async with serving() as rig:
        client = await stream(rig)
        rig.layer.send_group("all", part(ONE))
        rig.layer.send_group("all", part(TWO))
        await idle()
        assert client.take() == chunk(ONE) + chunk(TWO)
        rig.layer.send_group("all", {"content": THREE})
        await idle()
        assert client.take() == chunk(THREE) + b"0\r\n\r\n"
        assert [access.status for access in rig.log] == [200]
        assert not client.is_closing()


async def test_parts_of_a_group_wait_for_what_the_consumer_sends() -> None:
    """None of them lands before its beginning, or in the middle of what it was still writing."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/events"))
        job = await rig.job(REQUEST)
        job.join("all")
        rig.layer.send_group("all", part(TWO))
        await idle()
        assert client.written == b""
        job.send({**HEAD, "content": ONE[:4]})
        rig.layer.send_group("all", part(THREE))
        await idle()
        assert client.take().endswith(b"\r\n\r\n" + chunk(ONE[:4]))
        job.end(part(ONE[4:]))
        await idle()
        assert client.take() == chunk(ONE[4:]) + chunk(TWO) + chunk(THREE)


async def test_parts_of_a_group_wait_for_a_consumer_that_tries_again() -> None:
    """It has not finished before it returns."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/events"))
        job = await rig.job(REQUEST)
        job.join("all")
        job.end(outcome=AGAIN)
        rig.layer.send_group("all", part(TWO))
        await elapse(1)
        assert client.written == b""
        (await rig.job(REQUEST)).end({**HEAD, "content": ONE})
        await idle()
        assert client.take().endswith(chunk(ONE) + chunk(TWO))


async def test_parts_of_a_group_wait_for_whoever_answers_later() -> None:
    """The consumer has finished, and somebody else begins the stream."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/events"))
        job = await rig.job(REQUEST)
        job.join("all")
        job.end(outcome=UNDECIDED)
        rig.layer.send_group("all", part(TWO))
        await idle()
        assert client.written == b""
        job.send({**HEAD, "content": ONE})
        await idle()
        assert client.take().endswith(chunk(ONE) + chunk(TWO))


async def test_only_so_many_parts_wait(caplog: pytest.LogCaptureFixture) -> None:
    """One that would be too many ends the request, or cuts what has begun: the client is to come again."""
    async with serving(max_pending_messages=3) as rig:
        waiting = rig.connect()
        waiting.feed(get("/events"))
        job = await rig.job(REQUEST)
        job.join("all")
        begun, other = await begin(rig)
        for _ in range(3):
            rig.layer.send_group("all", part(ONE))
        await idle()
        assert waiting.written == b""
        assert not begun.is_closing()
        rig.layer.send_group("all", part(ONE))
        await idle()
        answer = read_answer(waiting.take())
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert begun.aborted
        assert "3 messages to a group waited for GET /events to begin (max_pending_messages)" in caplog.text
        job.end(outcome=UNDECIDED)
        other.end()


async def test_a_member_that_missed_messages_is_told_to_come_again() -> None:
    """A stream ends, and who waits is answered 503; a response that is on its way has nothing to do with it."""
    async with serving() as rig:
        streaming = await stream(rig)
        waiting = rig.connect()
        waiting.feed(get("/poll"))
        job = await rig.job(REQUEST)
        job.join("all")
        job.end(outcome=UNDECIDED)
        ordinary = rig.connect()
        ordinary.feed(get("/page"))
        other = await rig.job(REQUEST)
        await idle()
        for channel in list(rig.server.connections):
            rig.server.connections[channel].close(1012, "", "server (messages of group 'all' were lost)")
        await idle()
        assert (streaming.take(), streaming.lost) == (b"0\r\n\r\n", True)
        assert read_answer(waiting.take()).status == 503
        other.end({"status": 200, "content": b"page"})
        await idle()
        assert read_answer(ordinary.take()).body == b"page"


# -- clients that do not keep up ---------------------------------------------------------------------------------------


async def test_a_client_that_does_not_keep_up_with_its_groups_is_cut_off() -> None:
    """What waits for it is bounded and nobody else waits; it comes back and asks for what it has missed."""
    async with serving(max_write_size=200_000, reads=(*USUAL, HTTP_DISCONNECT)) as rig:
        slow, fast = await stream(rig), await stream(rig)
        slow.stalled = True
        event = b"data: " + b"x" * 10_000 + b"\n\n"
        for _ in range(40):
            rig.layer.send_group("all", part(event))
            await idle()
            assert rig.server.spools_size <= 200_000 + 2 * len(event)
        assert (slow.aborted, fast.aborted) == (True, False)
        assert fast.take() == chunk(event) * 40
        assert rig.server.losses.counts["slow client"] == 1
        assert rig.server.spools_size == 0
        assert (await rig.job(HTTP_DISCONNECT)).content["path"] == "/events"
        assert len(rig.layer.group_channels("all")) == 1


async def test_a_client_that_is_slow_for_a_while_misses_nothing() -> None:
    """What waited comes in order."""
    async with serving() as rig:
        client = await stream(rig)
        client.stalled = True
        events = [b"data: %d %b\n\n" % (number, b"x" * 5000) for number in range(40)]
        for event in events:
            rig.layer.send_group("all", part(event))
        await idle()
        while rig.server.spools_size:
            client.drain()
        assert client.take() == b"".join(map(chunk, events))


async def test_messages_without_room_in_the_spool_are_bounded() -> None:
    """A worker that sends a long response in messages, where pieces would wait for their client."""
    async with serving(max_spool_size=100_000, max_write_size=50_000) as rig:
        client, job = await begin(rig, PLAIN)
        client.stalled = True
        for _ in range(100):
            job.send(part(bytes(10_000)))
            await idle()
        assert client.aborted
        assert len(client.written) < 300_000
        assert rig.server.spools_size == 0
        job.end()


# -- streams -----------------------------------------------------------------------------------------------------------


async def test_a_stream_that_says_nothing_is_kept_alive() -> None:
    """By a comment, which no browser shows; where there are events there are no comments."""
    async with serving(ping_interval=20) as rig:
        client = await stream(rig)
        for _ in range(10):
            await elapse(15)
            rig.layer.send_group("all", part(ONE))
        await idle()
        assert client.take() == chunk(ONE) * 10
        await elapse(41)
        assert client.take() == chunk(COMMENT)
        await elapse(20)
        assert client.take() == chunk(COMMENT)


@pytest.mark.parametrize(
    ("head", "begun"),
    [
        (PLAIN, b""),
        (HEAD, b"data: 1"),
        (HEAD, b"data: 1\n"),
        ({**HEAD, "headers": [*HEAD["headers"], (b"Content-Encoding", b"gzip")]}, b""),
        ({**HEAD, "headers": [*HEAD["headers"], (b"Content-Length", b"1000")]}, b""),
    ],
    ids=str,
)
async def test_only_a_stream_between_two_events_is_kept_alive(head: dict[str, Any], begun: bytes) -> None:
    """Anywhere else a comment would be content."""
    async with serving(ping_interval=20) as rig:
        client, job = await begin(rig, head, begun)
        client.take()
        await elapse(1000)
        assert client.take() == b""
        job.end()


@pytest.mark.parametrize("options", [{"ping_interval": 0}, {"ping_interval": 20}])
async def test_keeping_alive_can_be_turned_off(options: dict[str, Any]) -> None:
    """As pings can."""
    async with serving(**options) as rig:
        client = await stream(rig)
        await elapse(100)
        assert bool(client.take()) is bool(options["ping_interval"])


async def test_a_comment_does_not_overtake_what_waits() -> None:
    """A client that does not read gets no comments, and is cut off like any other."""
    async with serving(ping_interval=20, send_timeout=60) as rig:
        client = await stream(rig)
        client.stalled = True
        for _ in range(15):
            rig.layer.send_group("all", part(b"data: " + b"x" * 5000 + b"\n\n"))
        await elapse(59)
        assert COMMENT + b"\r\n" not in client.written
        await elapse(2)
        assert client.aborted


async def test_a_stream_ends_when_the_server_does() -> None:
    """At once, and so that the browser comes back: nothing is left that would have to finish."""
    async with serving() as rig:
        client = await stream(rig)
        end(client)
        await idle()
        assert (client.take(), client.lost) == (b"0\r\n\r\n", True)
        assert [(access.event, access.status) for access in rig.log] == [(FINISHED, 200)]


async def test_a_response_over_http_1_0_may_be_a_stream() -> None:
    """It ends with its connection."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/events").replace(b"1.1", b"1.0"))
        job = await rig.job(REQUEST)
        job.join("all")
        job.end({**HEAD, "content": ONE})
        rig.layer.send_group("all", part(TWO))
        await idle()
        assert client.take().endswith(b"\r\n\r\n" + ONE + TWO)
        end(client)
        await idle()
        assert (client.take(), client.lost) == (b"", True)


# -- the server ends ---------------------------------------------------------------------------------------------------


async def test_what_nobody_has_answered_when_the_server_ends_is_told_so() -> None:
    """It had the time of the drain; a response that has begun is cut."""
    async with serving() as rig:
        waiting = rig.connect()
        waiting.feed(get("/poll"))
        (await rig.job(REQUEST)).end(outcome=UNDECIDED)
        begun, job = await begin(rig, PLAIN, b"one")
        begun.take()
        for client in (waiting, begun):
            end(client)
            assert not client.is_closing()
        for connection in list(rig.server._live):
            connection.abort()
        answer = read_answer(waiting.take())
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert (begun.aborted, begun.take()) == (True, b"")
        job.end()


# -- what is called how ------------------------------------------------------------------------------------------------


async def test_a_request_has_the_same_name_everywhere() -> None:
    """For the application, the client and the log."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/", "X-Request-ID: abc-1"))
        job = await rig.job(REQUEST)
        assert [b"x-request-id", b"abc-1"] in job.content["headers"]
        job.end({"status": 204})
        await idle()
        assert read_answer(client.take()).headers["x-request-id"] == "abc-1"
        assert rig.log[0].source.request_id == "abc-1"


async def test_an_application_may_call_a_request_something_else() -> None:
    """Its own header goes to the client."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        (await rig.job(REQUEST)).end({"status": 204, "headers": [(b"X-Request-Id", b"mine")]})
        await idle()
        written = client.take()
        assert written.lower().count(b"x-request-id") == 1
        assert read_answer(written).headers["x-request-id"] == "mine"


async def test_errors_have_the_name_of_their_request() -> None:
    """A user who reports one can say which it was."""
    async with serving(http_timeout=5) as rig:
        client = rig.connect()
        client.feed(get())
        (await rig.job(REQUEST)).end(outcome=UNDECIDED)
        await elapse(6)
        answer = read_answer(client.take())
        assert answer.headers["x-request-id"] == rig.log[0].source.request_id != ""


async def test_requests_need_have_no_names() -> None:
    """What one brings along is then the application's affair."""
    async with serving(request_ids=False) as rig:
        client = rig.connect()
        client.feed(get("/", "X-Request-ID: abc"))
        job = await rig.job(REQUEST)
        assert job.content["headers"][1:] == [[b"x-request-id", b"abc"]]
        job.end({"status": 204})
        await idle()
        assert "x-request-id" not in read_answer(client.take()).headers
        assert rig.log[0].source.request_id == ""


async def test_the_log_knows_how_long_it_took() -> None:
    """From the head of the request to the last byte of the response."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        await elapse(3)
        job.end({"status": 204}, outcome=RETURNED)
        await idle()
        assert rig.log[0].seconds == pytest.approx(3, abs=0.1)


async def test_a_path_in_the_log_is_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a client sends."""
    caplog.set_level(logging.INFO, "daphne.http")
    async with serving(http_timeout=5) as rig:
        client = rig.connect()
        client.feed(get("/a%0Ab"))
        (await rig.job(REQUEST)).end(outcome=UNDECIDED)
        await elapse(6)
        assert "GET /a\\nb answered 503" in caplog.text
