"""An HTTP connection: requests in, responses out, in order and within limits."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from channel_layers.envelope import AGAIN, LOST, RAISED, RETURNED, UNDECIDED, UNROUTED
from daphne.http_connection import HttpConnection
from tests.daphne.serving import CONNECT, HTTP_DISCONNECT, REQUEST, USUAL, Job, Rig, serving
from tests.daphne.virtual_time import elapse, idle
from tests.daphne.wire import SERVER, Answer, Transport, get, post, read_answer, upgrade

OK: dict[str, Any] = {"status": 200, "content": b"hello"}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
WITH_DISCONNECT = (*USUAL, HTTP_DISCONNECT)


async def answer(transport: Transport, method: str = "GET") -> Answer:
    """Return the one response that was written since the last call."""
    await idle()
    result = read_answer(transport.take(), method)
    assert result.rest == b""
    return result


async def chunks(rig: Rig, job: Job, number: int = -1) -> list[dict[str, Any]]:
    """Read the body channel of a request, up to ``number`` chunks, and return them."""
    channel = job.content["body_channel"]
    found: list[dict[str, Any]] = []
    await idle()
    while rig.depth(channel) and len(found) != number:
        chunk = await rig.job(channel)
        found.append(chunk.content)
        chunk.end()
        await idle()
    return found


# -- requests ----------------------------------------------------------------------------------------------------------


async def test_a_request_becomes_a_message_and_its_reply_a_response() -> None:
    """With every key of the format; the connection stays for the next one."""
    async with serving(request_ids=False) as rig:
        client = rig.connect()
        client.feed(get("/caf%C3%A9?a=%20", "X-Test: 1"))
        job = await rig.job(REQUEST)
        assert job.content == {
            "reply_channel": job.envelope.owner,
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/café",
            "query_string": b"a=%20",
            "root_path": "",
            "headers": [[b"host", b"testserver"], [b"x-test", b"1"]],
            "body": b"",
            "client": ["192.0.2.7", 50001],
            "server": list(SERVER),
        }
        assert job.reply_channel.startswith("http.response.")
        job.end(OK | {"headers": [(b"Content-Type", b"text/plain")]})
        result = await answer(client)
        assert (result.status, result.body, result.headers["content-type"]) == (200, b"hello", "text/plain")
        assert rig.lines == ['"GET /caf%C3%A9?a=%20 HTTP/1.1" 200 5']
        assert (client.is_closing(), rig.server.connections) == (False, {})


async def test_a_connection_serves_one_request_after_another() -> None:
    """Each request has a reply channel of its own, and replies to an earlier one are discarded."""
    async with serving() as rig:
        client = rig.connect()
        channels = set()
        for number in range(3):
            client.feed(get(f"/{number}"))
            job = await rig.job(REQUEST)
            channels.add(job.reply_channel)
            job.end({"status": 200, "content": str(number).encode()}, {"status": 500})
            assert (await answer(client)).body == str(number).encode()
        assert len(channels) == 3


async def test_pipelined_requests_are_answered_in_order() -> None:
    """The next request is sent to the workers when the one before it is answered."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/0") + get("/1") + post(b"two"))
        for path, body in (("/0", b""), ("/1", b""), ("/form", b"two")):
            job = await rig.job(REQUEST)
            assert (job.content["path"], job.content["body"]) == (path, body)
            assert await rig.is_quiet()
            job.end(OK)
            assert (await answer(client)).body == b"hello"


async def test_too_many_pipelined_requests_are_not_read() -> None:
    """A client far ahead of its answers waits in its own TCP, and nothing it sent is lost."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(b"".join(get(f"/{number}") for number in range(30)))
        assert not client.reading
        for number in range(30):
            job = await rig.job(REQUEST)
            assert job.content["path"] == f"/{number}"
            job.end(OK)
            assert (await answer(client)).status == 200
        assert client.reading


async def test_pipelined_requests_of_a_client_that_has_gone_are_dropped() -> None:
    """Nobody is asked to answer them."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(b"".join(get(f"/{number}") for number in range(30)))
        job = await rig.job(REQUEST)
        client.lose()
        job.end(OK)
        assert await rig.is_quiet()
        assert client.written == b""


