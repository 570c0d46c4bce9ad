"""Bodies of requests that go round the message: no faster than they are read, and nothing of them is left."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layers.envelope import AGAIN, UNDECIDED
from daphne.upload import CHUNK_SIZE, WINDOW
from tests.daphne.serving import REQUEST, USUAL, Job, Rig, serving
from tests.daphne.virtual_time import elapse, idle
from tests.daphne.wire import Transport, post, read_answer

OK: dict[str, Any] = {"status": 200, "content": b"hello"}
BEGUN: dict[str, Any] = {"status": 200, "content": b"begin", "more_content": True}
INLINE = 131072
LONG = 100 * 1024 * 1024


def head(length: int) -> bytes:
    """Return a request up to its body of ``length`` bytes."""
    return post(b"").replace(b"Content-Length: 0", f"Content-Length: {length}".encode())


async def begin(rig: Rig, length: int = LONG) -> tuple[Transport, Job]:
    """Return a client that has sent as much of a long body as the request takes along, and one byte."""
    client = rig.connect()
    client.feed(head(length))
    client.feed(bytes(INLINE + 1))
    return client, await rig.job(REQUEST)


def fill(client: Transport) -> int:
    """Send until the client is not read any more; return how much that was."""
    size = 0
    while client.reading:
        client.feed(bytes(50_000))
        size += 50_000
    return size


async def test_a_consumer_begins_while_the_body_arrives() -> None:
    """What arrives while a chunk is being read is sent on together."""
    async with serving() as rig:
        client, job = await begin(rig, INLINE + 4)
        channel = job.content["body_channel"]
        first = await rig.job(channel)
        assert first.content == {"content": b"\0", "offset": INLINE, "more_content": True}
        for letter in (b"a", b"b"):
            client.feed(letter)
            await idle()
        assert rig.depth(channel) == 0
        first.end()
        second = await rig.job(channel)
        assert second.content == {"content": b"ab", "offset": INLINE + 1, "more_content": True}
        client.feed(b"c")
        second.end()
        last = await rig.job(channel)
        assert last.content == {"content": b"c", "offset": INLINE + 3, "more_content": False}
        last.end()
        job.end(OK)
        await idle()
        assert read_answer(client.take()).body == b"hello"
        assert not client.is_closing(), "all of it was read: another request may follow"


async def test_a_client_is_read_no_faster_than_its_body() -> None:
    """A bounded number of bytes waits in the layer, whoever sends a gigabyte."""
    async with serving() as rig:
        client, job = await begin(rig)
        channel = job.content["body_channel"]
        assert fill(client) <= WINDOW + CHUNK_SIZE
        await idle()
        assert rig.depth(channel) * CHUNK_SIZE <= WINDOW
        sizes = []
        while not client.reading:
            chunk = await rig.job(channel)
            sizes.append(len(chunk.content["content"]))
            chunk.end()
            await idle()
        assert max(sizes) <= CHUNK_SIZE
        assert fill(client) <= sum(sizes) + CHUNK_SIZE
        client.lose()


async def test_a_request_may_take_more_along_than_waits_behind_it() -> None:
    """As much of a body as goes into the request is waited for, whatever the bound of the chunks."""
    inline = 2 * WINDOW
    async with serving(inline_body_size=inline) as rig:
        client = rig.connect()
        client.feed(head(LONG))
        for _ in range(0, inline, CHUNK_SIZE):
            client.feed(bytes(CHUNK_SIZE))
        assert client.reading
        client.feed(b"x")
        job = await rig.job(REQUEST)
        assert len(job.content["body"]) == inline
        assert fill(client) <= WINDOW + CHUNK_SIZE
        client.lose()


async def test_a_slow_consumer_is_not_the_fault_of_its_client() -> None:
    """Who is not read cannot send: no 408, and no 503 while the body is not complete."""
    async with serving(body_timeout=60, http_timeout=120) as rig:
        client, job = await begin(rig)
        for _ in range(3):
            fill(client)
            await elapse(110)
            while not client.reading:
                (await rig.job(job.content["body_channel"])).end()
                await idle()
        assert (client.written, client.is_closing()) == (b"", False)
        client.lose()


async def test_a_consumer_that_never_reads_is_answered_503() -> None:
    """As one that does not answer; the chunks that nobody read are dropped."""
    async with serving(body_timeout=60, http_timeout=120) as rig:
        client, job = await begin(rig)
        fill(client)
        await elapse(119)
        assert client.written == b""
        await elapse(2)
        assert read_answer(client.take()).status == 503
        assert rig.depth(job.content["body_channel"]) == 1


async def test_a_body_that_stops_within_a_request_that_is_read_is_answered_408() -> None:
    """Whoever reads it is told that it ends."""
    async with serving(body_timeout=60) as rig:
        client, job = await begin(rig)
        channel = job.content["body_channel"]
        (await rig.job(channel)).end()
        await elapse(61)
        assert read_answer(client.take()).status == 408
        assert (await rig.job(channel)).content == {"closed": True}


@pytest.mark.parametrize("read", [False, True])
async def test_a_client_that_leaves_within_its_body_is_told_to_its_reader(read: bool) -> None:
    """What waits in front of that is dropped: the body will not be whole."""
    async with serving(USUAL) as rig:
        client, job = await begin(rig)
        channel = job.content["body_channel"]
        if read:
            (await rig.job(channel)).end()
        else:
            fill(client)
            await idle()
        client.lose()
        last = await rig.job(channel)
        assert (last.content, rig.depth(channel)) == ({"closed": True}, 0)
        last.end()
        job.end(OK)
        await idle()
        assert rig.lines == ['"POST /form HTTP/1.1" 499 0']


async def test_a_client_that_leaves_behind_its_body_is_told_to_its_reader() -> None:
    """Though the body had an end: with what was not read, that is dropped."""
    async with serving(USUAL) as rig:
        client, job = await begin(rig, INLINE + 1)
        client.lose()
        await idle()
        assert (await rig.job(job.content["body_channel"])).content == {"closed": True}
        job.end()


async def test_a_consumer_that_runs_again_does_not_wait_where_the_last_was_still_reading() -> None:
    """Its reader had asked ahead, and settles that only when it is closed."""
    async with serving(USUAL) as rig:
        client, job = await begin(rig, INLINE + 1)
        chunk = await rig.job(job.content["body_channel"])
        job.end(outcome=AGAIN)
        await elapse(1)
        again = await rig.job(REQUEST)
        chunk.end()
        assert (await rig.job(job.content["body_channel"])).content["offset"] == INLINE + 1
        again.end_with(OK)
        client.lose()


async def test_a_client_that_leaves_is_told_to_who_answers_later() -> None:
    """The consumer that had the request has ended, and has left its body to somebody else."""
    async with serving(USUAL) as rig:
        client, job = await begin(rig)
        job.end(outcome=UNDECIDED)
        await idle()
        client.lose()
        await idle()
        assert (await rig.job(job.content["body_channel"])).content == {"closed": True}


@pytest.mark.parametrize("size", [INLINE + 1, INLINE + 2])
async def test_an_answer_leaves_nothing_of_the_body(size: int) -> None:
    """Read or not, and complete or not: its consumer has ended."""
    async with serving(USUAL) as rig:
        _client, job = await begin(rig, size)
        job.end_with(OK)
        await idle()
        assert rig.depth(job.content["body_channel"]) == 0


async def test_a_consumer_that_runs_again_does_not_wait_for_what_it_has_read() -> None:
    """The first chunk it finds is not the one behind the beginning."""
    async with serving(USUAL) as rig:
        client, job = await begin(rig, INLINE + 1)
        channel = job.content["body_channel"]
        (await rig.job(channel)).end()
        job.end(outcome=AGAIN)
        await elapse(1)
        again = await rig.job(REQUEST)
        assert (again.content["body_channel"], len(again.content["body"])) == (channel, INLINE)
        chunk = await rig.job(channel)
        assert chunk.content == {"content": b"", "offset": INLINE + 1, "more_content": False}
        chunk.end()
        again.end_with(OK)
        await idle()
        assert rig.depth(channel) == 0
        assert rig.lines == ['"POST /form HTTP/1.1" 200 5']
        client.lose()


async def test_an_answer_before_the_end_of_the_body_ends_the_connection() -> None:
    """The rest of the body is in the way of another request; the client, who may not read yet, has time to."""
    async with serving() as rig:
        client, job = await begin(rig)
        fill(client)
        job.end({"status": 403, "content": b"no"})
        await idle()
        result = read_answer(client.take())
        assert (result.status, result.headers["connection"], result.body) == (403, "close", b"no")
        assert (client.ended, client.reading, client.lost) == (True, True, False)
        client.feed(bytes(100_000))
        await elapse(2.5)
        assert client.lost


async def test_a_response_may_begin_before_the_body_ends() -> None:
    """As of a program that converts what it gets; its client is cut off where it stops sending, not answered twice."""
    async with serving(body_timeout=60) as rig:
        client, job = await begin(rig, INLINE + 2)
        job.send(BEGUN)
        await elapse(100)
        client.feed(b"!")
        channel = job.content["body_channel"]
        (await rig.job(channel)).end()
        assert (await rig.job(channel)).content == {"content": b"!", "offset": INLINE + 1, "more_content": False}
        job.end({"content": b"end"})
        await idle()
        result = read_answer(client.take())
        assert (result.body, result.headers["connection"], client.lost) == (b"beginend", "close", True)


async def test_pipelined_behind_a_long_body() -> None:
    """A request behind it waits for its answer, as behind any other."""
    async with serving() as rig:
        client, job = await begin(rig, INLINE + 1)
        client.feed(post(b"next"))
        (await rig.job(job.content["body_channel"])).end()
        assert await rig.is_quiet()
        job.end(OK)
        following = await rig.job(REQUEST)
        assert following.content["body"] == b"next"
        following.end(OK)
        await idle()
