"""Inboxes of the Redis layer.

A stream without a consumer group. Its one reader asks for what follows the last entry it has: a connection that breaks
loses no entry and doubles none. What was read is deleted in the same write as a later read, once there is enough of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec

from channel_layers.envelope import GAP, JOIN, LEAVE, Envelope, read_piece
from channel_layers.exceptions import LayerDeclined, LayerUnavailable
from channel_layers.inbox import VACANCY, Delivery, Inbox
from channel_layers.notes import HANDSHAKE, SESSION
from channel_layers.redis import entries
from channel_layers.redis.body import closing_commands
from channel_layers.redis.census import ASK, answering
from channel_layers.redis.connection import Connection
from channel_layers.redis.exchange import Conversation, Exchange, Request, run
from channel_layers.redis.link import Link
from channel_layers.redis.loop_connection import LoopConnection
from channel_layers.redis.own_connections import OwnConnections
from channel_layers.redis.protocol import Argument, pack
from channel_layers.redis.remains import Remains
from channel_layers.redis.scripts import APPEND, OPEN, REGISTER, TRIM, UNREGISTER
from channel_layers.redis.writer import ROOM_LIFETIME, append_keys, note_arguments, note_field

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer

logger = logging.getLogger("channel_layers")

LIFETIME: Final = 60
"""Seconds an inbox outlives the last sign of its process. Longer than it takes to be called dead: a process that was
only late finds its entries."""
SETTLED: Final = VACANCY - 1.0
"""Seconds after which a registration is taken to have no join under way; less than a vacancy lasts, because the last
registration can be this process's own, made a moment after the group became vacant."""
READ_SIZE: Final = 128
"""Entries of one read."""
NOTES_SIZE: Final = 100
"""Notes that one command keeps or drops: it holds up everybody else meanwhile."""
BEGINNING: Final = "0-0"