async def test_a_client_may_ask_to_close() -> None:
    """The answer is the last, and what follows the request is not read."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/", "Connection: close") + get("/again"))
        (await rig.job(REQUEST)).end(OK)
        assert (await answer(client)).headers["connection"] == "close"
        assert client.lost
        assert await rig.is_quiet()


async def test_a_head_request_has_no_body_in_its_answer() -> None:
    """Its length is told all the same."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/").replace(b"GET", b"HEAD"))
        job = await rig.job(REQUEST)
        assert job.content["method"] == "HEAD"
        job.end(OK)
        result = await answer(client, "HEAD")
        assert (result.headers["content-length"], result.body) == ("5", b"")


@pytest.mark.parametrize("cut", [0, 1, 20, 60, 80])
async def test_a_request_may_come_in_pieces(cut: int) -> None:
    """Wherever TCP cuts it."""
    async with serving() as rig:
        client = rig.connect()
        data = post(b"0123456789")
        client.feed(data[:cut])
        client.feed(data[cut:])
        assert (await rig.job(REQUEST)).content["body"] == b"0123456789"


async def test_a_chunked_body_is_put_together() -> None:
    """Its framing is of no interest to the application."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        client.feed(b"1\r\n!\r\n0\r\n\r\n")
        job = await rig.job(REQUEST)
        assert job.content["body"] == b"hello!"
        assert "body_channel" not in job.content


async def test_a_client_that_expects_it_is_asked_for_its_body() -> None:
    """At once: nothing but the body is missing."""
    async with serving() as rig:
        client = rig.connect()
        head, _, body = post(b"hello", "Expect: 100-continue").partition(b"\r\n\r\n")
        client.feed(head + b"\r\n\r\n")
        assert client.take() == CONTINUE
        client.feed(body)
        (await rig.job(REQUEST)).end(OK)
        assert (await answer(client)).status == 200


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (131072, []),
        (131073, [(1, False)]),
        (131072 + 65536, [(65536, False)]),
        (131072 + 65536 + 1, [(65536, True), (1, False)]),
    ],
)
async def test_a_large_body_goes_round_the_request(size: int, expected: list[tuple[int, bool]]) -> None:
    """Its beginning travels in the request, the rest in chunks behind it; the last one ends it."""
    async with serving() as rig:
        client = rig.connect()
        body = bytes(range(256)) * (size // 256) + bytes(size % 256)
        client.feed(post(body))
        job = await rig.job(REQUEST)
        found = await chunks(rig, job) if expected else []
        assert [(len(chunk["content"]), chunk["more_content"]) for chunk in found] == expected
        assert job.content["body"] + b"".join(chunk["content"] for chunk in found) == body
        assert len(job.content["body"]) == min(size, 131072)
        assert rig.server.bodies_size == 0
        job.end(OK)


# -- responses ---------------------------------------------------------------------------------------------------------


async def test_a_response_may_come_in_parts() -> None:
    """It is written as it comes, and takes as long as it takes."""
    async with serving(http_timeout=5) as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        job.send({"status": 200, "content": b"one", "more_content": True})
        await idle()
        assert client.written.endswith(b"\r\n\r\n3\r\none\r\n")
        await elapse(1000)
        job.send({"content": b"two", "more_content": True})
        await elapse(1000)
        job.end({"content": b"", "more_content": True}, {"content": b"three"})
        assert (await answer(client)).body == b"onetwothree"
        assert not client.is_closing()


@pytest.mark.parametrize(
    ("outcome", "status"), [(RAISED, 500), (LOST, 500), (UNROUTED, 404), (RETURNED, 0), (UNDECIDED, 0), (AGAIN, 0)]
)
async def test_the_end_of_the_consumer_may_be_the_answer(outcome: int, status: int) -> None:
    """One that failed or was not found is answered for; one that returned may be answered for later."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        (await rig.job(REQUEST)).end(outcome=outcome)
        await idle()
        assert bool(client.written) == bool(status)
        if status:
            assert ((await answer(client)).status, client.lost) == (status, True)


