"""The opening handshake: who decides, and what becomes of everything that comes before the decision."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layers.envelope import AGAIN, LOST, RAISED, RETURNED, UNACCEPTED, UNDECIDED, UNROUTED
from tests.daphne.serving import CONNECT, DISCONNECT, RECEIVE, SOCKETS, Job, Rig, serving
from tests.daphne.virtual_time import elapse, idle
from tests.daphne.wire import (
    BINARY,
    CLOSE,
    SERVER,
    TEXT,
    Frame,
    Transport,
    close,
    frame,
    read_answer,
    read_frames,
    text,
)

Contents = list[dict[str, Any]]


def status_of(transport: Transport) -> int:
    """Return the status of the answer, 0 where there is none."""
    return int(transport.written.split()[1]) if transport.written else 0


def frames_of(transport: Transport) -> list[Frame]:
    """Return the frames behind the 101."""
    head, _, rest = transport.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return read_frames(rest)


async def disconnects(rig: Rig) -> Contents:
    """Return every disconnect that was sent."""
    await idle()
    return [(await rig.job(DISCONNECT)).content for _ in range(rig.depth(DISCONNECT))]


async def test_a_handshake_asks_the_application_and_waits() -> None:
    """The connect event tells of the request; nothing is answered before the consumer is done."""
    async with serving(root_path="/app") as rig:
        transport = rig.handshake("/chat/r%C3%B6om?a=b")
        job = await rig.job(CONNECT)
        content = dict(job.content)
        assert [b"upgrade", b"websocket"] in content.pop("headers")
        assert content == {
            "reply_channel": job.envelope.owner,
            "path": "/chat/röom",
            "query_string": b"a=b",
            "root_path": "/app",
            "scheme": "ws",
            "client": ["192.0.2.7", 50001],
            "server": list(SERVER),
            "subprotocols": [],
            "order": 0,
        }
        assert job.reply_channel.startswith("websocket.send.")
        assert (transport.written, len(rig.server.handshakes)) == (b"", 1)
        job.end()
        await idle()
        assert (status_of(transport), len(rig.server.handshakes)) == (101, 0)
        assert rig.lines == ["WS OPEN /chat/röom [192.0.2.7:50001]"]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(RETURNED, 101), (RAISED, 500), (UNROUTED, 404), (LOST, 503), (UNACCEPTED, 403), (UNDECIDED, 0), (AGAIN, 0)],
)
async def test_the_end_of_the_consumer_decides(outcome: int, status: int) -> None:
    """A consumer that returned has accepted; one that raised, was not found or was lost refuses."""
    async with serving() as rig:
        transport = rig.handshake()
        (await rig.job(CONNECT)).end(outcome=outcome)
        await idle()
        assert status_of(transport) == status
        assert transport.is_closing() == (status not in (0, 101))


DECISIONS: dict[str, tuple[dict[str, Any], int, list[Frame]]] = {
    "accept": ({"accept": True}, 101, []),
    "accept with text": ({"accept": True, "text": "hi"}, 101, [Frame(TEXT, b"hi")]),
    "accept and close": ({"accept": True, "close": 4001}, 101, [Frame(CLOSE, close(4001))]),
    "close with text": ({"close": True, "text": "bye"}, 101, [Frame(TEXT, b"bye"), Frame(CLOSE, close(1000))]),
    "close with bytes": (
        {"close": 4001, "bytes": b"\0", "reason": "full"},
        101,
        [Frame(BINARY, b"\0"), Frame(CLOSE, close(4001, "full"))],
    ),
    "refuse": ({"accept": False}, 403, []),
    "refuse with text": ({"accept": False, "text": "no"}, 403, []),
    "refuse with close": ({"accept": False, "close": True}, 403, []),
    "close": ({"close": True}, 403, []),
    "close with code": ({"close": 4001}, 403, []),
    "close with empty text": ({"close": True, "text": ""}, 403, []),
    "refuse with status": ({"accept": False, "status": 401}, 401, []),
    "text": ({"text": "hi"}, 0, []),
    "bytes": ({"bytes": b"hi"}, 0, []),
    "nothing": ({"close": False}, 0, []),
}


@pytest.mark.parametrize("name", DECISIONS)
async def test_accept_and_close_decide_at_once(name: str) -> None:
    """While the consumer still runs, only these two keys make an answer; all else waits for its end."""
    content, status, frames = DECISIONS[name]
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.send(content)
        await idle()
        assert status_of(transport) == status
        if status == 101:
            assert frames_of(transport) == frames
        job.end()


@pytest.mark.parametrize("name", [name for name, (_, status, _) in DECISIONS.items() if status not in (0, 101)])
async def test_a_consumer_that_refused_hears_no_disconnect(name: str) -> None:
    """Whatever it refused with, the socket has never been there for the application."""
    async with serving() as rig:
        rig.handshake()
        (await rig.job(CONNECT)).end(DECISIONS[name][0])
        assert await rig.is_quiet()
        assert rig.server.connections == {}


async def test_what_waited_is_sent_behind_the_101_in_order() -> None:
    """Replies, group messages and messages of other processes, in the order they came in."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.join("all")
        job.send({"text": "one"})
        rig.layer.send_group("all", {"text": "two"})
        job.send({"bytes": b"three"})
        await idle()
        assert transport.written == b""
        job.end({"text": "four"})
        await idle()
        expected = [(TEXT, b"one"), (TEXT, b"two"), (BINARY, b"three"), (TEXT, b"four")]
        assert frames_of(transport) == expected


