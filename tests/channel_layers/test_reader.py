"""Readers where the layer goes away."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layers import codec
from channel_layers.envelope import EVENT, Envelope
from channel_layers.exceptions import AnswerLost, LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.reader import AHEAD, Reader

QUEUE = "body?1"


def events(owner: str, n: int) -> list[Envelope]:
    """Return ``n`` chunks; the last of them says so."""
    contents: list[dict[str, Any]] = [{"n": token, "last": token == n} for token in range(1, n + 1)]
    return [Envelope(EVENT, QUEUE, codec.encode(each), owner, each["n"]) for each in contents]


@pytest.mark.parametrize("verb", ["settle", "settle_before_take"])
def test_a_settle_that_fails_costs_no_message(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """What was taken is returned by the next call, and settled with what comes behind it."""
    layer = MemoryChannelLayer()
    inbox = layer.inbox("tests.reply")
    sent = events(inbox.new_channel(), 2 * AHEAD)
    layer.write(sent)
    reader = Reader(layer, QUEUE, lambda content: content["last"])
    fails = iter([True])
    real = getattr(reader._slot, verb)

    def settle(*arguments: Any, **named: Any) -> Any:
        if next(fails, False):
            raise LayerUnavailable("away")
        return real(*arguments, **named)

    monkeypatch.setattr(reader._slot, verb, settle)
    with pytest.raises(LayerUnavailable):
        reader.receive(0)
    found = [(reader.receive(0) or {})["n"] for _ in sent]
    reader.close()
    assert found == [envelope.token for envelope in sent]
    assert [envelope.token for _, envelope in inbox.receive(0)] == found
    layer.close()


def test_what_a_take_may_have_claimed_that_failed_is_not_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else reads the queue, which may have been dropped by now."""
    layer = MemoryChannelLayer()
    inbox = layer.inbox("tests.reply")
    layer.write(events(inbox.new_channel(), AHEAD))
    reader = Reader(layer, QUEUE, lambda content: content["last"])

    def away(*arguments: Any) -> Any:
        raise AnswerLost("its answer was lost")

    with monkeypatch.context() as patched:
        patched.setattr(reader._slot, "take", away)
        with pytest.raises(AnswerLost):
            reader.receive(0)
    reader.close()
    assert layer.depth(QUEUE) == 0
    assert len(inbox.receive(0)) == AHEAD
    layer.close()


@pytest.mark.parametrize("verb", ["take", "settle"])
def test_closing_where_the_layer_is_away_raises_nothing(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """The slot is closed all the same."""
    layer = MemoryChannelLayer()
    layer.write(events(layer.inbox("tests.reply").new_channel(), 2 * AHEAD))
    reader = Reader(layer, QUEUE, lambda content: content["last"])
    assert reader.receive(0) is not None

    def away(*arguments: Any) -> Any:
        raise LayerUnavailable("away")

    monkeypatch.setattr(reader._slot, verb, away)
    reader.close()
    assert not layer.slots
    layer.close()
