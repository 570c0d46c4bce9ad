"""Where the envelopes of one write go: what is asked first, and what each queue and inbox gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import structs

from channel_layers.envelope import DONE, EVENT, GROUP, JOIN, LEAVE, MESSAGE, NOTE, PIECE, Envelope
from channel_layers.names import inbox_of
from channel_layers.redis.keys import Keys
from channel_layers.redis.protocol import pack
from channel_layers.redis.scripts import REGISTER

ALWAYS: Final = "a"
JOINING: Final = "j"
GROUPED: Final = "g"
DIRECT: Final = "m"
NOTED: Final = "o"

ASKING: Final = frozenset((GROUP, JOIN, LEAVE))
"""Kinds of envelopes that may have a :func:`question`."""
MAX_PARCEL_SIZE: Final = 64 * 1024
"""Bytes of content that travel as one entry; a longer message is one of its own."""


class Parcel:
    """Envelopes that reach one queue or inbox together: in an inbox they are one entry.

    ``letter`` says what an inbox does with it when it is full, ``group`` whose message or join it is. ``registered`` is
    when the target was registered for that group, as it stands there. ``size`` is the bytes of content, ``key`` where
    an entry is that is too long for a stream.
    """

    __slots__ = ("envelopes", "group", "key", "letter", "registered", "size")

    def __init__(self, envelope: Envelope, letter: str, group: str = "", registered: bytes = b"") -> None:
        self.envelopes = [envelope]
        self.letter = letter
        self.group = group
        self.registered = registered
        self.size = len(envelope.content)
        self.key = ""

    def adds(self, envelope: Envelope, letter: str, group: str) -> bool:
        """Add ``envelope`` if it may share the fate of those that are here; return whether it was added."""
        size = self.size + len(envelope.content)
        if size > MAX_PARCEL_SIZE or not (letter == self.letter == DIRECT or self._suits(letter, group)):
            return False
        if letter == DIRECT:
            self.letter = DIRECT
        self.envelopes.append(envelope)
        self.size = size
        return True

    def _suits(self, letter: str, group: str) -> bool:
        """Return whether an envelope with ``letter``, of ``group``, fares as those here do."""
        if group or self.group:
            return group == self.group and letter == self.letter == GROUPED
        return NOTED not in (letter, self.letter)


class Batches:
    """What goes to each target: ``parcels`` by queue or inbox, in the order in which they are sent.

    A target stands where its last envelope stood: what settles an event comes last.
    """

    def __init__(self) -> None:
        self.parcels: dict[str, list[Parcel]] = {}
        self._target = ""
        self._last: list[Parcel] = []

    def add(self, target: str, envelope: Envelope, letter: str, group: str = "", registered: bytes = b"") -> None:
        """Send ``envelope`` to ``target`` behind what goes there already."""
        if target != self._target:
            self._target = target
            self._last = self.parcels.pop(target, [])
            self.parcels[target] = self._last
        if not self._last or not self._last[-1].adds(envelope, letter, group):
            self._last.append(Parcel(envelope, letter, group, registered))

    def inboxes(self) -> int:
        """Return how many inboxes are among the targets."""
        return sum(target.endswith("!") for target in self.parcels)


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


def batched(envelopes: Sequence[Envelope], answers: Mapping[int, object]) -> Batches:
    """Return where ``envelopes`` go, given the ``answers`` to their questions by ``id()`` of the envelope."""
    batches = Batches()
    for envelope in envelopes:
        kind = envelope.kind
        if kind == MESSAGE or kind == DONE or kind == EVENT or kind == PIECE:
            inbox = inbox_of(envelope.target)
            letter = ALWAYS if inbox and kind == DONE else DIRECT
            batches.add(inbox or envelope.target, envelope, letter)
        elif kind == NOTE:
            batches.add(inbox_of(envelope.target) or "", envelope, NOTED)
        elif kind == GROUP:
            _add_group(batches, envelope, answers.get(id(envelope)))
        elif inbox := inbox_of(envelope.owner):  # a join goes where its member is
            registered = answers.get(id(envelope))
            _add_move(batches, inbox, envelope, registered if isinstance(registered, bytes) else b"")
    return batches


def stages(envelopes: Sequence[Envelope], answers: Mapping[int, object]) -> list[Batches]:
    """Return where ``envelopes`` go, in parts, each of which is sent when the one before it was acknowledged."""
    batches = batched(envelopes, answers)
    late = settling(envelopes) if batches.inboxes() > 1 else []
    if not late:
        return [batches]
    numbers = set(map(id, late))
    return [batched([e for e in envelopes if id(e) not in numbers], answers), batched(late, answers)]


def settling(envelopes: Sequence[Envelope]) -> list[Envelope]:
    """Return those that may only be sent when the others were acknowledged.

    What settles an event may not arrive before the other messages of its run, and these may have to wait for room
    in an inbox other than its own.
    """
    waiting = {inbox_of(e.target) for e in envelopes if e.kind == MESSAGE and not e.token and "!" in e.target}
    if not waiting:
        return []
    return [e for e in envelopes if e.token and e.kind in (MESSAGE, DONE) and waiting - {inbox_of(e.target)}]


def _add_group(batches: Batches, envelope: Envelope, answer: object) -> None:
    assert isinstance(answer, list)
    for name, registered in zip(answer[::2], answer[1::2], strict=True):
        target = name.decode()
        if target in envelope.without:
            continue
        if target.endswith("!"):
            batches.add(target, envelope, GROUPED, envelope.target, registered)
        else:
            copy = structs.replace(envelope, kind=MESSAGE, target=target, without=())
            batches.add(target, copy, GROUPED, envelope.target)


def _add_move(batches: Batches, inbox: str, envelope: Envelope, registered: bytes) -> None:
    if envelope.kind == JOIN:
        batches.add(inbox, envelope, JOINING, envelope.target, registered)
    else:
        batches.add(inbox, envelope, ALWAYS)