async def test_the_accepting_message_goes_before_what_waited() -> None:
    """A message that accepts is not held back by one that waits for an acceptance."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.end({"text": "waited"}, {"accept": True, "text": "accepting"})
        await idle()
        assert {payload for _, payload in frames_of(transport)} == {b"waited", b"accepting"}


@pytest.mark.parametrize("content", [{"accept": True}, {"close": True}, {"accept": True, "text": "x"}, {"text": "x"}])
async def test_a_group_message_never_decides(content: dict[str, Any]) -> None:
    """Neither at once nor when the consumer leaves the decision to somebody else."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.join("all")
        rig.layer.send_group("all", content)
        await idle()
        job.end(outcome=UNDECIDED)
        await idle()
        assert transport.written == b""


async def test_a_group_close_closes_the_socket_after_it_is_accepted() -> None:
    """It waits as everything does, and then does what it says."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.join("all")
        rig.layer.send_group("all", {"close": 4000})
        await idle()
        job.end()
        await idle()
        assert frames_of(transport) == [(CLOSE, close(4000))]


async def test_a_decision_left_to_another_process_comes_from_there() -> None:
    """After an undecided end any process may accept, and what came first is sent first."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.end(outcome=UNDECIDED)
        await elapse(5)
        assert transport.written == b""
        rig.layer.send(job.reply_channel, {"accept": True, "text": "hi"})
        await idle()
        assert frames_of(transport) == [(TEXT, b"hi")]


@pytest.mark.parametrize("outcome", [UNDECIDED, UNACCEPTED])
async def test_data_accepts_for_a_consumer_that_leaves_the_decision(outcome: int) -> None:
    """A project written to 1.1.8's rule accepts by sending, and so may a class that has to accept."""
    async with serving() as rig:
        transport = rig.handshake()
        (await rig.job(CONNECT)).end({"text": "hi"}, outcome=outcome)
        await idle()
        assert frames_of(transport) == [(TEXT, b"hi")]


async def test_a_class_that_does_not_accept_is_told_how() -> None:
    """The line about the refusal says what its connect() has to do."""
    async with serving() as rig:
        rig.handshake()
        (await rig.job(CONNECT)).end(outcome=UNACCEPTED)
        await idle()
        assert 'returned without sending {"accept": True} or calling super()' in rig.lines[0]


