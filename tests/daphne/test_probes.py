"""What orchestrators and load balancers are told, in each state that a server can be in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from channel_layers.exceptions import LayerDeclined, LayerUnavailable
from channel_layers.registry import Announcement
from daphne.http_connection import HttpConnection
from daphne.probes import FRESH, LIVE, PATIENCE, READY
from tests.daphne.serving import CONNECT, RECEIVE, REQUEST, Rig, serving
from tests.daphne.virtual_time import elapse, idle
from tests.daphne.wire import Answer, Transport, get, post, read_answer

NOBODY = "no worker reads http.request or websocket.connect; start one with: python manage.py runworker"


async def probe(rig: Rig, path: str = READY, client: Transport | None = None) -> tuple[int, str]:
    """Return status and text of the answer to a probe."""
    client = client or rig.connect()
    client.feed(get(path))
    await elapse(PATIENCE + 0.1)
    answer = read_answer(client.take())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.body.endswith(b"\n")
    return answer.status, answer.body.decode().removesuffix("\n")


def own_port(rig: Rig) -> Transport:
    """Return a connection to the port that is for probes alone."""
    transport = Transport(HttpConnection(rig.server, only_probes=True))
    rig.transports.append(transport)
    return transport


def away(error: Exception | None) -> Callable[[], object]:
    """Return what a layer does that is away: it fails, or does not answer."""

    async def processes() -> list[Announcement]:
        if error is None:
            await asyncio.Event().wait()
        raise error or AssertionError

    return processes


async def test_a_server_with_workers_is_ready() -> None:
    """And alive; no worker is asked, and no line is written for it."""
    async with serving() as rig:
        assert await probe(rig, LIVE) == (200, "live")
        assert await probe(rig) == (200, "ready")
        assert await rig.is_quiet()
        assert rig.lines == []


@pytest.mark.parametrize(
    ("reads", "expected"),
    [((REQUEST,), 200), ((CONNECT,), 200), ((RECEIVE, "thumbnails"), 503), ((), 503)],
)
async def test_without_a_worker_that_answers_it_is_not_ready(reads: tuple[str, ...], expected: int) -> None:
    """One for requests or for handshakes will do, one for other work will not. It is alive all the same."""
    async with serving(reads=reads) as rig:
        assert (await probe(rig))[0] == expected
        assert await probe(rig, LIVE) == (200, "live")


async def test_it_is_ready_as_soon_as_a_worker_is_there() -> None:
    """Nobody waits for a heartbeat."""
    async with serving(reads=()) as rig:
        assert await probe(rig) == (503, "not ready")
        rig.read(REQUEST)
        await elapse(FRESH)
        assert await probe(rig) == (200, "ready")


@pytest.mark.parametrize("error", [LayerUnavailable("away"), LayerDeclined("not allowed"), None], ids=repr)
async def test_while_the_layer_is_away_it_is_not_ready(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it refuses, fails or says nothing; the answer comes within the second that others wait for it."""
    async with serving() as rig:
        assert await probe(rig) == (200, "ready")
        await elapse(FRESH)
        with monkeypatch.context() as changed:
            changed.setattr(rig.layer, "aprocesses", away(error))
            assert await probe(rig) == (503, "not ready")
            assert await probe(rig, LIVE) == (200, "live")
        await elapse(FRESH)
        assert await probe(rig) == (200, "ready")


async def test_while_it_ends_it_is_not_ready() -> None:
    """It is alive until it has ended, and says so on its own port."""
    async with serving() as rig:
        before, after = own_port(rig), own_port(rig)
        assert await probe(rig, READY, before) == (200, "ready")
        rig.server.is_ending = True
        assert await probe(rig, READY, before) == (503, "not ready: this server ends")
        assert before.lost
        assert await probe(rig, LIVE, after) == (200, "live")


async def test_only_its_own_port_says_why() -> None:
    """An operator learns what to run; a stranger learns nothing, but in debug."""
    async with serving(reads=()) as rig:
        assert await probe(rig, READY, own_port(rig)) == (503, f"not ready: {NOBODY}")
        assert await probe(rig, READY) == (503, "not ready")
    async with serving(reads=(), debug=True) as rig:
        assert await probe(rig, READY) == (503, f"not ready: {NOBODY}")


async def test_its_own_port_answers_nothing_else() -> None:
    """It may be open to others than the site."""
    async with serving() as rig:
        client = own_port(rig)
        client.feed(get("/"))
        await idle()
        assert (read_answer(client.take()).status, client.lost) == (404, True)
        assert await rig.is_quiet()


async def test_probes_can_be_turned_off() -> None:
    """The application then has these paths for itself."""
    async with serving(probes=False) as rig:
        client = rig.connect()
        client.feed(get(READY))
        job = await rig.job(REQUEST)
        assert job.content["path"] == READY
        job.end({"status": 204})
        assert await probe(rig, READY, own_port(rig)) == (200, "ready")


async def test_asking_often_does_not_make_the_layer_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked once a second, however many ask at once or after one another."""
    async with serving() as rig:
        asked, processes = 0, rig.layer.aprocesses

        async def counted() -> list[Announcement]:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.1)
            return await processes()

        monkeypatch.setattr(rig.layer, "aprocesses", counted)
        clients = [rig.connect() for _ in range(100)]
        for client in clients:
            client.feed(get(READY) * 3)
        await elapse(0.5)
        assert asked == 1
        for client in clients:
            answer = read_answer(client.take())
            for _ in range(2):
                assert answer.status == 200
                answer = read_answer(answer.rest)
            assert answer.rest == b""
        await elapse(FRESH)
        await probe(rig)
        assert asked == 2


async def test_probes_stand_in_line_with_requests() -> None:
    """Answers come in the order of the questions."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get("/one") + get(LIVE) + get("/two"))
        (await rig.job(REQUEST)).end({"status": 200, "content": b"one"})
        (await rig.job(REQUEST)).end({"status": 200, "content": b"two"})
        await idle()
        bodies, rest = [], client.take()
        while rest:
            answer: Answer = read_answer(rest)
            bodies.append(answer.body)
            rest = answer.rest
        assert bodies == [b"one", b"live\n", b"two"]


async def test_a_great_many_probes_at_once_are_answered() -> None:
    """One after another, without a tower of calls."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get(LIVE) * 3000)
        await idle()
        assert client.take().count(b"live\n") == 3000


async def test_a_head_request_has_no_body() -> None:
    """Some load balancers ask in this way."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get(LIVE).replace(b"GET", b"HEAD"))
        await idle()
        answer = read_answer(client.take(), "HEAD")
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", b"")


@pytest.mark.parametrize("path", [LIVE, READY])
async def test_a_probe_only_asks(path: str) -> None:
    """Other methods are refused, with a body or without."""
    async with serving() as rig:
        for request in (post(b"", "X: 1"), post(b"hello")):
            client = rig.connect()
            client.feed(request.replace(b"/form", path.encode()))
            await idle()
            answer = read_answer(client.take())
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert await rig.is_quiet()


async def test_a_client_that_does_not_wait_for_its_answer() -> None:
    """It is forgotten; the layer's answer may come later."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get(READY))
        client.lose()
        await elapse(1)
        assert (client.written, client.late, rig.lines) == (b"", b"", [])
