"""Inboxes of the in-memory layer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from channel_layers.envelope import GAP, JOIN, LEAVE, Envelope
from channel_layers.inbox import Inbox
from channel_layers.memory.wakeup import LoopWakeup, ThreadWakeup
from channel_layers.notes import SESSION, replaces

if TYPE_CHECKING:
    from channel_layers.memory.layer import MemoryChannelLayer


class MemoryInbox(Inbox):
    """An inbox of the in-memory layer."""

    def __init__(self, name: str, layer: MemoryChannelLayer) -> None:
        super().__init__(name, layer.clock)
        self.entries: deque[Envelope] = deque()
        self.notes: dict[tuple[str, str], bytes] = {}
        self._layer = layer
        self._wakeup: ThreadWakeup | LoopWakeup | None = None
        self._gaps: set[str] = set()
        self._moves: list[Envelope] = []  # joins and leaves that were read last and may not be resolved yet
        self._room = threading.Event()
        self._room.set()

    def put(self, envelope: Envelope) -> None:
        """Append an entry; under the layer's lock."""
        self.entries.append(envelope)
        if len(self.entries) >= self._layer.inbox_capacity:
            self._room.clear()
        if self._wakeup is not None:
            self._wakeup.wake()
            self._wakeup = None

    def put_gap(self, group: str) -> None:
        """Mark that messages of ``group`` were skipped, once until the mark is read; under the layer's lock."""
        if group not in self._gaps:
            self._gaps.add(group)
            self.put(Envelope(GAP, group, time=self._clock()))

    def keep(self, channel: str, name: str, note: bytes) -> bool:
        """Keep a note unless a newer one is there; under the layer's lock."""
        is_newer = replaces(note, self.notes.get((channel, name)))
        if is_newer:
            self.notes[channel, name] = note
        return is_newer

    def wait_for_room(self, timeout: float) -> None:
        """Wait until the reader has made room, or for ``timeout`` seconds."""
        self._room.wait(timeout)

    def members_to_be(self, group: str) -> list[str]:
        """Return the members of ``group`` as they are once the waiting entries are read; under the layer's lock."""
        members = dict.fromkeys(self.members(group))
        for entry in (*self._moves, *self.entries):
            if entry.kind == JOIN and entry.target == group and self._channels.get(entry.owner):
                members[entry.owner] = None
            elif entry.kind == LEAVE and entry.target == group:
                members.pop(entry.owner, None)
        return list(members)

    def clear(self) -> None:
        """Forget every entry; under the layer's lock."""
        self.entries.clear()
        self._gaps.clear()
        self._room.set()

    def close(self) -> None:
        """Withdraw the inbox: messages for it are discarded from now on."""
        layer = self._layer
        with layer.lock:
            layer.inboxes.pop(self.name, None)
            layer.groups.leave_all(self.name)
            self.clear()
        layer.inbox_closed(self)

    def _read(self, timeout: float | None) -> list[Envelope]:
        with self._layer.lock:
            if self.entries or (timeout is not None and timeout <= 0):
                return self._drain()
            wakeup = self._wakeup = ThreadWakeup()
        wakeup.wait(timeout)
        with self._layer.lock:
            return self._drain()

    async def _aread(self) -> list[Envelope]:
        while True:
            with self._layer.lock:
                if self.entries:
                    return self._drain()
                wakeup = self._wakeup = LoopWakeup()
            await wakeup.wait()

    def _drain(self) -> list[Envelope]:
        entries = list(self.entries)
        self.clear()
        self._wakeup = None
        self._moves = [entry for entry in entries if entry.kind == JOIN or entry.kind == LEAVE]
        return entries

    def _refuse(self, envelope: Envelope) -> None:
        self._layer.close_body(envelope.target)

    def _register(self, group: str) -> None:
        with self._layer.lock:
            self._layer.groups.join(group, self.name, self._clock())

    def _drop_notes(self, channels: Sequence[str]) -> None:
        ended = frozenset(channels)
        with self._layer.lock:
            self.notes = {key: note for key, note in self.notes.items() if key[0] not in ended}

    def _keep_sessions(self, sessions: Mapping[str, bytes]) -> None:
        with self._layer.lock:
            for channel, session in sessions.items():
                self.keep(channel, SESSION, session)

    def _withdraw(self, group: str, since: float) -> None:
        with self._layer.lock:
            joined = self._layer.groups.joined(group, self.name)
            if joined is not None and joined <= since and not self.members_to_be(group):
                self._layer.groups.leave(group, self.name)