async def test_a_consumer_may_ask_for_the_connect_again() -> None:
    """The event comes again after a moment, and the handshake waits for it."""
    async with serving() as rig:
        transport = rig.handshake()
        (await rig.job(CONNECT)).end(outcome=AGAIN)
        await elapse(1)
        job = await rig.job(CONNECT)
        assert (job.envelope.attempt, transport.written) == (1, b"")
        job.end()
        await idle()
        assert status_of(transport) == 101


async def test_too_many_messages_before_the_decision_refuse() -> None:
    """What waits is bounded; the refusal names the setting."""
    async with serving(max_pending_messages=3) as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.send(*[{"text": "x"}] * 3)
        await idle()
        assert transport.written == b""
        job.send({"text": "x"}, {"text": "x"})
        await idle()
        assert status_of(transport) == 503
        assert "3 messages waited for its decision (max_pending_messages)" in rig.lines[0]
        job.end()
        assert [content["code"] for content in await disconnects(rig)] == [1006]


async def test_frames_in_the_segment_of_the_handshake_come_after_the_decision() -> None:
    """Nothing a client says is heard before it is let in, and nothing is lost."""
    async with serving() as rig:
        transport = rig.handshake(early=text("one"))
        transport.feed(text("two"))
        job = await rig.job(CONNECT)
        assert await rig.is_quiet()
        job.end()
        for order, said in enumerate(["one", "two"], 1):
            receive = await rig.job(RECEIVE)
            assert (receive.content["text"], receive.content["order"]) == (said, order)
            receive.end()


async def test_frames_are_heard_while_the_consumer_that_accepted_still_runs() -> None:
    """They wait in the lane: the next event leaves when the connect is done."""
    async with serving() as rig:
        transport = rig.handshake(early=text("one"))
        job = await rig.job(CONNECT)
        job.send({"accept": True})
        await idle()
        transport.feed(text("two"))
        assert await rig.is_quiet()
        job.end(outcome=RAISED)
        assert [content["text"] for content in (await rig.job(RECEIVE)).contents] == ["one", "two"]
        assert not transport.is_closing()


async def test_an_accept_may_settle_its_connect_in_the_same_entry() -> None:
    """The open socket goes on with its lane, and no disconnect is owed to anybody."""
    async with serving() as rig:
        transport = rig.handshake()
        (await rig.job(CONNECT)).end_with({"accept": True})
        assert await rig.is_quiet()
        transport.feed(text("one"))
        (await rig.job(RECEIVE)).end_with({"text": "two"})
        await idle()
        assert frames_of(transport) == [(TEXT, b"two")]


async def test_a_client_that_leaves_with_its_first_frames_is_heard_to_the_end() -> None:
    """Frames and a close frame that came before the decision: open, receive, disconnect."""
    async with serving() as rig:
        transport = rig.handshake(early=text("one") + frame(CLOSE, close(1001)))
        (await rig.job(CONNECT)).end()
        (await rig.job(RECEIVE)).end()
        job = await rig.job(DISCONNECT)
        assert (job.content["code"], job.content["order"]) == (1001, 2)
        assert frames_of(transport) == [(CLOSE, close(1001))]
        job.end()
        await idle()
        assert rig.server.connections == {}


async def test_too_many_early_bytes_stop_the_reading() -> None:
    """What came stays, the rest waits in the client's TCP, and reading goes on after the decision."""
    async with serving(max_lane_size=1000) as rig:
        transport = rig.handshake()
        transport.feed(text("x" * 400))
        assert transport.reading
        transport.feed(text("y" * 700))
        assert not transport.reading
        (await rig.job(CONNECT)).end()
        await idle()
        for size in (400, 700):
            job = await rig.job(RECEIVE)
            assert len(job.content["text"]) == size
            job.end()
        await idle()
        assert transport.reading


