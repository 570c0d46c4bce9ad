"""The other end of a connection: what an interface server and its client do, as a test would have them do it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from channel_layers import codec
from channel_layers.envelope import Done, Envelope
from channel_layers.messages import HTTP_KIND, WEBSOCKET_KIND
from channel_layers.suggestions import did_you_mean
from channels.channel import Group
from channels.consumers import Consumer
from channels.layers import DEFAULT_CHANNEL_LAYER
from channels.message import Message
from channels.test.lane import Lane
from channels.test.run import NoConsumer
from channels.test.stage import StagedLayer, staged

__unittest = True  # its frames stay out of the traceback of a failed assertion

KINDS: Final[Mapping[str, str]] = {"websocket": WEBSOCKET_KIND, "http": HTTP_KIND}
"""Kinds of reply channels by the first part of the channel that an event is for."""
OTHER_KIND: Final = "test.client"


class Client:
    """One connection, of any protocol: sends its events, runs their consumers, and receives the replies.

    Its reply channel is of the protocol that its first event belongs to. Needs a layer of the test's own:
    :class:`~channels.test.ChannelTestCase` has one.
    """

    kind: ClassVar[str] = ""

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        self.alias = alias
        self.channel_layer: StagedLayer = staged(alias)
        self._bench = self.channel_layer.bench
        self._stage = self.channel_layer.stage
        self._lane: Lane | None = None
        self._received: deque[Envelope] = deque()

    @property
    def reply_channel(self) -> str:
        """The name of the channel that leads to this client."""
        return self._lane_for("").channel

    # -- one step after another, as in 1.x -------------------------------------------------------------------------

    def send(self, to: str, content: Mapping[str, Any] | None = None) -> None:
        """Send an event to the channel ``to``, with the reply channel in it; no consumer is run.

        It leaves when the consumer of the event before has ended. Raises :exc:`TypeError` for a message that cannot
        travel.
        """
        self._lane_for(to).push(to, dict(content or {}))
        self._post()

    def consume(self, channel: str, fail_on_none: bool = True) -> Any:
        """Run the consumer for the next message on ``channel``, whoever sent it, and return what it returns.

        Raises what the consumer raises, ``ConsumeLater`` and ``DenyConnection`` included, and :exc:`AssertionError` if
        there is no message or no consumer for it, unless ``fail_on_none`` is false.
        """
        self._stage.settle()
        envelope = self._bench.take(channel)
        if envelope is None:
            if fail_on_none:
                raise AssertionError(self._no_message(channel))
            return None
        self._stage.sent.see(envelope)
        try:
            return self._bench.run(envelope, steers=False)
        except NoConsumer:
            if fail_on_none:
                raise
            return None

    def send_and_consume(
        self, channel: str, content: Mapping[str, Any] | None = None, fail_on_none: bool = True
    ) -> Any:
        """:meth:`send`, then :meth:`consume`."""
        self.send(channel, content)
        return self.consume(channel, fail_on_none)

    def receive(self) -> Any:
        """Return the next reply or group message for this client, or ``None``."""
        self._stage.settle()
        return self._next_content()

    def get_next_message(self, channel: str) -> Message | None:
        """Take the next message of ``channel``, or return ``None``; no consumer is run."""
        return self._stage.get_next_message(channel, self.alias)

    def get_consumer_by_channel(self, channel: str) -> Consumer:
        """Return the consumer of the first route for ``channel``, whatever its filters.

        Raises :exc:`AssertionError` if there is none.
        """
        router = self.channel_layer.router
        for candidate in router.routes:
            if channel in candidate.channels:
                return candidate.consumer
        raise AssertionError(f"No route is for {channel!r}.{did_you_mean(channel, router.channels)}")

    def join_group(self, name: str) -> None:
        """Become a member of the group ``name``."""
        Group(name, channel_layer=self.channel_layer).add(self.reply_channel)

    # -- what the layer has for it ---------------------------------------------------------------------------------

    def deliver(self, envelope: Envelope) -> None:
        """Keep a message until the test looks at it."""
        self._received.append(envelope)

    def settle(self, token: int, done: Done, session: bytes | None) -> None:
        """The consumer of an event has ended: the next one leaves."""
        again = self._lane_for("").settle(token, done, session)
        if again is not None:
            self._bench.hold(again)
        self._post()

    def keep(self, session: bytes) -> None:
        """The next events carry the session that a consumer of another channel has left."""
        self._lane_for("").keep(session)

    def _lane_for(self, event: str) -> Lane:
        """Return the lane, opened for the protocol of ``event`` if there is none yet."""
        if self._lane is None:
            kind = self.kind or KINDS.get(event.partition(".")[0], OTHER_KIND)
            self._lane = Lane(self._bench.open(kind, self))
        return self._lane

    def _post(self) -> None:
        envelope = self._lane_for("").take()
        if envelope is not None:
            self.channel_layer.channel_layer.write([envelope])

    def _next_content(self) -> dict[str, Any] | None:
        if not self._received:
            return None
        envelope = self._received.popleft()
        self._stage.sent.see(envelope)
        content: dict[str, Any] = codec.decode(envelope.content)
        return content

    def _no_message(self, channel: str) -> str:
        under_way = self._lane.under_way if self._lane is not None else None
        if under_way is not None and under_way.target != channel:
            return (
                f"No message waits on {channel!r}: an event of this client on {under_way.target!r} comes first, and is "
                f"not handled yet. Call consume({under_way.target!r}) before."
            )
        hint = did_you_mean(channel, self.channel_layer.router.channels - {channel})
        return f"No message waits on {channel!r}.{hint} {self._stage.waiting()}".rstrip()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reply_channel}>"