async def test_a_consumer_may_want_the_request_again() -> None:
    """Its server sends it again after a growing delay, and goes on owning it."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        for attempt in range(4):
            job = await rig.job(REQUEST)
            assert job.envelope.attempt == attempt
            job.end(outcome=AGAIN)
            await elapse(0.05 * 2 ** (attempt + 1) - 0.01)
            assert rig.depth(REQUEST) == 0
            await elapse(0.02)
        (await rig.job(REQUEST)).end(OK)
        assert (await answer(client)).status == 200
        assert rig.server.outbox.under_way == 0


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_request_is_not_sent_again_once_it_is_over(leaves: bool) -> None:
    """Its client has left, or was answered by somebody else."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        job.end(outcome=AGAIN)
        await idle()
        client.lose() if leaves else job.send(OK)
        await elapse(10)
        assert rig.depth(REQUEST) == 0


async def test_a_failure_after_the_answer_changes_nothing() -> None:
    """What was sent is what the client gets."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        (await rig.job(REQUEST)).end(OK, outcome=RAISED)
        assert ((await answer(client)).status, client.is_closing()) == (200, False)


@pytest.mark.parametrize("outcome", [RAISED, LOST])
async def test_a_failure_within_the_answer_cuts_it(outcome: int) -> None:
    """The client must not take a part for the whole."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        (await rig.job(REQUEST)).end({"status": 200, "content": b"one", "more_content": True}, outcome=outcome)
        await idle()
        assert (client.aborted, client.written.endswith(b"3\r\none\r\n")) == (True, True)


async def test_another_process_may_answer_later() -> None:
    """The end without an answer leaves the request open until its limit."""
    async with serving(http_timeout=60) as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        job.end(outcome=UNDECIDED)
        await elapse(30)
        rig.layer.send(job.reply_channel, OK)
        assert (await answer(client)).body == b"hello"


@pytest.mark.parametrize(
    "reply",
    [
        {"content": b"no status"},
        {"status": 200, "headers": [(b"a", b"b\r\nc: d")]},
        {"status": 200, "headers": [(b"a",)]},
        {"status": 200, "headers": 5},
        {"status": 200, "headers": [(b"Content-Length", b"3")], "content": b"hello"},
    ],
    ids=str,
)
async def test_a_response_that_cannot_be_sent_is_an_error(
    reply: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The client is told 500, the log says why and for what request."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/page"))
        (await rig.job(REQUEST)).end(reply)
        result = await answer(client)
        assert (result.status, client.lost) == (500, True)
        assert b"Something went wrong here." in result.body
        (record,) = caplog.records
        assert record.getMessage().startswith("the response to GET /page cannot be sent: ")