async def test_no_decision_in_time_refuses() -> None:
    """The client is told 503; a consumer that returns afterwards hears one disconnect."""
    async with serving(handshake_timeout=3) as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        await elapse(4)
        answer = read_answer(transport.written)
        assert (answer.status, answer.headers["retry-after"], transport.lost) == (503, "1", True)
        assert "no decision within 3 s (handshake_timeout)" in rig.lines[0]
        job.end()
        assert [content["code"] for content in await disconnects(rig)] == [1006]


@pytest.mark.parametrize(
    ("replies", "outcome", "expected"),
    [
        ([], RETURNED, 1),
        ([{"text": "hi"}], RETURNED, 1),
        ([{"accept": True}], RETURNED, 1),
        ([], UNDECIDED, 1),
        ([{"accept": True}], UNACCEPTED, 1),
        ([{"accept": False}], UNACCEPTED, 0),
        ([{"accept": False}], RETURNED, 0),
        ([{"close": True}], RETURNED, 0),
        ([], RAISED, 0),
        ([], UNROUTED, 0),
        ([], LOST, 0),
    ],
)
async def test_a_client_that_left_is_disconnected_from_a_consumer_that_took_it(
    replies: Contents, outcome: int, expected: int
) -> None:
    """Exactly one disconnect where the consumer returned without refusing, none where it refused or failed."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        transport.lose()
        await idle()
        assert rig.lines == ["WS REFUSED /chat 499 [192.0.2.7:50001]: the client left before the decision"]
        job.end(*replies, outcome=outcome)
        await idle()
        sent = [await rig.job(DISCONNECT) for _ in range(rig.depth(DISCONNECT))]
        assert [(gone.content["code"], gone.content["order"]) for gone in sent] == [(1006, 1)] * expected
        for gone in sent:
            gone.end()
        await idle()
        assert rig.server.connections == {}
        assert transport.written == b""


async def test_a_client_that_left_is_in_no_group() -> None:
    """Its memberships end with it, also those a consumer asks for afterwards."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.join("all")
        await idle()
        transport.lose()
        await idle()
        assert rig.layer.group_channels("all") == []
        job.join("all")
        await idle()
        assert rig.layer.group_channels("all") == []
        job.end()


