"""``Channel`` and ``Group``: how anything in a Django process sends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

from channel_layers.base import BaseChannelLayer
from channel_layers.body import BodyWriter
from channel_layers.envelope import Envelope, note
from channel_layers.slot import Refused
from channels.layers import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from channels.naming import called
from channels.pending import Pending, running
from channels.readers import warn_if_unread

Layer: TypeAlias = ChannelLayerWrapper | BaseChannelLayer
Content: TypeAlias = dict[str, Any]


class _Sender:
    """A name on a layer: what sending to a channel and to a group have in common."""

    def __init__(
        self, name: str | bytes, alias: str = DEFAULT_CHANNEL_LAYER, channel_layer: Layer | None = None
    ) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else name
        layer: Layer = channel_layers[alias] if channel_layer is None else channel_layer
        self.channel_layer = layer
        self._layer = layer.channel_layer if isinstance(layer, ChannelLayerWrapper) else layer

    def _send(self, envelope: Envelope, pending: Pending | None, immediately: bool) -> None:
        if pending is None:
            _raise(self._layer.write([envelope]))
        elif immediately:
            pending.write_with(self._layer, envelope)
        else:
            pending.add(self._layer, envelope)

    async def _asend(self, envelope: Envelope, pending: Pending | None) -> None:
        if pending is None:
            _raise(await self._layer.awrite([envelope]))
        else:
            await pending.awrite_with(self._layer, envelope)


class Channel(_Sender):
    """A queue that workers read, or the way back to one connection (a reply channel).

    ``alias`` names an entry of ``CHANNEL_LAYERS``; a ``channel_layer`` given goes before it.
    """

    def send(self, content: Content, immediately: bool = False) -> None:
        """Send a dict. Inside a consumer it leaves when the consumer returns, unless ``immediately``.

        Raises :exc:`~channel_layers.exceptions.InvalidContent` (a ``TypeError`` and ``ValueError``) naming the value
        that cannot travel, ``MessageTooLarge``, and, when it leaves at once, ``ChannelFull``.
        """
        pending = running()
        if pending is None or immediately or "!" not in self.name:
            self._send(self._envelope(content, pending), pending, immediately)
        else:  # a reply from a consumer: nearly every send, so it takes the short way
            pending.add(self._layer, self._layer.message(self.name, content, pending.route))

    async def asend(self, content: Content) -> None:
        """As :meth:`send`; it leaves at once, behind what the consumer has sent before."""
        pending = running()
        await self._asend(self._envelope(content, pending), pending)

    @property
    def max_message_size(self) -> int:
        """Bytes of one message, encoded, that its layer carries."""
        return self._layer.max_message_size

    def open_body(self) -> Body:
        """Return what writes the rest of a response of which more than the beginning is to be sent."""
        return Body(self, self._layer.open_body(self.name))

    def _envelope(self, content: Content, pending: Pending | None) -> Envelope:
        envelope = self._layer.message(self.name, content, pending.route if pending else "")
        if "!" not in self.name:
            warn_if_unread(self.name, self.channel_layer)
        return envelope

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Channel({self.name!r})"


class Body:
    """The rest of a response to ``channel``, which goes round its inbox by ``writer``."""

    def __init__(self, channel: Channel, writer: BodyWriter) -> None:
        self._channel = channel
        self._writer = writer

    def wait_for_room(self, size: int, timeout: float) -> None:
        """Wait for room; see :meth:`channel_layers.body.BodyWriter.wait_for_room`."""
        self._writer.wait_for_room(size, timeout)

    def write(self, data: bytes, more_content: bool, beginning: Content | None = None) -> None:
        """Send a piece for which there is room now, and in the same write what was sent before it.

        That is what the consumer has sent, and the message ``beginning``. Raises
        :exc:`~channel_layers.exceptions.ReaderGone`, and what an immediate send raises.
        """
        channel, pending = self._channel, running()
        envelopes = [] if beginning is None else [channel._envelope(beginning, pending)]
        write = partial(self._writer.write, data, more_content, 0.0)
        if pending is None:
            _raise(write(envelopes))
        else:
            pending.write_by(write, channel._layer, *envelopes)


class Group(_Sender):
    """Any number of channels under one name. A member leaves with its connection."""

    def add(self, channel: Channel | str) -> None:
        """Make ``channel`` a member, now and not when the consumer returns."""
        self._send(self._layer.joining(self.name, self._member(channel)), running(), immediately=True)

    async def aadd(self, channel: Channel | str) -> None:
        """As :meth:`add`."""
        await self._asend(self._layer.joining(self.name, self._member(channel)), running())

    def discard(self, channel: Channel | str) -> None:
        """Take ``channel`` out, now; not a member is no error."""
        self._send(self._layer.leaving(self.name, self._member(channel)), running(), immediately=True)

    async def adiscard(self, channel: Channel | str) -> None:
        """As :meth:`discard`."""
        await self._asend(self._layer.leaving(self.name, self._member(channel)), running())

    def send(self, content: Content, immediately: bool = False, without: Sequence[Channel | str] = ()) -> None:
        """Send a dict to every member but those in ``without``; see :meth:`Channel.send`. Never ``ChannelFull``."""
        pending = running()
        self._send(self._envelope(content, without, pending), pending, immediately)

    async def asend(self, content: Content, without: Sequence[Channel | str] = ()) -> None:
        """As :meth:`send`; it leaves at once, behind what the consumer has sent before."""
        pending = running()
        await self._asend(self._envelope(content, without, pending), pending)

    def channels(self) -> list[str]:
        """Return the names of the members, asked of the processes that hold them."""
        return self._layer.group_channels(self.name)

    def _envelope(self, content: Content, without: Sequence[Channel | str], pending: Pending | None) -> Envelope:
        # A single name is left to the layer, which refuses it rather than take its letters for names.
        names = without if isinstance(without, str) else [_name(channel) for channel in without]
        envelope = self._layer.group_message(self.name, content, names, pending.route if pending else "")
        warn_if_unread(None, self.channel_layer)
        return envelope

    def _member(self, channel: Channel | str) -> str:
        if isinstance(channel, Channel) and channel._layer is not self._layer:
            raise ValueError(
                f"{channel.name!r} is a channel of layer {channel.channel_layer}, group {self.name!r} is on "
                f"{self.channel_layer}: use Group(name, channel_layer=message.channel_layer)"
            )
        return _name(channel)

    def __repr__(self) -> str:
        return f"Group({self.name!r})"


for _named in (Channel, Group):  # an error is to say what was written
    _named.__init__ = called(_named.__name__, _Sender.__init__)  # type: ignore[method-assign]  # it is the same


def add_to_groups(channel: Channel, groups: Sequence[str]) -> None:
    """Make ``channel`` a member of all of ``groups`` in one write, now."""
    layer, pending = channel._layer, running()
    joins = [layer.joining(group, channel.name) for group in groups]
    if pending is None:
        _raise(layer.write(joins))
    else:
        pending.write_with(layer, *joins)


async def aadd_to_groups(channel: Channel, groups: Sequence[str]) -> None:
    """As :func:`add_to_groups`."""
    layer, pending = channel._layer, running()
    joins = [layer.joining(group, channel.name) for group in groups]
    if pending is None:
        _raise(await layer.awrite(joins))
    else:
        await pending.awrite_with(layer, *joins)


def send_note(channel: Channel, name: str, data: bytes) -> None:
    """Have the layer keep ``data`` of the connection ``channel``; from a consumer it leaves when that returns."""
    channel._send(note(channel.name, name, data), running(), immediately=False)


def _name(channel: Channel | str) -> str:
    return channel.name if isinstance(channel, Channel) else channel


def _raise(refused: list[Refused]) -> None:
    if refused:
        raise refused[0].error