async def test_a_part_that_cannot_be_sent_cuts_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """More than its Content-Length announced: the connection ends, so that nobody takes it for whole."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/page"))
        head = {"status": 200, "headers": [(b"Content-Length", b"3")], "content": b"on", "more_content": True}
        (await rig.job(REQUEST)).end(head, {"content": b"two"})
        await idle()
        assert (client.aborted, client.written.endswith(b"\r\n\r\non")) == (True, True)
        assert "the response to GET /page cannot be sent: " in caplog.text
        assert rig.lines == ['"GET /page HTTP/1.1" 500 2']


# -- limits ------------------------------------------------------------------------------------------------------------

REFUSED = {
    "no HTTP": (b"\x16\x03\x01\x02", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "long target": (get("/" + "a" * 200), 414),
    "long headers": (get("/", "X-Long: " + "a" * 400), 431),
    "many headers": (get("/", *["X: 1"] * 11), 431),
    "long body": (post(b"a" * 1001), 413),
    "unknown method": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "old version": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_breaks_a_rule_or_a_limit_is_refused(name: str) -> None:
    """Nobody is asked, the connection closes, and what follows is not read."""
    data, status = REFUSED[name]
    async with serving(max_target_size=100, max_header_size=300, max_headers=10, max_body_size=1000) as rig:
        client = rig.connect()
        client.feed(data + get())
        result = await answer(client)
        assert (result.status, result.headers["connection"]) == (status, "close")
        assert client.lost is not client.ended, "what a client is still sending must not cost it the answer"
        assert await rig.is_quiet()
        assert f" {status} " in rig.lines[0]


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("extra", [{}, {"sslcontext": object()}])
async def test_what_a_refused_client_still_sends_is_ignored(leaves: bool, extra: dict[str, Any]) -> None:
    """For a moment: a connection closed with bytes unread is reset, and the answer lost (RFC 9112 section 9.6)."""
    async with serving(max_body_size=1000) as rig:
        client = rig.connect(**extra)
        client.feed(post(b"a" * 1001))
        assert (await answer(client)).status == 413
        assert client.ended is not bool(extra), "there is no half a close under TLS"
        client.feed(b"a" * 1000)
        client.feed(get())
        assert await rig.is_quiet()
        if leaves:
            client.lose()
        else:
            await elapse(2.5)
        assert (client.lost, client.written, rig.server.connections) == (True, b"", {})


async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    """Requests that came whole before the bad one are answered first."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/one") + b"\x16\x03\x01")
        assert client.written == b""
        (await rig.job(REQUEST)).end(OK)
        await idle()
        first = read_answer(client.take())
        second = read_answer(first.rest)
        assert (first.status, second.status, second.rest, client.lost) == (200, 400, b"", True)


