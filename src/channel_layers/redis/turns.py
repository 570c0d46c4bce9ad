"""Turns of the Redis layer: each step is one script over the keys of one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channel_layers.envelope import queued_again
from channel_layers.exceptions import LayerUnavailable
from channel_layers.redis import entries
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.scripts import TURN
from channel_layers.turns import LEASE, LIFETIME, MAX_HELD, Outcome, Step

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer


def turning(step: Step, layer: RedisChannelLayer) -> Exchange[Outcome]:
    """Do one step, and send the messages whose turn it is then to their queues."""
    message = entries.encode_entry([step.message]) if step.message is not None else b""
    command = TURN.call(
        layer.keys.turns(step.channel),
        step.action,
        step.order,
        int(step.slight),
        step.patience,
        LEASE,
        LIFETIME,
        MAX_HELD,
        message,
    )
    ((verdict, wait, skipped, released),) = yield Request([command])
    if released:
        yield from _sending(released, layer)
    return Outcome(verdict.decode(), float(wait) if wait else None, skipped)


def _sending(released: list[bytes], layer: RedisChannelLayer) -> Exchange[None]:
    due = [queued_again(envelope) for held in released for envelope in entries.decode_entry(held)]
    try:
        yield from layer.writer.write(due)
    except LayerUnavailable as error:
        layer.losses.count("turn lost", f"messages that were held until their turn may be lost: {error}", len(due))
        raise