async def test_a_group_refusal_is_no_refusal() -> None:
    """A group message to a handshake that is over does not keep its consumer from hearing of the end."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.join("all")
        await idle()
        rig.layer.send_group("all", {"close": True})
        transport.lose()
        job.end()
        assert len(await disconnects(rig)) == 1


async def test_no_disconnect_is_sent_where_nobody_reads_it() -> None:
    """A project without a disconnect consumer hears nothing, and the connection is given up at once."""
    async with serving(reads=(CONNECT, RECEIVE)) as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        transport.lose()
        job.end()
        assert await rig.is_quiet()
        assert rig.server.connections == {}


async def test_one_handshake_too_many_is_refused() -> None:
    """Where none may wait for its turn it is refused without asking anybody; a decision makes room."""
    async with serving(max_handshakes=2, max_waiting_handshakes=0) as rig:
        first = rig.handshake()
        rig.handshake()
        third = rig.handshake()
        assert (status_of(first), status_of(third), len(rig.server.handshakes)) == (0, 503, 2)
        assert "2 handshakes wait for a decision already (max_handshakes)" in rig.lines[0]
        (await rig.job(CONNECT)).end()
        await idle()
        fourth = rig.handshake()
        await idle()
        assert (status_of(fourth), rig.depth(CONNECT)) == (0, 2)


async def test_handshakes_beyond_those_in_flight_wait_for_their_turn() -> None:
    """In the order of their arrival, each as soon as another is decided; what the client sends meanwhile is kept."""
    async with serving(max_handshakes=2, max_waiting_handshakes=3) as rig:
        transports = [rig.handshake(f"/{number}", early=text(str(number))) for number in range(5)]
        seen: list[str] = []
        while len(seen) < 5:
            await idle()
            assert rig.depth(CONNECT) == min(2, 5 - len(seen))
            job = await rig.job(CONNECT)
            seen.append(job.content["path"])
            job.end()
        await idle()
        assert seen == ["/0", "/1", "/2", "/3", "/4"]
        assert [status_of(transport) for transport in transports] == [101] * 5
        assert [(await rig.job(RECEIVE)).content["text"] for _ in range(5)] == ["0", "1", "2", "3", "4"]


async def test_a_handshake_that_leaves_the_queue_is_not_asked_about() -> None:
    """Neither one whose client has gone nor one whose time is over; those behind them come in."""
    async with serving(max_handshakes=1, handshake_timeout=5) as rig:
        first, gone = rig.handshake("/first"), rig.handshake("/gone")
        await elapse(3)
        last = rig.handshake("/last")
        gone.lose()
        await elapse(3)
        assert (status_of(first), status_of(last)) == (503, 0)
        (await rig.job(CONNECT)).end()
        job = await rig.job(CONNECT)
        assert job.content["path"] == "/last"
        job.end()
        await idle()
        assert (status_of(last), len(rig.server.handshakes)) == (101, 0)


async def test_open_sockets_are_served_while_handshakes_wait() -> None:
    """What waits costs them nothing."""
    async with serving(max_handshakes=1) as rig:
        socket = await rig.open()
        for _ in range(50):
            rig.handshake()
        socket.say("hello")
        job = await rig.job(RECEIVE)
        job.end({"text": "hello"})
        await idle()
        assert socket.texts() == ["hello"]


OFFER = "Sec-WebSocket-Protocol: chat, superchat"


@pytest.mark.parametrize(
    ("supported", "reply", "expected"),
    [
        ((), {}, None),
        (("superchat", "chat"), {}, "chat"),
        (("superchat",), {}, "superchat"),
        ((), {"accept": True, "subprotocol": "superchat"}, "superchat"),
        (("chat",), {"accept": True, "subprotocol": "superchat"}, "superchat"),
    ],
)
async def test_a_subprotocol_is_chosen(supported: tuple[str, ...], reply: dict[str, Any], expected: str | None) -> None:
    """By the consumer, or else the first of the client's that the server supports."""
    async with serving(subprotocols=supported) as rig:
        transport = rig.handshake("/chat", OFFER)
        job = await rig.job(CONNECT)
        assert job.content["subprotocols"] == ["chat", "superchat"]
        job.end(reply)
        await idle()
        head = transport.written.decode().partition("\r\n\r\n")[0].split("\r\n")
        chosen = [line.partition(": ")[2] for line in head if line.startswith("Sec-WebSocket-Protocol")]
        assert chosen == ([expected] if expected else [])


async def test_headers_may_come_before_the_decision() -> None:
    """They go with the 101, before those of the accepting message, and decide nothing themselves."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.send({"headers": [(b"Set-Cookie", b"a=b")]}, {"headers": [["Set-Cookie", b"c=d"]]})
        await idle()
        assert transport.take() == b""
        job.end({"accept": True, "headers": [(b"X-By", b"tests")]})
        await idle()
        head = transport.take()
        assert head.startswith(b"HTTP/1.1 101 ")
        places = [head.index(line) for line in (b"Set-Cookie: a=b\r\n", b"Set-Cookie: c=d\r\n", b"X-By: tests\r\n")]
        assert places == sorted(places)


async def test_headers_go_with_the_end_of_the_consumer() -> None:
    """Where its return decides, and where it refuses."""
    async with serving() as rig:
        accepted, refused = rig.handshake(), rig.handshake()
        (await rig.job(CONNECT)).end({"headers": [(b"Set-Cookie", b"a=b")]})
        (await rig.job(CONNECT)).end({"headers": [(b"Set-Cookie", b"a=b")]}, {"accept": False})
        await idle()
        for transport, status in ((accepted, b"101"), (refused, b"403")):
            head = transport.take()
            assert head.startswith(b"HTTP/1.1 " + status)
            assert head.count(b"Set-Cookie: a=b\r\n") == 1


@pytest.mark.parametrize("headers", [5, [(b"a",)], [(b"a", 5)], [(b"a", b"b\r\nc: d")], [(b"Upgrade", b"h2c")]])
async def test_headers_that_cannot_be_sent_refuse(headers: Any) -> None:
    """As those of the accepting message do."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.send({"headers": headers})
        job.end()
        await idle()
        assert transport.take().startswith(b"HTTP/1.1 500 ")
        assert "cannot be sent" in rig.lines[-1]


