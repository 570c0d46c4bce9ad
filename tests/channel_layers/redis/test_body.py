"""What a piece of a response costs; what becomes of it is in the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from channel_layers.body import ROOM
from channel_layers.envelope import read_piece
from channel_layers.redis import RedisChannelLayer
from channel_layers.redis.exchange import Request
from channel_layers.redis.protocol import Replies

NewLayer = Callable[..., RedisChannelLayer]


@pytest.fixture
def writes(layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of commands of each write of ``layer``."""
    sent: list[int] = []
    ask = layer.connections._writing.ask

    def counting(request: Request, patience: float | None = None) -> Replies:
        sent.append(len(request.said_in("")))
        return ask(request, patience)

    monkeypatch.setattr(layer.connections._writing, "ask", counting)
    return sent


def test_a_piece_is_one_write(layer: RedisChannelLayer, new_layer: NewLayer, writes: list[int]) -> None:
    """Look for room, store it and append its name; a long beginning is stored and named in the same write."""
    reply = new_layer().open_inbox("test").new_channel()
    body = layer.open_body(reply)
    body.write(bytes(1000), True, 1, [layer.message(reply, {"content": bytes(64 * 1024)})])
    body.write(bytes(1000), False, 1)
    assert writes == [4, 3]


def test_a_full_body_costs_one_look_more(layer: RedisChannelLayer, new_layer: NewLayer, writes: list[int]) -> None:
    """At what was fetched meanwhile, before it waits."""
    reader = new_layer()
    inbox = reader.open_inbox("test")
    reply = inbox.new_channel()
    body = layer.open_body(reply)
    body.write(bytes(ROOM), True, 1)
    ((_, named),) = inbox.receive(10)
    reader.fetch_piece(reply, read_piece(named))
    body.write(bytes(ROOM), True, 1)
    assert writes == [3, 1, 3]
