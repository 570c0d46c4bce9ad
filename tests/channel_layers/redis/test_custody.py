"""Custodies of the Redis layer whose answers are lost; what holds for all custodies is in the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from channel_layers.conformance.harness import drained
from channel_layers.envelope import Envelope
from channel_layers.exceptions import AnswerLost, LayerUnavailable
from channel_layers.redis import RedisChannelLayer
from channel_layers.redis.custody import RedisCustody
from channel_layers.redis.exchange import Exchange
from channel_layers.redis.writer import Claim
from channel_layers.slot import Refused
from tests.channel_layers.redis.server import RedisServer

PATIENCE = 10.0
Written = Exchange[list[Refused]]


def held(layer: RedisChannelLayer, n: int = 2) -> tuple[RedisCustody, list[Envelope]]:
    """Return a custody, and the messages it holds, each of which may be delivered again."""
    custody = layer.open_custody()
    assert isinstance(custody, RedisCustody)
    for number in range(n):
        layer.send("jobs", {"n": number})
    taken: list[Envelope] = []
    with layer.open_slot({"jobs": 3}) as slot:
        while len(taken) < n:
            taken += (new := slot.take({"jobs": 1}, 1, PATIENCE))
            slot.hand_over(new, custody)
    return custody, taken


def losing(
    layer: RedisChannelLayer, error: LayerUnavailable, *, arrives: bool
) -> Callable[..., Exchange[list[Refused]]]:
    """Return what stands for the writer of a layer, and loses the answer once."""
    write = layer.writer.write
    errors = [error]

    def lost(envelopes: list[Envelope], claim: Claim) -> Written:
        if not errors:
            return (yield from write(envelopes, claim))
        if arrives:
            yield from write(envelopes, claim)
        raise errors.pop()

    return lost


@pytest.mark.parametrize("arrives", [True, False])
def test_what_may_have_ended_is_not_delivered_again(
    layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    """A custody that is closed ends that first, and then gives up the rest."""
    custody, (first, _) = held(layer)
    monkeypatch.setattr(layer.writer, "write", losing(layer, AnswerLost("no answer"), arrives=arrives))
    with pytest.raises(AnswerLost):
        custody.settle([first], [])
    custody.close()
    assert [content["n"] for _, content in drained(layer, "jobs")] == [1]
    assert layer.dead_letters() == []
    assert layer.say([b"*2\r\n$6\r\nEXISTS\r\n$%d\r\n%s\r\n" % (len(custody.claims), custody.claims.encode())]) == [0]


def test_what_has_certainly_not_ended_is_held(layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And delivered again when the custody is closed."""
    custody, (first, _) = held(layer)
    monkeypatch.setattr(layer.writer, "write", losing(layer, LayerUnavailable("away"), arrives=False))
    with pytest.raises(LayerUnavailable):
        custody.settle([first], [])
    custody.close()
    assert sorted(content["n"] for _, content in drained(layer, "jobs")) == [0, 1]


def test_it_is_closed_without_a_server(
    own_server: RedisServer, new_layer: Callable[..., RedisChannelLayer], caplog: pytest.LogCaptureFixture
) -> None:
    """Then its claims end when its process is found dead; a line says so."""
    layer = new_layer(hosts=own_server.url, timeout=0.1)
    custody, _ = held(layer)
    own_server.kill()
    custody.close()
    assert f"custody {custody.name} could not give up its claims: the layer is away" in caplog.text


def test_an_empty_one_says_nothing(layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no server to be closed, or to put nothing back."""
    custody, taken = held(layer)
    custody.settle(taken, [])
    monkeypatch.setattr(layer, "connections", None)
    custody.close()
