"""Who is in a group, asked of the processes that hold its members.

They are asked by an entry of their inboxes, so an answer knows of every join and leave that came before the
question. The alternative, a copy of all memberships in Redis, would cost a write for every connection that ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from channel_layers.envelope import Envelope
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.protocol import pack
from channel_layers.redis.routing import ALWAYS, Batches

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer

ASK: Final = 100
"""Kind of an entry: say who is in the group ``target``; ``owner`` is the name of the question."""
ANSWER_TIMEOUT: Final = 2.0
"""Seconds a process has to answer. One that does not is left out, and that is logged."""
ANSWER_LIFETIME: Final = 60
"""Seconds after which an answer that came too late is deleted."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[str])


def answering(key: str, members: Sequence[str]) -> list[bytes]:
    """Return the commands that answer a question with ``members``."""
    return [pack("RPUSH", key, _encoder.encode(members)), pack("EXPIRE", key, ANSWER_LIFETIME)]


def members_of(group: str, layer: RedisChannelLayer) -> Exchange[list[str]]:
    """Return the members of ``group``, those whose joins wait in an inbox included."""
    (reached,) = yield Request([pack("HGETALL", layer.keys.group(group))])
    registered = {name.decode(): value for name, value in zip(reached[::2], reached[1::2], strict=True)}
    inboxes = [name for name in registered if name.endswith("!")]
    members = [name for name in registered if not name.endswith("!")]
    members += yield from _here(group, [name for name in inboxes if name in layer.local_inboxes], layer)
    elsewhere = {name: registered[name] for name in inboxes if name not in layer.local_inboxes}
    if elsewhere:
        members += yield from _elsewhere(group, elsewhere, layer)
    return members


def _here(group: str, inboxes: Sequence[str], layer: RedisChannelLayer) -> Exchange[list[str]]:
    """Ask the inboxes of this process, whose reader may be the one who asks."""
    if not inboxes:
        return []
    waiting = yield Request([pack("XRANGE", layer.keys.stream(name), "-", "+") for name in inboxes])
    found = [(layer.local_inboxes.get(name), unread) for name, unread in zip(inboxes, waiting, strict=True)]
    return [member for inbox, unread in found if inbox for member in inbox.members_to_be(group, unread)]


def _elsewhere(group: str, inboxes: dict[str, bytes], layer: RedisChannelLayer) -> Exchange[list[str]]:
    question = os.urandom(8).hex()
    batches = Batches()
    for name, registered in inboxes.items():
        batches.add(name, Envelope(ASK, group, owner=question), ALWAYS, group, registered)
    orphaned = yield from layer.writer.deliver(batches)
    found = yield from _answers(layer.keys.answers(question), len(inboxes) - orphaned)
    missing = len(inboxes) - orphaned - len(found)
    if missing:
        detail = f"{missing} of {len(inboxes)} processes did not say who is in group {group!r}"
        layer.losses.count("no answer", detail, missing)
    return [member for members in found for member in members]


def _answers(key: str, n: int) -> Exchange[list[list[str]]]:
    deadline = time.monotonic() + ANSWER_TIMEOUT
    found: list[list[str]] = []
    while len(found) < n and (left := deadline - time.monotonic()) > 0:
        (reply,) = yield Request([pack("BLPOP", key, left)], left)
        if reply is not None:
            found.append(_decoder.decode(reply[1]))
    return found