@pytest.mark.parametrize("debug", [False, True])
async def test_only_in_debug_a_refusal_explains_itself(debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the limit and its setting in any case."""
    caplog.set_level(logging.INFO, "daphne.http")
    async with serving(debug=debug, max_body_size=10) as rig:
        client = rig.connect()
        client.feed(post(b"a" * 11))
        assert (b"max_body_size" in (await answer(client)).body) == debug
        assert "a request answered 413: The body exceeds 10 bytes (max_body_size)." in caplog.text


async def test_a_head_that_does_not_end_in_time_is_answered_408() -> None:
    """Counted from its first byte, however often another one comes."""
    async with serving(head_timeout=20) as rig:
        client = rig.connect()
        await elapse(15)
        data = get("/", "X: " + "a" * 50)
        for byte in data[:19]:
            client.feed(bytes([byte]))
            await elapse(1)
        assert client.written == b""
        await elapse(2)
        assert ((await answer(client)).status, client.lost) == (408, True)


async def test_a_connection_that_says_nothing_is_closed_without_an_answer() -> None:
    """Browsers open such connections in advance."""
    async with serving(head_timeout=20) as rig:
        client = rig.connect()
        await elapse(21)
        assert (client.written, client.lost, rig.lines) == (b"", True, [])


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    """Counted from the end of the last response."""
    async with serving(keep_alive_timeout=75, head_timeout=20) as rig:
        client = rig.connect()
        for _ in range(3):
            client.feed(get())
            (await rig.job(REQUEST)).end(OK)
            assert (await answer(client)).status == 200
            await elapse(70)
        await elapse(4.5)
        assert not client.is_closing()
        await elapse(1)
        assert (client.written, client.lost) == (b"", True)


async def test_a_body_that_stops_coming_is_answered_408() -> None:
    """The limit is between two pieces, not for the whole."""
    async with serving(body_timeout=60) as rig:
        client = rig.connect()
        data = post(b"a" * 10)
        client.feed(data[:-9])
        for byte in data[-9:-1]:
            await elapse(50)
            client.feed(bytes([byte]))
        assert client.written == b""
        await elapse(61)
        assert ((await answer(client)).status, client.ended) == (408, True)
        assert await rig.is_quiet()


async def test_a_response_that_does_not_come_in_time_is_answered_503() -> None:
    """A stranger is told to try again; an answer that comes later is discarded."""
    async with serving(http_timeout=120) as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        await elapse(119)
        assert client.written == b""
        await elapse(2)
        result = await answer(client)
        assert (result.status, result.headers["retry-after"], client.lost) == (503, "1", True)
        job.end(OK)
        await idle()
        assert (client.written, client.late) == (b"", b"")


async def test_the_bodies_of_all_clients_are_limited_together() -> None:
    """The one that passes the limit is told 503; when the others are sent on there is room again."""
    async with serving(max_bodies_size=1000) as rig:
        first, second, third = rig.connect(), rig.connect(), rig.connect()
        first.feed(post(b"a" * 800)[:-1])
        second.feed(post(b"b" * 300)[:-1])
        result = await answer(second)
        assert (result.status, result.headers["retry-after"], second.ended) == (503, "1", True)
        assert rig.server.bodies_size == 799
        first.feed(b"a")
        assert len((await rig.job(REQUEST)).content["body"]) == 800
        third.feed(post(b"b" * 300))
        assert len((await rig.job(REQUEST)).content["body"]) == 300


async def test_a_client_that_leaves_within_its_body_is_forgotten() -> None:
    """Its bytes are given back and nobody hears of it."""
    async with serving(reads=WITH_DISCONNECT) as rig:
        client = rig.connect()
        client.feed(post(b"a" * 10)[:-1])
        client.lose()
        assert rig.server.bodies_size == 0
        assert await rig.is_quiet()
        assert rig.lines == []


# -- clients and workers that leave ------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_leaves_is_logged(begun: bool) -> None:
    """As 499, before and within its response; what is sent to it is discarded."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/page"))
        job = await rig.job(REQUEST)
        if begun:
            job.send({"status": 200, "content": b"one", "more_content": True})
            await idle()
        client.take()
        client.lose()
        assert rig.lines == [f'"GET /page HTTP/1.1" 499 {3 * begun}']
        assert rig.server.connections == {}
        job.end(OK, {"content": b"two"})
        await idle()
        assert (client.written, client.late) == (b"", b"")
        assert await rig.is_quiet()


@pytest.mark.parametrize("leaves", [False, True])
async def test_the_end_of_a_request_is_told_where_somebody_listens(leaves: bool) -> None:
    """When the client leaves and when the response is complete, once, with path and reply channel."""
    async with serving(reads=WITH_DISCONNECT) as rig:
        client = rig.connect()
        client.feed(get("/page"))
        job = await rig.job(REQUEST)
        if leaves:
            client.lose()
        job.end(OK)
        assert (await rig.job(HTTP_DISCONNECT)).content == {"reply_channel": job.reply_channel, "path": "/page"}
        assert await rig.is_quiet()


async def test_a_worker_that_died_with_the_request_is_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    """500 after two looks at the layer; the log names the request."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/page"))
        (await rig.job(REQUEST)).die()
        await elapse(4)
        assert (await answer(client)).status == 500
        assert "GET /page answered 500: the worker that had GET /page died" in caplog.text


async def test_a_worker_that_died_within_the_response_cuts_it() -> None:
    """What is missing will not come."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/page"))
        job = await rig.job(REQUEST)
        job.send({"status": 200, "content": b"one", "more_content": True})
        job.die()
        await elapse(4)
        assert client.aborted


