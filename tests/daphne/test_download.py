"""Responses on their way out: whole, in order, and no more of them here than a client that reads slowly may cost."""

from __future__ import annotations

import logging

import pytest

from channel_layers.body import PIECE_SIZE, ROOM
from channel_layers.envelope import Piece, piece
from channel_layers.exceptions import AnswerLost, LayerUnavailable, ReaderGone
from daphne.download import WRITE_SIZE
from tests.daphne.serving import REQUEST, Job, Rig, serving
from tests.daphne.virtual_time import elapse, idle
from tests.daphne.wire import Transport, get, read_answer

MIB = 1024 * 1024
PATTERN = bytes(range(251)) * (PIECE_SIZE // 251 + 1)


class Writer:
    """A worker that answers one request with a long body, as fast as there is room."""

    def __init__(self, rig: Rig, job: Job, size: int) -> None:
        self.job = job
        self.size = size
        self.sent = 0
        headers = [(b"Content-Length", str(size).encode())]
        job.send({"status": 200, "headers": headers, "content": b"", "more_content": True})
        self._body = rig.layer.open_body(job.reply_channel)

    def write(self) -> None:
        """Write until there is no room, or nothing left; the end ends the consumer."""
        while self.sent < self.size:
            data = PATTERN[: min(PIECE_SIZE, self.size - self.sent)]
            try:
                self._body.write(data, self.sent + len(data) < self.size, 0)
            except TimeoutError:
                return
            self.sent += len(data)
        self.job.end()

    async def write_all(self) -> None:
        """Write everything, to a client that reads."""
        while self.sent < self.size:
            self.write()
            await idle()


def expected(size: int) -> bytes:
    """Return the body of ``size`` bytes."""
    whole, rest = divmod(size, PIECE_SIZE)
    return PATTERN[:PIECE_SIZE] * whole + PATTERN[:rest]


async def request(rig: Rig, size: int) -> tuple[Transport, Writer]:
    """Return a client that has asked for ``size`` bytes, and who writes them."""
    client = rig.connect()
    client.feed(get())
    return client, Writer(rig, await rig.job(REQUEST), size)


@pytest.mark.parametrize("size", [1, PIECE_SIZE, PIECE_SIZE + 1, 5 * MIB])
async def test_a_long_body_arrives_whole(size: int) -> None:
    """And the connection serves another request after it."""
    async with serving() as rig:
        client, writer = await request(rig, size)
        await writer.write_all()
        assert read_answer(client.take()).body == expected(size)
        assert rig.lines == [f'"GET / HTTP/1.1" 200 {size}']
        client.feed(get("/next"))
        (await rig.job(REQUEST)).end({"status": 204})
        await idle()
        assert read_answer(client.take()).status == 204


async def test_pieces_and_messages_keep_their_order() -> None:
    """A message behind pieces waits until they were fetched."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        body = rig.layer.open_body(job.reply_channel)
        job.send({"status": 200, "content": b"1", "more_content": True})
        body.write(b"2", True, 0)
        body.write(b"3", True, 0)
        job.end({"content": b"4"})
        await idle()
        assert read_answer(client.take()).body == b"1234"


async def test_a_slow_client_costs_its_spool() -> None:
    """The worker is done with what the spool takes; with more it waits in its own process."""
    async with serving(max_spool_size=4 * MIB) as rig:
        client, writer = await request(rig, 20 * MIB)
        client.stalled = True
        for _ in range(100):
            writer.write()
            await idle()
        held = writer.sent - len(client.written)
        assert 4 * MIB <= held <= 4 * MIB + ROOM + 2 * PIECE_SIZE
        assert 4 * MIB <= rig.server.spools_size < 4 * MIB + 2 * PIECE_SIZE
        while writer.sent < writer.size or rig.server.spools_size:
            client.drain()
            writer.write()
            await idle()
        assert read_answer(client.take()).body == expected(20 * MIB)


async def test_a_client_that_does_not_read_frees_its_worker() -> None:
    """A response that the spool takes is done for the worker; the line of the log comes with its last byte."""
    async with serving() as rig:
        client, writer = await request(rig, 8 * MIB)
        client.stalled = True
        await writer.write_all()
        assert (writer.sent, rig.lines) == (8 * MIB, [])
        while not rig.lines:
            before = len(client.written)
            client.drain()
            assert len(client.written) - before <= 2 * WRITE_SIZE
            await idle()
        assert read_answer(client.take()).body == expected(8 * MIB)
        assert rig.server.spools_size == 0


async def test_spools_of_all_clients_are_limited_together() -> None:
    """One that reads gets its response all the same."""
    async with serving(max_spools_size=2 * MIB) as rig:
        clients = [await request(rig, 4 * MIB) for _ in range(3)]
        for client, _ in clients:
            client.stalled = True
        for _ in range(50):
            for _, writer in clients:
                writer.write()
            await idle()
        assert 2 * MIB <= rig.server.spools_size <= 2 * MIB + 3 * PIECE_SIZE
        fast, writer = await request(rig, 4 * MIB)
        await writer.write_all()
        assert read_answer(fast.take()).body == expected(4 * MIB)
        for client, _ in clients:
            client.lose()
        await idle()
        assert rig.server.spools_size == 0


async def test_a_client_that_takes_nothing_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    """One that takes a little at a time is not."""
    async with serving(send_timeout=60) as rig:
        client, writer = await request(rig, 8 * MIB)
        client.stalled = True
        await writer.write_all()
        for _ in range(5):
            client.drain(1000)
            await elapse(50)
            assert not client.aborted
        with caplog.at_level(logging.WARNING, "daphne"):
            await elapse(121)
        assert client.aborted
        assert "GET / is cut off: its client has taken nothing for 60 s (send_timeout)" in caplog.text
        assert rig.server.spools_size == 0


async def test_a_writer_learns_that_its_client_has_gone() -> None:
    """At the next piece, so that it does not go on for nobody."""
    async with serving() as rig:
        client, writer = await request(rig, 20 * MIB)
        writer.write()
        client.lose()
        await idle()
        with pytest.raises(ReaderGone):
            writer.write()
        assert rig.lines == ['"GET / HTTP/1.1" 499 0']


async def test_a_response_to_a_request_that_was_answered_is_refused() -> None:
    """The answer was ours: the time was over."""
    async with serving(http_timeout=5) as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        await elapse(6)
        assert read_answer(client.take()).status == 503
        writer = Writer(rig, job, 20 * MIB)
        writer.write()
        await idle()
        with pytest.raises(ReaderGone):
            writer.write()


async def test_a_piece_that_is_gone_cuts_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """It must not pass for whole."""
    async with serving() as rig:
        client, writer = await request(rig, MIB)
        rig.layer.write([piece(writer.job.reply_channel, "gone", 10, True)])
        await idle()
        assert client.aborted
        assert "a part of its body is gone" in caplog.text


@pytest.mark.parametrize("arrived", [False, True])
async def test_a_layer_that_is_away(arrived: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is asked for again, unless it may have been taken away by the question already."""
    async with serving() as rig:
        client, writer = await request(rig, PIECE_SIZE)
        fetch, errors = rig.layer.afetch_piece, 3

        async def failing(channel: str, wanted: Piece) -> bytes | None:
            nonlocal errors
            errors -= 1
            if errors >= 0:
                raise AnswerLost("gone") if arrived else LayerUnavailable("away")
            return await fetch(channel, wanted)

        monkeypatch.setattr(rig.layer, "afetch_piece", failing)
        await writer.write_all()
        await elapse(5)
        assert client.aborted is arrived
        if not arrived:
            assert read_answer(client.take()).body == expected(PIECE_SIZE)


async def test_a_response_that_is_finished_slowly_ends_with_the_server() -> None:
    """A stop waits for what is in the spool as for any response."""
    async with serving() as rig:
        client, writer = await request(rig, 2 * MIB)
        client.stalled = True
        await writer.write_all()
        client.protocol.close(1001, "the server ends", "the server ends")  # type: ignore[attr-defined]
        while not client.is_closing():
            client.drain()
            await idle()
        result = read_answer(client.take())
        assert (result.body, rig.lines) == (expected(2 * MIB), [f'"GET / HTTP/1.1" 200 {2 * MIB}'])


async def test_parts_to_a_slow_client_wait_in_order() -> None:
    """Messages of a stream wait where pieces do."""
    async with serving() as rig:
        client = rig.connect()
        client.feed(get())
        job = await rig.job(REQUEST)
        client.stalled = True
        parts = [bytes([65 + n % 26]) * 30_000 for n in range(20)]
        job.send({"status": 200, "content": b"", "more_content": True})
        for part in parts:
            job.send({"content": part, "more_content": True})
        job.end({"content": b""})
        await idle()
        assert rig.server.spools_size > 15 * 30_000
        while not rig.lines:
            client.drain()
            await idle()
        assert read_answer(client.take()).body == b"".join(parts)