async def test_headers_of_a_group_message_are_none_of_its_members() -> None:
    """A group does not speak for a handshake."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        job.join("all")
        rig.layer.send_group("all", {"headers": [(b"Set-Cookie", b"a=b")]})
        job.end()
        await idle()
        assert b"Set-Cookie" not in transport.take()


async def test_an_accepting_message_may_set_headers() -> None:
    """A cookie for instance."""
    async with serving() as rig:
        transport = rig.handshake()
        (await rig.job(CONNECT)).end({"accept": True, "headers": [(b"Set-Cookie", b"a=b")]})
        await idle()
        assert b"\r\nSet-Cookie: a=b\r\n" in transport.written


@pytest.mark.parametrize(
    "reply",
    [
        {"accept": True, "headers": [(b"Upgrade", b"h2c")]},
        {"accept": True, "headers": [(b"a", b"b\r\nc: d")]},
        {"accept": True, "headers": [(b"a",)]},
        {"accept": True, "headers": 5},
        {"accept": True, "headers": [(b"a", 5)]},
        {"accept": True, "subprotocol": "never-offered"},
        {"accept": False, "headers": [(b"a", b"b\r\nc: d")]},
        {"accept": False, "headers": [(b"a",)]},
        {"accept": False, "status": 42},
    ],
    ids=str,
)
async def test_an_answer_that_cannot_be_sent_is_an_error(reply: dict[str, Any]) -> None:
    """The client is told 500 and nothing of the reason, which the log has; the connection does not linger."""
    async with serving() as rig:
        transport = rig.handshake()
        (await rig.job(CONNECT)).end(reply)
        await idle()
        answer = read_answer(transport.written)
        assert (answer.status, transport.lost) == (500, True)
        assert b"The connection was not accepted." in answer.body
        assert "500 [192.0.2.7:50001]: its consumer's answer cannot be sent: " in rig.lines[0]


async def test_a_denial_may_say_everything() -> None:
    """Status, headers and body go to the client, the reason to the log."""
    async with serving() as rig:
        transport = rig.handshake()
        reply = {
            "accept": False,
            "status": 429,
            "reason": "too many rooms",
            "headers": [(b"Retry-After", b"60"), (b"Content-Type", b"text/plain")],
            "body": b"Later.",
        }
        (await rig.job(CONNECT)).end(reply)
        await idle()
        answer = read_answer(transport.written)
        assert (answer.status, answer.body) == (429, b"Later.")
        assert (answer.headers["retry-after"], answer.headers["content-type"]) == ("60", "text/plain")
        assert answer.headers["connection"] == "close"
        assert rig.lines == ["WS REFUSED /chat 429 [192.0.2.7:50001]: too many rooms"]


@pytest.mark.parametrize("debug", [False, True])
async def test_only_in_debug_a_stranger_learns_the_reason(debug: bool) -> None:
    """The page of a refusal explains itself to a developer."""
    async with serving(debug=debug) as rig:
        transport = rig.handshake()
        (await rig.job(CONNECT)).end(outcome=RAISED)
        await idle()
        assert (b"its connect consumer raised" in transport.written) == debug


async def test_a_second_decision_changes_nothing() -> None:
    """What was answered is answered."""
    async with serving() as rig:
        refused, accepted = rig.handshake(), rig.handshake()
        (await rig.job(CONNECT)).end({"accept": False}, {"accept": True}, {"accept": False})
        (await rig.job(CONNECT)).end({"accept": True}, {"accept": False})
        await idle()
        assert (status_of(refused), status_of(accepted)) == (403, 101)
        assert frames_of(accepted) == []


async def test_without_a_worker_it_is_refused_after_a_grace() -> None:
    """The connect event is taken back, so that nothing runs for a client that was told no."""
    async with serving(reads=()) as rig:
        transport = rig.handshake()
        await elapse(4)
        assert transport.written == b""
        await elapse(3)
        assert (status_of(transport), rig.depth(CONNECT), rig.server.connections) == (503, 0, {})
        assert "no worker reads websocket.connect; start one with: python manage.py runworker" in rig.lines[0]


async def test_a_client_that_left_is_not_taken_back() -> None:
    """Nobody waits with it; its connect event stays for the worker that will come."""
    async with serving(reads=()) as rig:
        rig.handshake().lose()
        await elapse(30)
        assert rig.depth(CONNECT) == 1
        (await rig.job(CONNECT)).end()
        assert len(await disconnects(rig)) == 1


async def test_a_worker_that_died_with_the_connect_refuses() -> None:
    """The client is told 503 instead of waiting for its own limit."""
    async with serving() as rig:
        transport = rig.handshake()
        (await rig.job(CONNECT)).die()
        await elapse(4)
        assert status_of(transport) == 503
        assert "the worker that had it died" in rig.lines[0]
        assert await rig.is_quiet()


async def test_a_server_that_stops_refuses() -> None:
    """An undecided handshake is told 503, and its consumer still hears of the end."""
    async with serving() as rig:
        transport = rig.handshake()
        job: Job = await rig.job(CONNECT)
        rig.server.connections[job.reply_channel].close(1012, "server restarts", "server (stops)")
        assert status_of(transport) == 503
        assert rig.lines == ["WS REFUSED /chat 503 [192.0.2.7:50001]: server (stops)"]
        job.end()
        assert len(await disconnects(rig)) == 1


@pytest.mark.parametrize(("reply", "expected"), [({"accept": True}, 1), ({"text": "hi"}, 1), ({"close": True}, 0)])
async def test_nothing_is_written_to_a_connection_that_has_failed(reply: dict[str, Any], expected: int) -> None:
    """An answer that meets a broken connection goes nowhere; the disconnect depends on the consumer alone."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        transport.fail()
        job.end(reply)
        await idle()
        transport.lose(ConnectionResetError("reset"))
        assert len(await disconnects(rig)) == expected
        assert (transport.written, transport.late) == (b"", b"")