async def test_without_a_worker_it_is_answered_503_after_a_grace(caplog: pytest.LogCaptureFixture) -> None:
    """The request is taken back; the operator learns what to run, the stranger nothing."""
    async with serving(reads=()) as rig:
        client = rig.connect()
        client.feed(get("/page"))
        await elapse(4)
        assert client.written == b""
        await elapse(3)
        result = await answer(client)
        assert (result.status, result.headers["retry-after"], rig.depth(REQUEST)) == (503, "1", 0)
        assert b"worker" not in result.body
        hint = "no worker reads http.request; start a worker with: python manage.py runworker"
        assert f"GET /page answered 503: {hint}" in caplog.text


async def test_a_full_queue_is_answered_503(caplog: pytest.LogCaptureFixture) -> None:
    """At once, for the request that did not fit; the others wait for their worker."""
    async with serving() as rig:
        rig.layer.send_many([(REQUEST, {"path": "/filler"})] * 1000)
        client = rig.connect()
        client.feed(get("/page"))
        result = await answer(client)
        assert (result.status, result.headers["retry-after"], client.lost) == (503, "1", True)
        assert b"channel" not in result.body
        assert "GET /page answered 503: channel 'http.request' is full: 1000 messages wait" in caplog.text
        while rig.depth(REQUEST):
            await rig.job(REQUEST)


async def test_a_refusal_that_comes_late_is_ignored() -> None:
    """The client has its answer, or is gone."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        connection = rig.server.connections[job.reply_channel]
        client.lose()
        connection.refused(job.envelope, RuntimeError("late"))
        connection.lost(job.envelope)
        connection.deliver(OK, None)
        assert client.written == b""


async def test_a_refused_message_within_a_response_cuts_nothing() -> None:
    """The response that has begun goes on."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        job.send({"status": 200, "content": b"one", "more_content": True})
        await idle()
        rig.server.connections[job.reply_channel].refused(job.envelope, RuntimeError("late"))
        job.end({"content": b"two"})
        assert (await answer(client)).body == b"onetwo"


# -- upgrades ----------------------------------------------------------------------------------------------------------

HANDSHAKES = {
    "no WebSocket version": (upgrade(version=8), 426, {"sec-websocket-version": "13"}),
    "foreign page": (upgrade("/chat", "Origin: https://evil.example"), 403, {}),
    "subprotocol twice": (upgrade("/chat", "Sec-WebSocket-Protocol: a, a"), 400, {}),
}


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_a_handshake_that_is_none_is_refused_without_asking(name: str) -> None:
    """With the status of its fault and the headers that help; one line in the log."""
    data, status, headers = HANDSHAKES[name]
    async with serving() as rig:
        client = rig.connect()
        client.feed(data)
        result = await answer(client)
        assert (result.status, client.lost) == (status, True)
        assert result.headers.items() >= headers.items()
        assert await rig.is_quiet()
        assert [line.partition(": ")[0] for line in rig.lines] == [f"WS REFUSED /chat {status} [192.0.2.7:50001]"]


async def test_an_ordinary_page_may_open_a_socket() -> None:
    """One of the host itself, without a word in the log."""
    async with serving() as rig:
        rig.handshake("/chat", "Origin: http://testserver:8080")
        (await rig.job(CONNECT)).end()
        await idle()
        assert rig.lines == ["WS OPEN /chat [192.0.2.7:50001]"]


