"""From inboxes to connections: direct messages at once, group messages in slices.

A message to ten thousand members is one frame written ten thousand times. It is written in slices of about a
millisecond, so that everybody else is served between them; and whatever else comes for a member that still waits
writes that member's share first, so order is kept. Messages that came meanwhile are written with it: what a member
has not got yet leaves in one write, since a write costs more than what it writes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from channel_layers import codec
from channel_layers.envelope import GAP, GROUP, MESSAGE, NOTE, PIECE, Done, Envelope, Piece, read_done, read_piece
from channel_layers.exceptions import InvalidContent
from channel_layers.inbox import Inbox
from channel_layers.losses import Losses
from channel_layers.messages import WEBSOCKET_KIND, check_effect, check_reply_of_kind
from channel_layers.names import inbox_kind
from daphne.broadcast import Broadcast, Share, WritePolicies, data_frame
from daphne.connection import LaneConnection

logger = logging.getLogger("daphne.delivery")

SLICE: Final = 0.001
"""Seconds of writing before others get their turn."""
STRIDE: Final = 16
"""Members between two looks at the clock."""
TURN: Final = 128
"""Entries of an inbox handled before sockets get their turn."""
MAX_FANOUTS: Final = 8
"""Group messages partly written before the inbox is not read any more."""
MAX_FAULTS: Final = 64
"""Wrong keys of messages that are counted each by itself: keys may be what clients have sent."""


class Connection(Protocol):
    """What a reply channel leads to."""

    def deliver(self, content: dict[str, Any], broadcast: Broadcast | None) -> None:
        """Act on a message; ``broadcast`` is what it comes from if it was sent to a group."""

    def deliver_share(self, share: Share) -> bool:
        """Act on several group messages at once; ``False`` if they have to be delivered one by one."""

    def deliver_piece(self, piece: Piece) -> None:
        """Act on a piece of a response, which went round the inbox."""

    def settle(self, token: int, done: Done, session: bytes | None) -> None:
        """The event ``token`` is done."""

    def close(self, code: int, reason: str, by: str) -> None:
        """End the connection."""


class FanOut:
    """A group message and the members that have not got it yet, each with the message again."""

    __slots__ = ("broadcast", "waiting")

    def __init__(self, broadcast: Broadcast, channels: Sequence[str]) -> None:
        self.broadcast = broadcast
        self.waiting = dict.fromkeys(channels, broadcast)


class Delivery:
    """The reading half of a server's connection to the layer."""

    def __init__(
        self, connections: Mapping[str, Connection], losses: Losses, policies: WritePolicies | None = None
    ) -> None:
        self._connections = connections
        self._losses = losses
        self._policies = policies or WritePolicies()
        self._fanouts: deque[FanOut] = deque()
        self._is_writing = False  # the next slice is on its way
        self._shares: dict[tuple[Broadcast, ...], Share] = {}  # of the fan-outs under way
        self._faults: set[str] = set()
        self._loop = asyncio.get_running_loop()

    async def run(self, inbox: Inbox) -> None:
        """Deliver what arrives in ``inbox``, until cancelled."""
        kind = inbox_kind(inbox.name)
        while True:
            for number, (channels, envelope) in enumerate(await inbox.areceive(), 1):
                if not number % TURN:
                    self._begin_writing()
                    await asyncio.sleep(0)
                if envelope.kind == GROUP and len(self._fanouts) >= MAX_FANOUTS:
                    await self._await_room()
                try:
                    self._deliver(kind, channels, envelope)
                except Exception:  # one message must not end the delivery of all others
                    logger.exception("a message from %s could not be delivered", envelope.route or "outside a consumer")
            self._begin_writing()

    async def _await_room(self) -> None:
        self._begin_writing()
        while len(self._fanouts) >= MAX_FANOUTS:  # noqa: ASYNC110 - a slice a turn
            await asyncio.sleep(0)

    def _begin_writing(self) -> None:
        """Write the first slice of what one read has brought, unless slices follow each other already."""
        if not self._is_writing and self._fanouts:
            self._write_slice()

    def _deliver(self, kind: str, channels: Sequence[str], envelope: Envelope) -> None:
        if envelope.kind == GROUP:
            self._deliver_group(kind, channels, envelope)
            return
        if self._fanouts:
            for member in channels:
                self._catch_up(member)
        if envelope.kind == GAP:
            self._close_members(channels, envelope.target)
            return
        connection = self._connections.get(channels[0])
        if connection is None:
            return
        if envelope.kind == PIECE:
            connection.deliver_piece(read_piece(envelope))
        elif envelope.kind == MESSAGE:
            try:
                connection.deliver(codec.decode(envelope.content), None)
            except InvalidContent as error:
                self._losses.count("bad message", f"sent by {_sender_of(envelope)}: {error}")
            # An accept hands the socket to another object; an end may have forgotten it.
            connection = self._connections.get(channels[0], connection)
        elif envelope.kind == NOTE and envelope.session is not None and isinstance(connection, LaneConnection):
            connection.lane.keep(envelope.session)
        if envelope.token:
            connection.settle(envelope.token, read_done(envelope), envelope.session)

    def _deliver_group(self, kind: str, channels: Sequence[str], envelope: Envelope) -> None:
        content = codec.decode(envelope.content)
        try:
            check_reply_of_kind(kind, content)
            frame = _frame_of(kind, content)
        except InvalidContent as error:  # its sender could not know what the members are
            detail = f"group {envelope.target!r}, sent by {_sender_of(envelope)}: {error}"
            self._losses.count(f"bad group message: {self._fault(error)}", detail)
            return
        broadcast = Broadcast(envelope.target, content, frame, self._policies.of(envelope.target))
        if self._fanouts or len(channels) > STRIDE:
            self._fanouts.append(FanOut(broadcast, channels))
        else:
            for channel in channels:
                self._write(channel, broadcast)

    def _fault(self, error: InvalidContent) -> str:
        """Return a name for what is wrong, by its key while there are not too many: each has a log line of its own."""
        if not error.key:
            return "nothing to do"
        key = repr(error.key[:40])
        if len(self._faults) < MAX_FAULTS:
            self._faults.add(key)
        return key if key in self._faults else "another key"

    def _write_slice(self) -> None:
        deadline = time.perf_counter() + SLICE
        while self._fanouts:
            fanout, *later = self._fanouts
            while fanout.waiting:
                for _ in range(min(STRIDE, len(fanout.waiting))):
                    channel, broadcast = fanout.waiting.popitem()
                    if later:
                        self._write_share(channel, [broadcast, *_taken(channel, later)])
                    else:
                        self._write(channel, broadcast)
                if time.perf_counter() > deadline:
                    self._is_writing = True
                    self._loop.call_soon(self._write_slice)
                    return
            self._fanouts.popleft()
            self._shares.clear()
        self._is_writing = False

    def _catch_up(self, channel: str) -> None:
        """Write to one member what it still waits for."""
        self._write_share(channel, _taken(channel, self._fanouts))

    def _write_share(self, channel: str, broadcasts: Sequence[Broadcast]) -> None:
        if len(broadcasts) < 2 or not self._is_written_at_once(channel, tuple(broadcasts)):
            for broadcast in broadcasts:
                self._write(channel, broadcast)

    def _is_written_at_once(self, channel: str, broadcasts: tuple[Broadcast, ...]) -> bool:
        connection = self._connections.get(channel)
        if connection is None:
            return True
        share = self._shares.get(broadcasts)
        if share is None:
            share = self._shares[broadcasts] = Share(broadcasts)
        try:
            return connection.deliver_share(share)
        except Exception:  # as in _write()
            logger.exception("group messages could not be delivered to a member")
            return True

    def _write(self, channel: str, broadcast: Broadcast) -> None:
        connection = self._connections.get(channel)
        if connection is None:
            return
        try:
            connection.deliver(broadcast.content, broadcast)
        except Exception:  # one member must not end the slice of the others
            logger.exception("a group message could not be delivered to a member")

    def _close_members(self, channels: Sequence[str], group: str) -> None:
        """Members that missed messages must not go on as if nothing had happened."""
        for channel in channels:
            connection = self._connections.get(channel)
            if connection is not None:
                connection.close(1012, "messages were lost", f"server (messages of group {group!r} were lost)")


def _frame_of(kind: str, content: dict[str, Any]) -> bytes | None:
    """Return the data of a group message as a frame, for WebSockets; a message must be of some use to them."""
    frame = data_frame(content) if kind == WEBSOCKET_KIND else None
    if frame is None and kind == WEBSOCKET_KIND:
        check_effect(content)
    return frame


def _sender_of(envelope: Envelope) -> str:
    return envelope.route or "a process outside consumers"


def _taken(channel: str, fanouts: Iterable[FanOut]) -> list[Broadcast]:
    """Take what ``fanouts`` have for one member out of them."""
    return [broadcast for fanout in fanouts if (broadcast := fanout.waiting.pop(channel, None)) is not None]
