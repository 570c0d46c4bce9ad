"""The contract of a channel layer.

A backend implements the abstract methods here, and an :class:`~channel_layers.inbox.Inbox` and a
:class:`~channel_layers.slot.Slot` of its own; everything a user calls is written once, on top of them.
:mod:`channel_layers.conformance` is the contract as tests.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channel_layers import codec, exceptions, names
from channel_layers.body import BodyWriter
from channel_layers.capacity import DEFAULT_CAPACITY, Capacities
from channel_layers.envelope import GROUP, JOIN, LEAVE, MESSAGE, Envelope, Piece, note
from channel_layers.inbox import Inbox
from channel_layers.losses import Losses
from channel_layers.messages import check_reply
from channel_layers.notes import EXTENSION
from channel_layers.problems import Problem
from channel_layers.receiver import Received, Receiver
from channel_layers.registry import Announcement
from channel_layers.slot import Refused, Slot
from channel_layers.turns import Outcome, Step

logger = logging.getLogger("channel_layers")

Content = dict[str, Any]
Written = Callable[[list[Refused], Exception | None], None]
"""Is told what a write refused, or the error by which it failed."""


class BaseChannelLayer(ABC):
    """Named queues, reply channels that lead back to one connection, and groups.

    ``expiry`` is how many seconds a message may wait in a queue, ``capacity`` how many may wait,
    ``channel_capacity`` the same by channel (name, glob or compiled pattern), ``max_message_size`` the bytes of one
    encoded content. ``group_expiry`` is accepted for 1.x and means nothing: a member leaves with its connection.
    ``server_options`` is what the project's settings say of the interface server; whoever makes the layer sets it.

    Every verb is thread-safe and needs no event loop; its twin with ``a`` in front is for coroutines. A verb that
    has returned has been acknowledged by the layer.
    """

    ChannelFull = exceptions.ChannelFull
    MessageTooLarge = exceptions.MessageTooLarge
    InvalidName = exceptions.InvalidName
    InvalidContent = exceptions.InvalidContent
    extensions: ClassVar[list[str]] = ["groups", "flush"]
    crosses_processes: ClassVar[bool] = True
    per_project: ClassVar[bool] = False
    """Whether the constructor takes ``project``, a text that is the same in all processes of one project."""

    def __init__(
        self,
        *,
        expiry: float = 60.0,
        capacity: int = DEFAULT_CAPACITY,
        channel_capacity: Mapping[str | re.Pattern[str], int] | None = None,
        max_message_size: int = 2 * 1024 * 1024,
        group_expiry: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if expiry <= 0:
            raise ValueError(f"expiry is a positive number of seconds, not {expiry!r}")
        if group_expiry is not None:
            logger.info("group_expiry=%r has no effect: members leave with their connection", group_expiry)
        self.expiry = expiry
        self.capacity = capacity
        self.max_message_size = max_message_size
        self.group_expiry = 86400
        self.clock = clock
        self.losses = Losses(logger)
        self.process = names.new_process_name()
        self.server_options: Mapping[str, Any] = {}
        self._capacities = Capacities(capacity, channel_capacity)
        self._inboxes: dict[str, Inbox] = {}
        self._opening = threading.Lock()
        self._receiver = Receiver(self)
        self._last_write: asyncio.Task[None] | None = None

    # -- messages --------------------------------------------------------------------------------------------------

    def send(self, channel: str, content: Content) -> None:
        """Send ``content`` to a queue or a reply channel.

        Raises :exc:`ChannelFull`, :exc:`MessageTooLarge`, :exc:`InvalidName` or :exc:`InvalidContent`. A message
        for a connection that is gone is discarded.
        """
        _raise_first(self.write([self.message(channel, content)]))

    async def asend(self, channel: str, content: Content) -> None:
        """As :meth:`send`."""
        _raise_first(await self.awrite([self.message(channel, content)]))

    def send_many(self, messages: Iterable[tuple[str, Content]]) -> None:
        """Send ``(channel, content)`` pairs in one write; raise the first refusal after all others were sent.

        A name or content that breaks a rule is found before anything is sent.
        """
        _raise_first(self.write([self.message(channel, content) for channel, content in messages]))

    async def asend_many(self, messages: Iterable[tuple[str, Content]]) -> None:
        """As :meth:`send_many`."""
        _raise_first(await self.awrite([self.message(channel, content) for channel, content in messages]))

    def receive(self, channels: Sequence[str], block: bool = False, timeout: float | None = None) -> Received:
        """Return ``(channel, content)`` of the next message, or ``(None, None)``.

        ``channels`` are queues, or one inbox of this process by its name up to ``!``. With ``block`` it waits, up
        to ``timeout`` seconds, and may still return nothing: call it again. An event counts as done once it was
        read; of several contents in one, the others are returned by the next calls.
        """
        return self._receiver.receive(channels, timeout if block else 0)

    async def areceive(self, channels: Sequence[str], block: bool = False, timeout: float | None = None) -> Received:
        """As :meth:`receive`; a call that is cancelled takes nothing."""
        return await self._receiver.areceive(channels, timeout if block else 0)

    def new_channel(self, pattern: str) -> str:
        """Complete ``pattern``: ``…?`` names a queue with one reader, ``…!`` a reply channel of this process.

        The name exists nowhere else and cannot be guessed. 1.x's ``http.response!`` becomes
        ``http.response.<process>!<key>``.
        """
        kind = names.check_pattern(pattern)[:-1]
        if pattern.endswith("?"):
            return pattern + next(names.Keys())
        return self.inbox(kind).new_channel()

    # -- groups ----------------------------------------------------------------------------------------------------

    def group_add(self, group: str, channel: str) -> None:
        """Make ``channel`` a member of ``group`` until its connection ends; a member already is no error."""
        _raise_first(self.write([self.joining(group, channel)]))

    async def agroup_add(self, group: str, channel: str) -> None:
        """As :meth:`group_add`."""
        _raise_first(await self.awrite([self.joining(group, channel)]))

    def group_discard(self, group: str, channel: str) -> None:
        """Take ``channel`` out of ``group``; not a member is no error."""
        _raise_first(self.write([self.leaving(group, channel)]))

    async def agroup_discard(self, group: str, channel: str) -> None:
        """As :meth:`group_discard`."""
        _raise_first(await self.awrite([self.leaving(group, channel)]))

    def send_group(self, group: str, content: Content, without: Sequence[str] = ()) -> None:
        """Send ``content`` to every member of ``group`` but those in ``without``.

        Never raises :exc:`ChannelFull`: a full member is skipped, counted and logged.
        """
        self.write([self.group_message(group, content, without)])

    async def asend_group(self, group: str, content: Content, without: Sequence[str] = ()) -> None:
        """As :meth:`send_group`."""
        await self.awrite([self.group_message(group, content, without)])

    @abstractmethod
    def group_channels(self, group: str) -> list[str]:
        """Return the members of ``group``, asked of the processes that hold them."""

    async def agroup_channels(self, group: str) -> list[str]:
        """As :meth:`group_channels`."""
        return await asyncio.to_thread(self.group_channels, group)

    # -- envelopes: what the verbs write ---------------------------------------------------------------------------

    def message(self, channel: str, content: Content, route: str = "") -> Envelope:
        """Return ``content`` for ``channel``, checked and encoded. ``route`` names the sending consumer."""
        channel = names.check_channel(channel)
        data = self._encoded(channel, content)
        if "!" in channel:
            check_reply(channel, content)
        return Envelope(MESSAGE, channel, data, route=route)

    def group_message(self, group: str, content: Content, without: Sequence[str] = (), route: str = "") -> Envelope:
        """Return ``content`` for every member of ``group``, checked and encoded."""
        group = names.check_group(group)
        excluded = tuple(names.several(without))
        return Envelope(GROUP, group, self._encoded(group, content), route=route, without=excluded)

    def joining(self, group: str, channel: str) -> Envelope:
        """Return the entry that makes ``channel`` a member of ``group``."""
        return Envelope(JOIN, names.check_group(group), owner=names.check_channel(channel))

    def leaving(self, group: str, channel: str) -> Envelope:
        """Return the entry that takes ``channel`` out of ``group``."""
        return Envelope(LEAVE, names.check_group(group), owner=names.check_channel(channel))

    # -- what a backend implements ---------------------------------------------------------------------------------

    @abstractmethod
    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` in order; return those that were refused. The others are not held back."""

    async def awrite(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`write`."""
        return await asyncio.to_thread(self.write, envelopes)

    def start_write(self, envelopes: Sequence[Envelope], written: Written) -> None:
        """As :meth:`awrite`, for whoever need not wait: ``written(refused, error)`` is called in the end.

        Called in an event loop. What is written to queues keeps the order of the calls.
        """
        loop = asyncio.get_running_loop()
        before = self._last_write if self._last_write and self._last_write.get_loop() is loop else None
        self._last_write = loop.create_task(self._write_behind(before, envelopes, written))

    async def _write_behind(
        self, before: asyncio.Task[None] | None, envelopes: Sequence[Envelope], written: Written
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            refused = await self.awrite(envelopes)
        except Exception as error:  # noqa: BLE001 - handed to the caller
            written([], error)
        else:
            written(refused, None)

    @abstractmethod
    def open_slot(self) -> Slot:
        """Return a new slot to take messages with."""

    @abstractmethod
    def open_inbox(self, kind: str) -> Inbox:
        """Return a new inbox ``<kind>.<process>!`` that this process reads."""

    @abstractmethod
    def open_body(self, channel: str) -> BodyWriter:
        """Return the writing end of the body for a reply channel whose beginning was sent."""

    @abstractmethod
    def fetch_piece(self, channel: str, piece: Piece) -> bytes | None:
        """Take a piece of the body for ``channel`` away, which makes room for another; ``None`` if it is gone."""

    async def afetch_piece(self, channel: str, piece: Piece) -> bytes | None:
        """As :meth:`fetch_piece`."""
        return await asyncio.to_thread(self.fetch_piece, channel, piece)

    @abstractmethod
    def close_body(self, channel: str, unread: Sequence[Piece] = ()) -> None:
        """Say that nobody reads the body for ``channel`` any more; ``unread`` are pieces that were not fetched."""

    async def aclose_body(self, channel: str, unread: Sequence[Piece] = ()) -> None:
        """As :meth:`close_body`."""
        await asyncio.to_thread(self.close_body, channel, unread)

    def read_note(self, channel: str, name: str) -> bytes | None:
        """Return what is kept of the connection ``channel`` under ``name``, ``None`` if nothing is.

        Layers without the extension ``notes`` raise :exc:`NotImplementedError`, here and for the other verb of notes.
        """
        raise NotImplementedError(f"{type(self).__name__} keeps no notes of connections")

    async def aread_note(self, channel: str, name: str) -> bytes | None:
        """As :meth:`read_note`."""
        return await asyncio.to_thread(self.read_note, channel, name)

    def keep_note(self, channel: str, name: str, data: bytes) -> bool:
        """Keep ``data`` of the connection ``channel`` under ``name``; ``False`` if something newer is kept there.

        Of a connection that is gone nothing is kept, which is no loss.
        """
        return not self.write([self._note(channel, name, data)])

    async def akeep_note(self, channel: str, name: str, data: bytes) -> bool:
        """As :meth:`keep_note`."""
        return not await self.awrite([self._note(channel, name, data)])

    def turn(self, step: Step) -> Outcome:
        """Do one step in the order of a connection's messages; those whose turn it is then are sent to their queues.

        Layers without the extension ``turns`` raise :exc:`NotImplementedError`.
        """
        raise NotImplementedError(f"{type(self).__name__} keeps no turns")

    async def aturn(self, step: Step) -> Outcome:
        """As :meth:`turn`."""
        return await asyncio.to_thread(self.turn, step)

    @abstractmethod
    def find_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Return those events that are neither queued nor claimed by a live slot."""

    async def afind_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """As :meth:`find_lost`."""
        return await asyncio.to_thread(self.find_lost, envelopes)

    @abstractmethod
    def retract(self, envelope: Envelope) -> bool:
        """Take an event back out of its queue; ``False`` if a worker has it already."""

    async def aretract(self, envelope: Envelope) -> bool:
        """As :meth:`retract`."""
        return await asyncio.to_thread(self.retract, envelope)

    @abstractmethod
    def announce(self, announcement: Announcement) -> None:
        """Say that a process is alive; repeated every ``HEARTBEAT_INTERVAL`` seconds."""

    async def aannounce(self, announcement: Announcement) -> None:
        """As :meth:`announce`."""
        await asyncio.to_thread(self.announce, announcement)

    @abstractmethod
    def withdraw(self, process: str) -> None:
        """Say that a process has ended."""

    async def awithdraw(self, process: str) -> None:
        """As :meth:`withdraw`."""
        await asyncio.to_thread(self.withdraw, process)

    @abstractmethod
    def processes(self) -> list[Announcement]:
        """Return the last announcement of every live process."""

    async def aprocesses(self) -> list[Announcement]:
        """As :meth:`processes`."""
        return await asyncio.to_thread(self.processes)

    @abstractmethod
    def drop_queue(self, channel: str) -> None:
        """Delete a queue that nobody will read: the rest of a request's body, say."""

    async def adrop_queue(self, channel: str) -> None:
        """As :meth:`drop_queue`."""
        await asyncio.to_thread(self.drop_queue, channel)

    @abstractmethod
    def depth(self, channel: str) -> int:
        """Return how many messages wait in a queue."""

    def problems(self) -> list[Problem]:
        """Ask the layer what keeps it from working or makes it lose messages; nothing is wrong by default.

        The start of servers and workers asks, and ``manage.py check --deploy``: it may use the network, and must not
        wait longer than a verb does.
        """
        return []

    @abstractmethod
    def flush(self) -> None:
        """Delete every message and group, for tests; processes that hold connections register again."""

    async def aflush(self) -> None:
        """As :meth:`flush`."""
        await asyncio.to_thread(self.flush)

    def close(self) -> None:
        """Release connections to the layer."""

    async def aclose(self) -> None:
        """As :meth:`close`."""
        await asyncio.to_thread(self.close)

    # -- shared ----------------------------------------------------------------------------------------------------

    def inbox(self, kind: str) -> Inbox:
        """Return this process's inbox of ``kind``, opened at its first use."""
        with self._opening:
            if kind not in self._inboxes:
                self._inboxes[kind] = self.open_inbox(kind)
            return self._inboxes[kind]

    def inbox_closed(self, inbox: Inbox) -> None:
        """Let :meth:`inbox` open another in place of ``inbox``; called by its ``close()``."""
        with self._opening:
            self._inboxes = {kind: i for kind, i in self._inboxes.items() if i is not inbox}

    def find_inbox(self, name: str) -> Inbox | None:
        """Return the inbox called ``name`` if :meth:`inbox` has opened it."""
        with self._opening:
            return next((inbox for inbox in self._inboxes.values() if inbox.name == name), None)

    def _note(self, channel: str, name: str, data: bytes) -> Envelope:
        if EXTENSION not in self.extensions:
            raise NotImplementedError(f"{type(self).__name__} keeps no notes of connections")
        return note(names.check_reply_channel(channel), name, data)

    def count_outdated(self, envelope: Envelope) -> None:
        """Count a session that came back with the end of an event after something newer was kept."""
        detail = f"what a consumer changed in the channel session of {envelope.target!r} is lost: {outdated(envelope)}"
        self.losses.note("session change lost", detail)

    def _encoded(self, target: str, content: Content) -> bytes:
        data = codec.encode(content)
        if len(data) > self.max_message_size:
            raise exceptions.MessageTooLarge(target, len(data), self.max_message_size)
        return data


def outdated(envelope: Envelope) -> exceptions.NoteOutdated:
    """Return why what ``envelope`` brings was not kept."""
    return exceptions.NoteOutdated(f"something newer was kept of {envelope.target!r} after it had been read")


def _raise_first(refused: list[Refused]) -> None:
    if refused:
        error = refused[0].error
        if len(refused) > 1:
            error.add_note(f"{len(refused)} messages of this write were refused; the others were sent")
        raise error