class RedisInbox(Inbox):
    """An inbox of the Redis layer."""

    def __init__(self, name: str, layer: RedisChannelLayer) -> None:
        super().__init__(name, layer.clock)
        self._layer = layer
        self._stream = layer.keys.stream(name)
        self._last = BEGINNING
        self._remains = Remains()
        self._long: list[str] = []  # keys of long entries that were read and not deleted
        self._run: str | None = None
        self._moves: list[Envelope] = []  # joins and leaves that were read last and may not be resolved yet
        self._due: list[bytes] = []
        self._withdrawals: list[tuple[str, float]] = []
        self._is_forgotten = False  # the layer had to make the inbox anew
        self._is_crowded = False  # somebody has found no room in it
        self._reading: LoopConnection | None = None
        self._arrived: list[Envelope] = []
        self._waiter: asyncio.Future[None] | None = None
        self._connections = OwnConnections(layer.connections, self._prepare)

    def opening(self, *, leaves_mark: bool = False) -> bytes:
        """Return the command that makes sure of the inbox; its reader finds a mark if it had to be made again."""
        keys = [self._stream, self._layer.keys.notes(self.name)]
        return OPEN.call(keys, entries.following(self._last), LIFETIME, int(leaves_mark))

    def beat(self) -> None:
        """Let the inbox live on, and withdraw groups that have had no member here for a while."""
        super().beat()
        due, self._withdrawals = self._withdrawals, []
        if due and not self._is_read_to_the_end():
            self._vacant.update(due)  # a join may be among what was not read; the next beat looks again
            due = []
        left = self._trim() if self._remains else []
        self._post([self.opening(leaves_mark=True), *left, *(self._unregistration(group) for group, _ in due)])

    def reannounce(self) -> None:
        """Make sure of the inbox and register every group that has members here again."""
        super().reannounce()
        due, self._due = self._due, []
        self._post([self.opening(), *due])

    def close(self) -> None:
        """Withdraw the inbox: messages for it are discarded from now on."""
        keys = self._layer.keys
        groups = [pack("HDEL", keys.group(group), self.name) for group in (*self._members, *self._vacant)]
        beside = [make(self.name) for make in (keys.gaps, keys.waiting, keys.room, keys.notes)]
        own = [self._stream, *beside, *self._long]
        self._layer.say_if_possible([*groups, pack("UNLINK", *own)])
        self._layer.inbox_closed(self)
        self._reading = None
        self._connections.give_back()

    def members_to_be(self, group: str, waiting: Sequence[Any]) -> list[str]:
        """Return the members of ``group`` as they are once the entries in ``waiting`` are read."""
        unread = (e for _, (field, value) in waiting if field == b"d" for e in entries.decode_entry(value))
        members = dict.fromkeys(self.members(group))
        for entry in (*self._moves, *unread):
            if entry.kind == JOIN and entry.target == group and self._channels.get(entry.owner):
                members[entry.owner] = None
            elif entry.kind == LEAVE and entry.target == group:
                members.pop(entry.owner, None)
        return list(members)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _read(self, timeout: float | None) -> list[Envelope]:
        deadline = None if timeout is None else time.monotonic() + timeout
        connection = self._connections.blocking()
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            try:
                envelopes = run(self._steps(left), connection.ask)
            except LayerDeclined:
                raise
            except LayerUnavailable:
                if left == 0.0:
                    raise
                continue
            with suppress(LayerUnavailable):  # what was read is here, and deleted with a later read
                run(self._trim_steps(), connection.ask)
            return envelopes

    async def _aread(self) -> list[Envelope]:
        loop = asyncio.get_running_loop()
        while not self._arrived and not self._is_forgotten:
            waiter = self._waiter = loop.create_future()  # before the reading, which may fail at once
            if self._reading is None or self._reading.loop is not loop:
                self._begin_reading()
            await waiter  # the reading goes on without us; what it reads is for the next call
        arrived, self._arrived = self._arrived, []
        return arrived

    def _begin_reading(self) -> None:
        connection = self._reading = self._connections.of_loop()
        Conversation(self._steps(None), connection.say, partial(self._read_ended, connection)).begin()

    def _read_ended(
        self, connection: LoopConnection, envelopes: list[Envelope] | None, error: Exception | None
    ) -> None:
        if self._reading is not connection:
            return  # the inbox was closed, or is read in another loop by now
        self._reading = None
        if isinstance(error, LayerDeclined):
            self._layer.losses.count("inbox not read", f"inbox {self.name!r} could not be read: {error}")
            connection.loop.call_later(1.0, self._wake)
            return
        if error is None:
            self._arrived += envelopes or ()
            connection.loop.call_soon(self._trim_behind, connection)
        elif not isinstance(error, LayerUnavailable):  # that has waited for a link for a while, and is made good
            logger.error("reading inbox %r failed", self.name, exc_info=error)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _steps(self, wait: float | None) -> Exchange[list[Envelope]]:
        """Read what follows the last entry, after waiting for it for up to ``wait`` seconds."""
        # Made once there is a link: in a new run of the server the inbox is read from its beginning.
        *_, reply = yield Request(lambda _: [*self._trimming(), self._xread(wait)], wait)
        streams = reply.items() if isinstance(reply, dict) else reply or ()  # RESP3 has maps
        read = [entry for _, entries_read in streams for entry in entries_read]
        later = self._later(read)
        new = self._remains.without_known(later)
        long = [value for _, (field, value) in new if field == b"k"]
        values = iter((yield Request([pack("MGET", *long)]))[0] if long else ())
        envelopes = [envelope for entry in new for envelope in self._envelopes(entry, values)]
        if later:
            self._last = later[-1][0].decode()
            self._remains.add(new, is_end=len(read) < READ_SIZE)
            self._long += [key.decode() for key in long]
            self._moves = [e for e in envelopes if e.kind == JOIN or e.kind == LEAVE]
        return envelopes

    def _later(self, read: list[Any]) -> list[Any]:
        """Leave out what was read already: by a call of the other half, while an older read was under way."""
        last = entries.order(self._last.encode())
        if not read or entries.order(read[0][0]) > last:
            return read
        return [entry for entry in read if entries.order(entry[0]) > last]

    def _envelopes(self, entry: Any, long: Iterator[bytes | None]) -> list[Envelope]:
        entry_id, (field, value) = entry
        if field == b"o":
            self._is_forgotten = True
            return []
        if field == b"w":
            self._is_crowded = True
            return []
        if field == b"g":
            self._is_crowded = True
            return [Envelope(GAP, value.decode(), time=entries.entry_time(entry_id))]
        data = next(long) if field == b"k" else value
        try:
            return entries.decode_entry(data or b"")
        except msgspec.DecodeError as error:
            self._layer.losses.count("entry unreadable", f"an entry of inbox {self.name!r} cannot be read: {error}")
            return []

    def _xread(self, wait: float | None) -> bytes:
        block: list[Argument] = [] if wait == 0 else ["BLOCK", 0 if wait is None else max(1, int(wait * 1000))]
        return pack("XREAD", "COUNT", READ_SIZE, *block, "STREAMS", self._stream, self._last)

    def _trimming(self) -> list[bytes]:
        """Return the commands that delete what was read, if it is time for it."""
        is_time = self._is_crowded or self._long or self._remains.are_much(self._layer.inbox_capacity)
        return self._trim() if is_time else []

    def _trim(self) -> list[bytes]:
        self._remains.delete()
        self._is_crowded = False
        keys = self._layer.keys
        touched = [self._stream, keys.gaps(self.name), keys.waiting(self.name), keys.room(self.name)]
        commands = [TRIM.call(touched, entries.following(self._last), LIFETIME, ROOM_LIFETIME)]
        if self._long:
            commands.append(pack("UNLINK", *self._long))
            self._long = []
        return commands

    def _trim_steps(self) -> Exchange[None]:
        if commands := self._trimming():
            yield Request(commands)

    def _trim_behind(self, connection: LoopConnection) -> None:
        """Trim if it is time and the reader has not asked for more in this turn of the loop: then it is done."""
        if commands := self._trimming():
            connection.post(commands)

    # -- groups ----------------------------------------------------------------------------------------------------

    def _resolve_all(self, envelopes: list[Envelope]) -> list[Delivery]:
        deliveries = super()._resolve_all(envelopes)
        if self._is_forgotten:
            self._is_forgotten = False
            self.reannounce()
        if self._due:
            due, self._due = self._due, []
            self._post(due)
        return deliveries

    def _resolve(self, envelope: Envelope) -> Sequence[str]:
        if envelope.kind == ASK:
            self._due += answering(self._layer.keys.answers(envelope.owner), self.members(envelope.target))
            return ()
        return super()._resolve(envelope)

    def _refuse(self, envelope: Envelope) -> None:
        self._due += closing_commands(envelope.target, [read_piece(envelope)], self._layer)

    def _register(self, group: str) -> None:
        self._due.append(REGISTER.call([self._layer.keys.group(group)], self.name))

    def _withdraw(self, group: str, since: float) -> None:
        self._withdrawals.append((group, since))

    def _drop_notes(self, channels: Sequence[str]) -> None:
        fields = [note_field(channel, name) for channel in channels for name in (SESSION, HANDSHAKE)]
        key = self._layer.keys.notes(self.name)
        self._post([pack("HDEL", key, *fields[i : i + NOTES_SIZE]) for i in range(0, len(fields), NOTES_SIZE)])

    def _keep_sessions(self, sessions: Mapping[str, bytes]) -> None:
        self._due += self._keeping(sessions)

    def _keeping(self, sessions: Mapping[str, bytes]) -> Iterator[bytes]:
        """Yield the commands that keep ``sessions``, where nothing newer is kept."""
        keys = append_keys(self.name, self._layer.keys, has_notes=True)
        kept = [(channel, session) for channel, session in sessions.items() if session]
        for i in range(0, len(kept), NOTES_SIZE):
            notes = [note_arguments(channel, SESSION, session) for channel, session in kept[i : i + NOTES_SIZE]]
            yield APPEND.call(keys, self._layer.inbox_capacity, ROOM_LIFETIME, *chain.from_iterable(notes))

    def _unregistration(self, group: str) -> bytes:
        # By the age of the registration on the server's clock: that of this machine may be another.
        return UNREGISTER.call([self._layer.keys.group(group)], self.name, "", SETTLED)

    def _is_read_to_the_end(self) -> bool:
        if self._reading is not None and not self._arrived:
            return True  # it waits in the server for what has not come yet
        if is_in_loop():
            return False
        after = pack("XRANGE", self._stream, f"({self._last}", "+", "COUNT", 1)
        return not self._layer.say([after])[0]

    def _post(self, commands: list[bytes]) -> None:
        if is_in_loop():
            self._layer.post(commands)
        else:
            self._layer.say(commands)

    # -- connections -----------------------------------------------------------------------------------------------

    def _welcome(self, link: Link) -> list[bytes]:
        """Return what a new link begins with: the layer may have forgotten the inbox and its groups."""
        if self._run is not None and self._run != link.run:
            self._last = BEGINNING
            self._remains.expect_again()
        self._run = link.run
        keys = self._layer.keys
        groups = (REGISTER.call([keys.group(group)], self.name) for group in self._members)
        return [self.opening(), *groups, *self._keeping(self._sessions)]

    def _prepare(self, connection: Connection | LoopConnection) -> None:
        connection.welcome, connection.flushed = self._welcome, self.reannounce
        self._run = self._run or connection.run


def is_in_loop() -> bool:
    """Return whether this is called from an event loop, which must not be blocked."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