async def test_a_server_that_stops_leaves_a_refused_handshake_alone() -> None:
    """What is decided is not refused again."""
    async with serving() as rig:
        transport = rig.handshake()
        job = await rig.job(CONNECT)
        transport.lose()
        rig.server.connections[job.reply_channel].close(1012, "server restarts", "server (stops)")
        assert len(rig.lines) == 1
        job.end()


async def test_room_in_the_lanes_is_no_room_for_early_bytes() -> None:
    """A handshake that has sent too much early is not read again before its decision."""
    async with serving(max_lane_size=2000, max_lanes_size=2500) as rig:
        early = rig.handshake(early=text("x" * 2500))
        connect = await rig.job(CONNECT)
        socket = await rig.open()
        socket.say("y" * 1200, "y" * 1200)
        assert not socket.transport.reading
        (await rig.job(RECEIVE)).end()
        (await rig.job(RECEIVE)).end()
        await idle()
        assert (socket.transport.reading, early.reading) == (True, False)
        connect.end()
        (await rig.job(RECEIVE)).end()
        await idle()
        assert early.reading


async def test_the_session_of_the_connect_goes_to_the_next_events() -> None:
    """What the connect consumer stored is there for the first receive."""
    async with serving(reads=SOCKETS) as rig:
        socket = await rig.open(session=b"1:signed")
        socket.say("hello")
        assert (await rig.job(RECEIVE)).envelope.session == b"1:signed"
