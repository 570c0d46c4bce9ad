"""What every connection with a lane does, whatever its phase; ends and phases have tests of their own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from channel_layers.envelope import AGAIN, Envelope
from channel_layers.exceptions import ChannelFull, LayerUnavailable
from channel_layers.slot import Refused
from channel_layers.verbs.writing import Written
from tests.daphne.serving import CONNECT, RECEIVE, Rig, serving
from tests.daphne.virtual_time import elapse, idle


def break_layer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every write of the server fail."""

    def start_write(envelopes: Sequence[Envelope], written: Written) -> None:
        written([], LayerUnavailable("no answer within 5 s"))

    monkeypatch.setattr(rig.layer, "start_write", start_write)


async def test_an_event_waits_for_a_layer_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the client said is lost or overtaken."""
    async with serving() as rig:
        client = await rig.open()
        break_layer(rig, monkeypatch)
        client.say("first", "second")
        await elapse(30)
        monkeypatch.undo()
        await elapse(1)
        job = await rig.job(RECEIVE)
        assert (job.content["text"], job.content["order"]) == ("first", 1)
        job.end()
        job = await rig.job(RECEIVE)
        assert (job.content["text"], job.content["order"]) == ("second", 2)
        job.end()
        await idle()
        assert rig.server.lanes_size == 0


async def test_an_event_that_the_layer_refused_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket stays open, and its next event is sent."""

    def start_write(envelopes: Sequence[Envelope], written: Written) -> None:
        written([Refused(envelope, ChannelFull(RECEIVE, 1, 1, 0.0, "capacity")) for envelope in envelopes], None)

    async with serving() as rig:
        client = await rig.open()
        monkeypatch.setattr(rig.layer, "start_write", start_write)
        client.say("lost")
        await idle()
        monkeypatch.undo()
        assert (rig.server.losses.counts["event refused"], rig.server.lanes_size) == (1, 0)
        client.say("heard")
        job = await rig.job(RECEIVE)
        assert (job.content["text"], job.content["order"]) == ("heard", 2)
        job.end()


async def test_a_handshake_that_the_layer_did_not_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is told 503, the log why."""
    async with serving() as rig:
        break_layer(rig, monkeypatch)
        transport = rig.handshake()
        await idle()
        monkeypatch.undo()
        assert transport.written.startswith(b"HTTP/1.1 503 ")
        assert rig.lines == ["WS REFUSED /chat 503 [192.0.2.7:50001]: no answer within 5 s"]


async def test_the_delay_before_another_attempt_has_a_limit() -> None:
    """It doubles up to 5 seconds, and counts from the end of the attempt before it."""
    async with serving(handshake_timeout=1000) as rig:
        rig.handshake()
        for attempt in range(12):
            job = await rig.job(CONNECT)
            assert job.envelope.attempt == attempt
            job.end(outcome=AGAIN)
            await elapse(min(0.05 * 2 ** (attempt + 1), 5) - 0.01)
            assert rig.depth(CONNECT) == 0
            await elapse(0.02)


async def test_a_settlement_for_a_lane_at_rest_is_ignored() -> None:
    """Nothing is under way that it could end."""
    async with serving() as rig:
        client = await rig.open()
        client.say("a")
        job = await rig.job(RECEIVE)
        job.end()
        await idle()
        job.end(outcome=AGAIN)
        await elapse(5)
        assert await rig.is_quiet()
