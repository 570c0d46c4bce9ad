"""What becomes of contents that are aside: they go with the claim, and none is left that nobody needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from channel_layers import codec
from channel_layers.body import LIFETIME
from channel_layers.envelope import EVENT, MESSAGE, Envelope
from channel_layers.exceptions import LayerUnavailable
from channel_layers.redis import RedisChannelLayer, aside
from channel_layers.redis.entries import LONG
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.protocol import pack

PATIENCE = 10.0
NewLayer = Callable[..., RedisChannelLayer]


def event(token: int = 1, size: int = LONG, attempt: int = 0) -> Envelope:
    """Return a long event, or one of ``size`` bytes."""
    content = codec.encode({"bytes": bytes(size)})
    return Envelope(EVENT, "a", content, "test.reply.here!there", token, attempt=attempt)


def contents(layer: RedisChannelLayer) -> list[bytes]:
    """Return the keys of what is aside."""
    (keys,) = layer.say([pack("KEYS", f"{layer.keys.prefix}*content:*")])
    return list(keys)


def test_only_what_somebody_looks_after_is_aside(layer: RedisChannelLayer) -> None:
    """A message of nobody may wait in its queue for any time, and is in it whole; so is what is short."""
    layer.write([event(1), event(2, 10), Envelope(MESSAGE, "b", event().content)])
    assert len(contents(layer)) == 1
    assert layer.receive(["b"])[1] == {"bytes": bytes(LONG)}


@pytest.mark.parametrize("take", [1, 40])
def test_contents_go_with_their_claims(layer: RedisChannelLayer, new_layer: NewLayer, take: int) -> None:
    """Of those that are put back or still queued they stay."""
    layer.write([event(token) for token in range(1, 41)])
    with new_layer().open_slot() as slot:
        taken = slot.take({"a": take}, take, PATIENCE)
        assert len(contents(layer)) == 40
        slot.settle([])
        assert len(contents(layer)) == 40 - len(taken)


def test_contents_go_with_what_was_retracted_or_dropped(layer: RedisChannelLayer) -> None:
    """At once; of an event that a worker has they stay."""
    events = [event(token) for token in (1, 2, 3)]
    layer.write(events)
    with layer.open_slot() as slot:
        slot.take({"a": 1}, 1, PATIENCE)
        assert [layer.retract(envelope) for envelope in events[:2]] == [False, True]
        assert len(contents(layer)) == 2
        layer.say([pack("RPUSH", layer.keys.queue("a"), "no element")])
        layer.drop_queue("a")
        assert len(contents(layer)) == 1
        slot.settle([])
    assert contents(layer) == []


def test_a_refused_request_leaves_nothing(new_layer: NewLayer) -> None:
    """Under a flood of requests this would be all that grows."""
    layer = new_layer(capacity=1)
    requests = [Envelope(MESSAGE, "a", event().content, f"test.reply.here!{n}", 1) for n in range(3)]
    assert len(layer.write(requests)) == 2
    assert len(contents(layer)) == 1


def test_contents_live_while_somebody_looks_after_their_events(layer: RedisChannelLayer) -> None:
    """Each look lets them live on; when nobody looks they go in the end."""
    sent = event()
    layer.write([sent])
    (key,) = contents(layer)
    assert LIFETIME < layer.say([pack("TTL", key)])[0] <= LIFETIME + aside.GRACE
    layer.say([pack("EXPIRE", key, 5)])
    assert layer.find_lost([sent]) == []
    assert layer.say([pack("TTL", key)])[0] > LIFETIME


def test_an_event_whose_content_is_gone_is_not_run(layer: RedisChannelLayer) -> None:
    """It is counted, and its owner finds it lost; the others run."""
    events = [event(1), event(2)]
    layer.write(events)
    layer.say([pack("DEL", layer.keys.content(f"{events[0].owner}:1.0"))])
    with layer.open_slot() as slot:
        (taken,) = slot.take({"a": 2}, 2, PATIENCE)
        assert (taken.token, taken.content) == (2, events[1].content)
        slot.settle([])
    assert layer.losses.counts == {"content gone": 1}
    assert layer.find_lost(events) == events


def test_an_event_without_content_alone_is_given_up(layer: RedisChannelLayer) -> None:
    """A slot does not wait for an end that nobody will bring about."""
    sent = event()
    layer.write([sent])
    layer.say([pack("DEL", *contents(layer))])
    with layer.open_slot() as slot:
        assert slot.take({"a": 1}, 1, 0) == []
        assert layer.find_lost([sent]) == [sent]


@pytest.mark.parametrize("with_answers", [False, True])
def test_a_fetch_that_fails_loses_nothing(
    layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch, with_answers: bool
) -> None:
    """What is claimed comes with the next take, whole."""
    sent = event()
    layer.write([sent])
    fetching = aside.fetching

    def failing(envelopes: list[Envelope], layer: RedisChannelLayer) -> Exchange[set[int]]:
        monkeypatch.setattr(aside, "fetching", fetching)
        yield Request([])
        raise LayerUnavailable("it broke")

    monkeypatch.setattr(aside, "fetching", failing)
    with layer.open_slot() as slot:
        if with_answers:
            assert slot.settle_before_take([], {"a": 1}, 1) == []
        (taken,) = slot.take({"a": 1}, 1, PATIENCE)
        assert taken.content == sent.content
        slot.settle([])
    assert contents(layer) == []


def test_a_claim_that_is_sent_back_has_its_new_content(layer: RedisChannelLayer) -> None:
    """And the old one goes."""
    custody = layer.open_custody()
    layer.write([event()])
    with layer.open_slot() as slot:
        (taken,) = slot.take({"a": 1}, 1, PATIENCE)
        slot.hand_over([taken], custody)
    again = event(size=2 * LONG, attempt=1)
    custody.send_back(taken, again)
    assert contents(layer) == [layer.keys.content(f"{again.owner}:1.1").encode()]
    with layer.open_slot() as slot:
        assert slot.take({"a": 1}, 1, PATIENCE)[0].content == again.content
        slot.settle([])
    assert contents(layer) == []
