"""Where the envelopes of one write go: what is asked first, and what is sent to each queue and inbox."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import structs

from channel_layers.envelope import DONE, GROUP, JOIN, LEAVE, MESSAGE, Envelope
from channel_layers.names import inbox_of
from channel_layers.redis import entries
from channel_layers.redis.keys import Keys
from channel_layers.redis.protocol import pack
from channel_layers.redis.scripts import REGISTER

ALWAYS: Final = "a"
JOINING: Final = "j"
GROUPED: Final = "g"
DIRECT: Final = "m"


class Item(NamedTuple):
    """One envelope on its way to one queue or inbox, ``target``.

    ``letter`` says what an inbox does with it when it is full. ``registered`` is when the target was registered for
    the group of the envelope, as it stands there. ``key`` is where an entry is that is too long for a stream.
    """

    target: str
    data: bytes
    envelope: Envelope
    letter: str = DIRECT
    registered: bytes = b""
    key: str = ""


Batches = dict[str, list[Item]]
"""What goes to each target, in the order the commands are sent."""


def addressee(envelope: Envelope) -> str:
    """Return the channel whose queue or inbox an envelope goes to: a join goes where its member is."""
    return envelope.owner if envelope.kind in (JOIN, LEAVE) else envelope.target


def question(envelope: Envelope, keys: Keys) -> bytes | None:
    """Return the command whose answer is needed before anything is sent, or ``None``.

    A group is asked for whom it reaches. A join is registered, so that whoever knows of it finds the member's inbox
    in the group, before its entry is sent.
    """
    if envelope.kind == GROUP:
        return pack("HGETALL", keys.group(envelope.target))
    if envelope.kind == JOIN:
        member = inbox_of(envelope.owner) or envelope.owner
        return REGISTER.call([keys.group(envelope.target)], member)
    if envelope.kind == LEAVE and "!" not in envelope.owner:
        return pack("HDEL", keys.group(envelope.target), envelope.owner)
    return None


def items(envelope: Envelope, answer: object) -> Iterator[Item]:
    """Yield what is sent for ``envelope``, given the answer to its :func:`question`."""
    channel = addressee(envelope)
    if envelope.kind == GROUP:
        assert isinstance(answer, list)
        yield from _group_items(envelope, answer)
    elif "!" in channel:
        registered = answer if isinstance(answer, bytes) else b""
        inbox = inbox_of(channel) or ""
        yield Item(inbox, entries.encode(envelope), envelope, _letter(envelope), registered)
    elif envelope.kind not in (JOIN, LEAVE):
        yield Item(channel, entries.queue_element(envelope), envelope)


def batched(found: Iterable[Item]) -> Batches:
    """Return ``found`` by target. A target stands where its last item stood: what settles an event comes last."""
    batches: Batches = {}
    for item in found:
        earlier = batches.pop(item.target, [])
        earlier.append(item)
        batches[item.target] = earlier
    return batches


def stages(found: Sequence[Item]) -> list[Sequence[Item]]:
    """Return ``found`` in parts, each of which is sent when the one before it was acknowledged.

    What settles an event may not arrive before the other messages of its run, and these may have to wait for room
    in an inbox other than its own.
    """
    waiting = {item.target for item in found if _may_wait(item) and not item.envelope.token}
    if not waiting:
        return [found]
    early: list[Item] = []
    late: list[Item] = []
    for item in found:
        is_late = item.envelope.token and item.envelope.kind in (MESSAGE, DONE) and waiting - {item.target}
        (late if is_late else early).append(item)
    return [early, late] if late else [found]


def stored(item: Item, keys: Keys, limit: int) -> Item:
    """Return ``item`` with a key to store it under if it is longer than ``limit`` bytes."""
    if len(item.data) <= limit or item.key:
        return item
    return item._replace(key=keys.entry(item.target, os.urandom(8).hex()))


def _group_items(envelope: Envelope, answer: Sequence[bytes]) -> Iterator[Item]:
    data = entries.encode(envelope)
    for name, registered in zip(answer[::2], answer[1::2], strict=True):
        target = name.decode()
        if target in envelope.without:
            continue
        if target.endswith("!"):
            yield Item(target, data, envelope, GROUPED, registered)
        else:
            copy = structs.replace(envelope, kind=MESSAGE, target=target, without=())
            yield Item(target, entries.queue_element(copy), envelope, GROUPED)


def _letter(envelope: Envelope) -> str:
    if envelope.kind == JOIN:
        return JOINING
    return DIRECT if envelope.kind == MESSAGE else ALWAYS


def _may_wait(item: Item) -> bool:
    return item.letter == DIRECT and item.target.endswith("!")
