"""The contract of a channel layer.

A backend implements the abstract methods here and in :mod:`channel_layers.verbs`, and an
:class:`~channel_layers.inbox.Inbox` and a :class:`~channel_layers.slot.Slot` of its own; everything a user calls is
written once, on top of them. :mod:`channel_layers.conformance` is the contract as tests.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channel_layers import codec, exceptions, names
from channel_layers.capacity import DEFAULT_CAPACITY, Capacities
from channel_layers.dead import MAX_DEAD_LETTERS
from channel_layers.envelope import GROUP, JOIN, LEAVE, MESSAGE, Envelope
from channel_layers.inbox import Inbox
from channel_layers.losses import Losses
from channel_layers.messages import check_reply
from channel_layers.problems import Problem
from channel_layers.reader import Reader
from channel_layers.receiver import Received, Receiver
from channel_layers.slot import Custody, Refused, Slot
from channel_layers.verbs.bodies import BodyVerbs
from channel_layers.verbs.dead import DeadLetterVerbs
from channel_layers.verbs.events import EventVerbs
from channel_layers.verbs.notes import NoteVerbs
from channel_layers.verbs.registry import RegistryVerbs
from channel_layers.verbs.turns import TurnVerbs
from channel_layers.verbs.writing import WriteVerbs

__all__ = ["BaseChannelLayer", "Content"]

logger = logging.getLogger("channel_layers")

Content = dict[str, Any]


class BaseChannelLayer(NoteVerbs, TurnVerbs, BodyVerbs, EventVerbs, DeadLetterVerbs, RegistryVerbs, WriteVerbs):
    """Named queues, reply channels that lead back to one connection, and groups.

    ``expiry`` is how many seconds a message may wait in a queue, ``capacity`` how many may wait,
    ``channel_capacity`` the same by channel (name, glob or compiled pattern), ``max_message_size`` the bytes of one
    encoded content, ``max_dead_letters`` how many messages that were set aside are kept. ``group_expiry`` is accepted
    for 1.x and means nothing: a member leaves with its connection. ``server_options`` is what the project's settings
    say of the interface server; whoever makes the layer sets it.

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
        max_dead_letters: int = MAX_DEAD_LETTERS,
        group_expiry: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if expiry <= 0:
            raise ValueError(f"expiry is a positive number of seconds, not {expiry!r}")
        if max_dead_letters < 1:
            raise ValueError(f"max_dead_letters is 1 or more, not {max_dead_letters!r}")
        if group_expiry is not None:
            logger.info("group_expiry=%r has no effect: members leave with their connection", group_expiry)
        self.expiry = expiry
        self.capacity = capacity
        self.max_message_size = max_message_size
        self.max_dead_letters = max_dead_letters
        self.group_expiry = 86400
        self.clock = clock
        self.losses = Losses(logger)
        self.process = names.new_process_name()
        self.server_options: Mapping[str, Any] = {}
        self._capacities = Capacities(capacity, channel_capacity)
        self._inboxes: dict[str, Inbox] = {}
        self._opening = threading.Lock()
        self._receiver = Receiver(self)

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

    def open_reader(self, channel: str, is_last: Callable[[dict[str, Any]], bool]) -> Reader:
        """Return what reads a queue that nobody else reads, up to the message that is the last by ``is_last``."""
        return Reader(self, names.check_readable(channel), is_last)

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
    def open_slot(self, retries: Mapping[str, int] | None = None) -> Slot:
        """Return a new slot to take messages with.

        Of the channels in ``retries`` it takes one message at a time, and none of these is lost with it: it is
        delivered again, first of all, up to so many times, and then set aside. They do not expire.
        """

    @abstractmethod
    def open_custody(self) -> Custody:
        """Return a new custody, for claims that slots hand over to it."""

    @abstractmethod
    def open_inbox(self, kind: str) -> Inbox:
        """Return a new inbox ``<kind>.<process>!`` that this process reads."""

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
        """Delete every message, dead letter and group, for tests; processes that hold connections register again."""

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

    def _encoded(self, target: str, content: Content) -> bytes:
        data = codec.encode(content)
        if len(data) > self.max_message_size:
            raise exceptions.MessageTooLarge(target, len(data), self.max_message_size)
        return data


def _raise_first(refused: list[Refused]) -> None:
    if refused:
        error = refused[0].error
        if len(refused) > 1:
            error.add_note(f"{len(refused)} messages of this write were refused; the others were sent")
        raise error
