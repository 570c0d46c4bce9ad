"""A worker without a thread: it runs one consumer after another in the thread of the test, when the test says so."""

from __future__ import annotations

from contextvars import Context
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from channel_layers import codec
from channel_layers.envelope import GROUP, MESSAGE, NOTE, Done, Envelope, done, read_done
from channels.message import LaneState, Message
from channels.pending import Pending
from channels.postponed import DELAY, MAX_DELAY, Postponed
from channels.test.run import BenchRunner, Run
from channels.worker import Worker, readable_channels

if TYPE_CHECKING:
    from channels.test.stage import StagedLayer

MAX_RUNS: Final = 1000
"""Consumers that one call runs before it takes them for a loop without end."""


class Connection(Protocol):
    """The client's end of a connection."""

    def deliver(self, envelope: Envelope) -> None:
        """Act on a message for it, or for a group that it is in."""

    def settle(self, token: int, done: Done, session: bytes | None) -> None:
        """The event ``token`` is done."""

    def keep(self, session: bytes) -> None:
        """A message that came another way has changed the session of the connection."""


class Bench:
    """Runs the consumers of one layer of a test, with the worker's own runner.

    ``connections`` are the clients by their reply channels, ``inboxes`` the kinds of inboxes that they read.
    """

    def __init__(self, layer: StagedLayer) -> None:
        self.connections: dict[str, Connection] = {}
        self.inboxes: set[str] = set()
        self._layer = layer
        self._slot = layer.channel_layer.open_slot()
        self._held: list[tuple[float, Envelope]] = []

    def open(self, kind: str, connection: Connection) -> str:
        """Return a new reply channel of ``kind`` that leads to ``connection``."""
        self.inboxes.add(kind)
        channel = self._layer.channel_layer.inbox(kind).new_channel()
        self.connections[channel] = connection
        return channel

    def take(self, channel: str) -> Envelope | None:
        """Take the next message of ``channel``, or ``None``."""
        taken = self._slot.take({channel: 1}, 1, timeout=0)
        return taken[0] if taken else None

    def next_message(self, channel: str) -> Message | None:
        """Take the next message of ``channel`` for the test itself: it counts as handled, and as looked at."""
        envelope = self.take(channel)
        if envelope is None:
            return None
        self._layer.stage.sent.see(envelope)
        self._slot.settle([done(envelope.owner, envelope.token)] if envelope.owner else [])
        self.deliver()
        lane = LaneState(envelope.session) if envelope.owner else None
        return Message(codec.decode(envelope.content), channel, self._layer, lane)

    def run(self, envelope: Envelope, *, steers: bool = True) -> Any:
        """Run the consumer for what was taken and return its result; raise what it raises.

        With ``steers`` the exceptions by which a consumer steers have their effect and are not raised.
        """
        context = Context()  # as clean as a worker's: nothing of the test is active in it, a language for instance
        run = Run()
        pending = Pending(self._layer.channel_layer, run.note_refused)
        runner = context.run(BenchRunner, self._worker, pending, run, steers)
        context.run(runner.run, envelope)
        pending.settle(self._slot.settle)
        self.deliver()
        return run.outcome()

    def run_all(self) -> int:
        """Run consumers until nothing waits for one, the oldest message first; return how many were run."""
        for number in range(MAX_RUNS):
            self.deliver()
            channel = self._oldest()
            envelope = self.take(channel) if channel is not None else None
            if envelope is None:
                return number
            self.run(envelope)
        raise AssertionError(f"{MAX_RUNS} consumers were run and there still are messages: {self.waiting()}")

    def deliver(self) -> None:
        """Hand over what has arrived for clients."""
        for kind in self.inboxes:
            for channels, envelope in self._layer.channel_layer.inbox(kind).receive(timeout=0):
                for channel in channels:
                    self._hand_over(channel, envelope)

    def hold(self, envelope: Envelope) -> None:
        """Send ``envelope``, the next attempt of a message, once the clock has advanced by its delay."""
        delay = min(DELAY * 2 ** (envelope.attempt - 1), MAX_DELAY)
        self._held.append((self._layer.stage.clock() + delay, envelope))

    def release_due(self) -> None:
        """Send what is due by now."""
        now = self._layer.stage.clock()
        due = [envelope for at, envelope in self._held if at <= now]
        self._held = [held for held in self._held if held[0] > now]
        self._layer.channel_layer.write(due)

    def waiting(self) -> str:
        """Return what waits for a consumer, as a sentence, or nothing."""
        depths = {channel: self._layer.depth(channel) for channel in sorted(self._layer.router.channels)}
        waiting = ", ".join(f"{depth} on {channel!r}" for channel, depth in depths.items() if depth)
        found = [f"Messages that no consumer has handled yet: {waiting}."] if waiting else []
        found += [f"Held back by ConsumeLater: {len(self._held)}; advance() the time."] if self._held else []
        return " ".join(found)

    def _hand_over(self, channel: str, envelope: Envelope) -> None:
        connection = self.connections.get(channel)
        if connection is not None:
            if envelope.kind in (MESSAGE, GROUP):
                connection.deliver(envelope)
            elif envelope.kind == NOTE and envelope.session is not None:
                connection.keep(envelope.session)
            if envelope.token:
                connection.settle(envelope.token, read_done(envelope), envelope.session)

    def _oldest(self) -> str | None:
        """Return the channel whose first message has waited longest."""
        queues = self._layer.channel_layer.queues
        heads = [(queues[name][0].time, name) for name in readable_channels(self._layer) if queues[name]]
        return min(heads)[1] if heads else None

    @cached_property
    def _worker(self) -> Worker:
        worker = Worker(self._layer, threads=0)
        worker.postponed = Held(self.hold)
        return worker


class Held(Postponed):
    """Hands on what a consumer wants again later, without a thread that waits."""

    def add(self, envelope: Envelope) -> None:
        """Hand on ``envelope``."""
        self._write(envelope)
