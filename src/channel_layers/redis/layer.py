"""The channel layer on one Redis or Valkey server."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, ClassVar, Final
from weakref import WeakSet

from channel_layers import names, notes, turns
from channel_layers.base import BaseChannelLayer
from channel_layers.capacity import INBOX_CAPACITY, SEND_TIMEOUT
from channel_layers.dead import DeadLetter
from channel_layers.envelope import Envelope, Piece
from channel_layers.exceptions import LayerUnavailable
from channel_layers.inbox import Inbox
from channel_layers.losses import Losses
from channel_layers.problems import Problem
from channel_layers.receiver import Receiver
from channel_layers.redis import aside, body, census, dead, liveness
from channel_layers.redis.body import RedisBody
from channel_layers.redis.connections import Connections
from channel_layers.redis.connector import Connector
from channel_layers.redis.custody import RedisCustody
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.hosts import Host, read_hosts
from channel_layers.redis.inbox import RedisInbox
from channel_layers.redis.inspection import problems_of
from channel_layers.redis.keys import Keys
from channel_layers.redis.link import Link
from channel_layers.redis.protocol import Replies, pack
from channel_layers.redis.slot import RedisSlot
from channel_layers.redis.turns import turning
from channel_layers.redis.writer import Writer, note_field
from channel_layers.registry import Announcement
from channel_layers.slot import Refused
from channel_layers.turns import Outcome, Step
from channel_layers.verbs.writing import Written

logger = logging.getLogger("channel_layers")

TIMEOUT: Final = 5.0
"""Seconds a verb waits for a connection, and for an answer, before it raises LayerUnavailable."""
_NOT_ENCRYPTED: Final = (
    "symmetric_encryption_keys: this release does not encrypt messages, so the option must go; let them travel over "
    "TLS (rediss://), and keep others out of Redis by an account and a network of its own"
)


class RedisChannelLayer(BaseChannelLayer):
    """Queues, inboxes and groups on one server.

    ``hosts`` names it: a URL or ``(host, port)``, alone or as the one item of a list; by default Redis on this
    machine. Every key begins with ``prefix``. ``timeout`` bounds a verb while the server is away (seconds),
    ``inbox_capacity`` and ``send_timeout`` (seconds) what waits for an interface server; the other options are
    those of :class:`~channel_layers.base.BaseChannelLayer`, and of 1.x: ``connection_kwargs`` are options of redis-py,
    ``stats_prefix`` means nothing, and ``symmetric_encryption_keys`` are refused, for nothing here is encrypted.

    Verbs raise :exc:`~channel_layers.exceptions.LayerUnavailable` when the server cannot be reached or its answer is
    lost. Nothing is sent twice: what was sent when the connection broke may have arrived.
    """

    extensions: ClassVar[list[str]] = [*BaseChannelLayer.extensions, notes.EXTENSION, turns.EXTENSION]

    def __init__(
        self,
        *,
        hosts: Host | Sequence[Host] | None = None,
        prefix: str = "channels:",
        timeout: float = TIMEOUT,
        inbox_capacity: int = INBOX_CAPACITY,
        send_timeout: float = SEND_TIMEOUT,
        connection_kwargs: Mapping[str, Any] | None = None,
        stats_prefix: str | None = None,
        symmetric_encryption_keys: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if symmetric_encryption_keys:
            raise ValueError(_NOT_ENCRYPTED)
        if stats_prefix is not None:
            logger.warning("stats_prefix=%r has no effect: what is lost is counted in each process", stats_prefix)
        self.address = read_hosts(hosts, connection_kwargs)
        timeout = self.address.timeout or timeout
        if timeout <= 0:
            raise ValueError(f"timeout is a positive number of seconds, not {timeout!r}")
        self.keys = Keys(prefix)
        self.inbox_capacity = inbox_capacity
        self.send_timeout = send_timeout
        self.capacities = self._capacities
        self.local_inboxes: dict[str, RedisInbox] = {}
        self.connections = Connections(Connector(self.address, _client_name(self.process), timeout), self._welcome)
        self.writer = Writer(self)
        self._slot_numbers = count(1)
        _layers.add(self)

    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` in order, waiting for room in a full inbox; return those that were refused."""
        return self.connections.run(self.writer.write(envelopes))

    async def awrite(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`write`."""
        return await self.connections.arun(self.writer.write(envelopes))

    def start_write(self, envelopes: Sequence[Envelope], written: Written) -> None:
        """As :meth:`awrite`, without a task."""
        self.connections.begin(self.writer.write(envelopes), lambda refused, error: written(refused or [], error))

    def open_slot(self, retries: Mapping[str, int] | None = None) -> RedisSlot:
        """Return a new slot to take messages with."""
        return RedisSlot(self, f"{self.process}.{next(self._slot_numbers)}", retries or {})

    def open_custody(self) -> RedisCustody:
        """Return a new custody, for claims that slots hand over to it."""
        return RedisCustody(self, f"{self.process}.{next(self._slot_numbers)}")

    def open_inbox(self, kind: str) -> RedisInbox:
        """Return a new inbox ``<kind>.<process>!`` that this process reads. Makes sure that it exists."""
        name = names.inbox_name(kind, self.process)
        if name in self.local_inboxes:  # several servers in one process
            name = names.inbox_name(kind, names.new_process_name())
        inbox = RedisInbox(name, self)
        self.say([inbox.opening()])
        self.local_inboxes[name] = inbox
        return inbox

    def open_body(self, channel: str) -> RedisBody:
        """Return the writing end of the body for a reply channel whose beginning was sent."""
        return RedisBody(channel, self)

    def fetch_piece(self, channel: str, piece: Piece) -> bytes | None:
        """Take a piece of a body away."""
        return self.connections.run(body.fetching(channel, piece, self))

    async def afetch_piece(self, channel: str, piece: Piece) -> bytes | None:
        """As :meth:`fetch_piece`."""
        return await self.connections.arun(body.fetching(channel, piece, self))

    def close_body(self, channel: str, unread: Sequence[Piece] = ()) -> None:
        """Say that nobody reads a body any more."""
        self.connections.run(body.closing(channel, unread, self))

    async def aclose_body(self, channel: str, unread: Sequence[Piece] = ()) -> None:
        """As :meth:`close_body`."""
        await self.connections.arun(body.closing(channel, unread, self))

    def read_note(self, channel: str, name: str) -> bytes | None:
        """Return what is kept of a connection under ``name``."""
        return self.connections.run(self._reading_note(channel, name))

    async def aread_note(self, channel: str, name: str) -> bytes | None:
        """As :meth:`read_note`."""
        return await self.connections.arun(self._reading_note(channel, name))

    def turn(self, step: Step) -> Outcome:
        """Do one step in the order of a connection's messages."""
        return self.connections.run(turning(step, self))

    async def aturn(self, step: Step) -> Outcome:
        """As :meth:`turn`."""
        return await self.connections.arun(turning(step, self))

    def group_channels(self, group: str) -> list[str]:
        """Return the members of ``group``, asked of the processes that hold them."""
        return self.connections.run(census.members_of(names.check_group(group), self))

    async def agroup_channels(self, group: str) -> list[str]:
        """As :meth:`group_channels`."""
        return await self.connections.arun(census.members_of(names.check_group(group), self))

    def find_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Return those events that are neither queued nor claimed by a live slot."""
        return self.connections.run(liveness.finding_lost(envelopes, self))

    async def afind_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """As :meth:`find_lost`."""
        return await self.connections.arun(liveness.finding_lost(envelopes, self))

    def retract(self, envelope: Envelope) -> bool:
        """Take an event back out of its queue; ``False`` if a worker has it already."""
        return self.connections.run(liveness.retracting(envelope, self))

    async def aretract(self, envelope: Envelope) -> bool:
        """As :meth:`retract`."""
        return await self.connections.arun(liveness.retracting(envelope, self))

    def announce(self, announcement: Announcement) -> None:
        """Say that a process is alive; repeated every ``HEARTBEAT_INTERVAL`` seconds."""
        self.connections.run(liveness.announcing(announcement, self))

    async def aannounce(self, announcement: Announcement) -> None:
        """As :meth:`announce`."""
        await self.connections.arun(liveness.announcing(announcement, self))

    def withdraw(self, process: str) -> None:
        """Say that a process has ended."""
        self.connections.run(liveness.withdrawing(process, self))

    async def awithdraw(self, process: str) -> None:
        """As :meth:`withdraw`."""
        await self.connections.arun(liveness.withdrawing(process, self))

    def processes(self) -> list[Announcement]:
        """Return the last announcement of every live process."""
        return self.connections.run(liveness.listing(self))

    async def aprocesses(self) -> list[Announcement]:
        """As :meth:`processes`."""
        return await self.connections.arun(liveness.listing(self))

    def drop_queue(self, channel: str) -> None:
        """Delete a queue that nobody will read."""
        self.connections.run(aside.dropping(channel, self))

    async def adrop_queue(self, channel: str) -> None:
        """As :meth:`drop_queue`."""
        await self.connections.arun(aside.dropping(channel, self))

    def depth(self, channel: str) -> int:
        """Return how many messages wait in a queue."""
        return int(self.say([pack("LLEN", self.keys.queue(channel))])[0])

    def dead_letters(self) -> list[DeadLetter]:
        """Return the messages that were set aside, the oldest first."""
        return self.connections.run(dead.listing(self))

    def resend_dead(self, keys: Sequence[str]) -> int:
        """Send dead letters again; return how many there were."""
        return self.connections.run(dead.resending(keys, self))

    def drop_dead(self, keys: Sequence[str]) -> int:
        """Forget dead letters; return how many there were."""
        return self.connections.run(dead.dropping_letters(keys, self))

    def problems(self) -> list[Problem]:
        """Connect once, over a connection of its own, and return what is wrong with the server or the way to it."""
        connector = self.connections.connector
        return problems_of(self.address, connector.name, self.keys, connector.timeout)

    def flush(self) -> None:
        """Delete every message, dead letter and group. Inboxes are emptied and live on."""
        self.connections.run(self._flushing())
        self._receiver.clear()

    async def aflush(self) -> None:
        """As :meth:`flush`."""
        await self.connections.arun(self._flushing())
        self._receiver.clear()

    def close(self) -> None:
        """Close all connections; a verb that is used afterwards opens them again."""
        self.connections.close()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        self.connections.close()

    # -- for slots and inboxes -------------------------------------------------------------------------------------

    def say(self, commands: Sequence[bytes]) -> Replies:
        """Send ``commands`` in one write and return their replies."""
        return self.connections.run(_saying(commands))

    def say_if_possible(self, commands: Sequence[bytes]) -> None:
        """As :meth:`say`, but an absent server is only tried once, and only logged."""
        try:
            self.connections.say_at_once(commands)
        except LayerUnavailable as error:
            logger.warning("%s", error)

    def post(self, commands: Sequence[bytes]) -> None:
        """Send ``commands`` from the running loop without waiting; what fails is made good after a reconnect."""
        self.connections.begin(_saying(commands), _log_error)

    def count_expired(self, channel: str, n: int) -> None:
        """Count messages that nobody took in time."""
        self.losses.count("expired", f"{n} messages on {channel!r} were not taken within {self.expiry} s", n)

    def inbox_closed(self, inbox: Inbox) -> None:
        """Forget ``inbox``."""
        super().inbox_closed(inbox)
        self.local_inboxes.pop(inbox.name, None)

    def _reading_note(self, channel: str, name: str) -> Exchange[bytes | None]:
        inbox = names.inbox_of(names.check_reply_channel(channel)) or ""
        (found,) = yield Request([pack("HGET", self.keys.notes(inbox), note_field(channel, name))])
        assert found is None or isinstance(found, bytes)
        return found

    def _welcome(self, link: Link) -> list[bytes]:
        """Return what a new link begins with: an event is not sent before there is an inbox for its answer."""
        return [inbox.opening(leaves_mark=True) for inbox in list(self.local_inboxes.values())]

    def _flushing(self) -> Exchange[None]:
        cursor = b"0"
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self.keys.prefix) + "*"
        while True:
            ((cursor, found),) = yield Request([pack("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])
            commands = [self._emptying(key) for key in found]
            if commands:
                yield Request(commands)
            if cursor == b"0":
                return

    def _emptying(self, key: bytes) -> bytes:
        if self.keys.is_stream(key.decode()):
            return pack("XTRIM", key, "MAXLEN", 0)
        return pack("UNLINK", key)

    def _begin_in_child(self) -> None:
        """Begin anew after a fork: names, inboxes and connections are the parent's."""
        self.process = names.new_process_name()
        self.losses = Losses(logger)
        self._opening = threading.Lock()
        self._inboxes = {}
        self._receiver = Receiver(self)
        self.local_inboxes = {}
        self.connections.forget(_client_name(self.process))


def _client_name(process: str) -> str:
    return f"channels-{process}"  # as CLIENT LIST shows it


def _saying(commands: Sequence[bytes]) -> Exchange[Replies]:
    return (yield Request(commands))


def _log_error(replies: Replies | None, error: Exception | None) -> None:
    if error is not None:
        logger.warning("%s", error)


_layers: WeakSet[RedisChannelLayer] = WeakSet()


def _begin_all_in_child() -> None:
    for layer in list(_layers):
        layer._begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all_in_child)