async def test_a_page_that_only_debug_lets_in_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What works in development and would not in production is said."""
    caplog.set_level(logging.INFO, "daphne.http")
    async with serving(debug=True) as rig:
        rig.handshake("/chat", "Origin: http://localhost:3000")
        (await rig.job(CONNECT)).end()
        assert [record.name for record in caplog.records] == ["daphne.http"]
        assert caplog.records[0].getMessage().startswith("/chat: ")


async def test_one_handshake_too_many_is_refused_without_asking() -> None:
    """The limit counts those that wait for a decision; the line names it."""
    async with serving(max_handshakes=1, max_waiting_handshakes=0) as rig:
        rig.handshake()
        second = rig.handshake()
        assert (await answer(second)).status == 503
        [line] = rig.lines
        reason = "1 handshakes wait for a decision already (max_handshakes), 0 for their turn (max_waiting_handshakes)"
        assert line == f"WS REFUSED /chat 503 [192.0.2.7:50001]: {reason}"


@pytest.mark.parametrize(
    ("options", "status", "limit"),
    [
        ({"max_connections": 1}, 503, "max_connections"),
        ({"max_connections_per_address": 1}, 429, "max_connections_per_address"),
    ],
)
async def test_one_connection_too_many_is_told_so(options: dict[str, Any], status: int, limit: str) -> None:
    """Its request or handshake is answered and not asked about; it is counted, and one that leaves makes room."""
    async with serving(**options) as rig:
        first = rig.connect()
        for request in (get("/"), upgrade()):
            client = rig.connect()
            client.feed(request)
            assert (await answer(client)).status == status
            assert client.lost
        assert rig.depth(REQUEST) == rig.depth(CONNECT) == 0
        assert rig.server.losses.counts == {"connection refused": 2}
        first.lose()
        rig.connect().feed(get("/"))
        await idle()
        assert rig.depth(REQUEST) == 1


async def test_one_connection_too_many_has_a_moment_for_its_request() -> None:
    """It must not hold what it is refused; a byte now and then does not change that."""
    async with serving(max_connections=1, head_timeout=20) as rig:
        rig.connect()
        silent, slow = rig.connect(), rig.connect()
        slow.feed(b"G")
        await elapse(1.5)
        assert silent.lost
        assert read_answer(slow.written).status == 408


async def test_a_handshake_may_follow_requests_on_one_connection() -> None:
    """It waits for the answers before it."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/page") + upgrade("/chat"))
        assert rig.depth(CONNECT) == 0
        (await rig.job(REQUEST)).end(OK)
        (await rig.job(CONNECT)).end()
        await idle()
        assert b"HTTP/1.1 101 " in read_answer(client.written).rest


# -- behind a proxy ----------------------------------------------------------------------------------------------------

PROXIED: dict[str, Any] = {
    "trusted_proxies": ("192.0.2.0/24",),
    "forwarded_headers": ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"),
}
FORWARDED = (
    "X-Forwarded-For: 203.0.113.5",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: site.example",
    "X-Forwarded-Port: 443",
)
STRANGER = ("198.51.100.9", 4711)


async def test_a_request_through_a_proxy_is_that_of_its_client() -> None:
    """Client, scheme, host and port, for a request and a handshake alike, and in the log."""
    async with serving(**PROXIED) as rig:
        client = rig.connect()
        client.feed(get("/", *FORWARDED))
        socket = rig.handshake("/chat", *FORWARDED)
        for channel, scheme in ((REQUEST, "https"), (CONNECT, "wss")):
            job = await rig.job(channel)
            content = job.content
            assert (content["client"], content["server"]) == (["203.0.113.5", 0], ["192.0.2.1", 443])
            assert (content["scheme"], content["headers"][0]) == (scheme, [b"host", b"site.example"])
            job.end(*[{"status": 204}] * (channel == REQUEST))
        await idle()
        assert [access.source.client for access in rig.log] == [("203.0.113.5", 0)] * 2
        socket.lose()
        assert rig.log[-1].source.client == ("203.0.113.5", 0)


async def test_what_a_stranger_says_of_itself_reaches_nobody() -> None:
    """Neither the application nor the log; nor does the name that it gives its request."""
    async with serving(**PROXIED) as rig:
        client = rig.connect(peername=STRANGER)
        client.feed(get("/", *FORWARDED, "X-Request-ID: abc"))
        content = (await rig.job(REQUEST)).content
        assert (content["client"], content["scheme"]) == (list(STRANGER), "http")
        assert content["server"] == list(SERVER)
        assert [name for name, _ in content["headers"]] == [b"host", b"x-request-id"]
        assert content["headers"][1][1] != b"abc"
        client.lose()
        assert rig.log[0].source.client == STRANGER


async def test_without_a_list_forwarded_headers_are_headers() -> None:
    """The application may know what they are worth; the server does not."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/", *FORWARDED))
        content = (await rig.job(REQUEST)).content
        assert (content["client"], content["scheme"]) == (["192.0.2.7", 50001], "http")
        assert len(content["headers"]) == 1 + len(FORWARDED) + 1


async def test_a_page_of_the_host_that_a_proxy_was_asked_for_may_open_a_socket() -> None:
    """The Origin is held against the host that the browser knows."""
    async with serving(**PROXIED) as rig:
        rig.handshake("/chat", *FORWARDED, "Origin: https://site.example")
        (await rig.job(CONNECT)).end()
        foreign = rig.handshake("/chat", *FORWARDED, "Origin: https://testserver")
        assert (await answer(foreign)).status == 403


async def test_what_a_proxy_says_and_nobody_understands_is_refused() -> None:
    """The proxy is set up wrongly, which the log says."""
    async with serving(**PROXIED) as rig:
        for request in (get("/", "X-Forwarded-Proto: yes"), upgrade("/chat", "X-Forwarded-Proto: yes")):
            client = rig.connect()
            client.feed(request)
            assert (await answer(client)).status == 400
        assert await rig.is_quiet()


async def test_connections_per_address_are_those_of_the_clients() -> None:
    """A proxy has as many as it needs; a client that has its share is told so, whichever proxy it comes through."""
    async with serving(max_connections_per_address=2, **PROXIED) as rig:
        asks = get("/", "X-Forwarded-For: 203.0.113.5")
        first, second, third = rig.connect(), rig.connect(), rig.connect()
        first.feed(asks)
        job = await rig.job(REQUEST)
        socket = rig.handshake("/chat", "X-Forwarded-For: 203.0.113.5")
        (await rig.job(CONNECT)).end()
        second.feed(asks)
        assert (await answer(second)).status == 429
        assert b"429" in rig.handshake("/chat", "X-Forwarded-For: 203.0.113.5").take()
        third.feed(get("/", "X-Forwarded-For: 203.0.113.6"))
        (await rig.job(REQUEST)).end(OK)
        assert (await answer(third)).status == 200
        job.end(OK)
        await idle()
        third.feed(asks)
        (await rig.job(REQUEST)).end(OK)
        assert (await answer(third)).status == 200
        third.feed(asks)
        socket.lose()
        (await rig.job(REQUEST)).end(OK)
        await idle()
        direct = [rig.connect(peername=STRANGER) for _ in range(3)]
        direct[2].feed(get())
        assert (await answer(direct[2])).status == 429
        assert rig.server.losses.counts["connection refused"] == 3


# -- the server ends ---------------------------------------------------------------------------------------------------


async def test_an_idle_connection_is_closed_when_the_server_stops() -> None:
    """A request in progress is answered first, and its answer is the last."""
    async with serving() as rig:
        idle_one, busy = rig.connect(), rig.connect()
        busy.feed(get())
        job = await rig.job(REQUEST)
        unread = rig.connect()
        unread.feed(post(b"a")[:-1])
        for client in (idle_one, busy, unread):
            end(client)
        assert (idle_one.is_closing(), busy.is_closing()) == (True, False)
        job.end(OK)
        assert (await answer(busy)).headers["connection"] == "close"
        assert busy.lost
        assert ((await answer(unread)).status, unread.lost) == (503, True)


def end(client: Transport) -> None:
    """Do with a connection what a server does that ends."""
    connection = client.protocol
    assert isinstance(connection, HttpConnection)
    connection.close(1012, "", "server (stops)")
