"""What a consumer gets."""

from __future__ import annotations

import copy
from collections.abc import ItemsView, KeysView, ValuesView
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.utils.functional import cached_property

from channels.channel import Channel, Layer
from channels.handshake import ConsumerRequest, request_of
from channels.lane_state import LaneState
from channels.layers import DEFAULT_CHANNEL_LAYER
from channels.routing import CONNECT

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser
    from django.contrib.sessions.backends.base import SessionBase

    from channels.ordering import Turn

__all__ = ["LaneState", "Message"]


class Message:
    """A message taken from a channel.

    ``content`` is its dict, ``channel`` where it arrived (``channel_name`` its name), ``reply_channel`` the way back
    to the connection it came from (or ``None``), ``channel_layer`` the layer it came by, ``attempt`` how often a
    consumer asked for it again, ``request`` the request that opened its connection. Keys of the content can be read
    and written on the message itself. Decorators add ``channel_session``, ``http_session`` and ``user``.
    """

    channel_session: SessionBase
    http_session: SessionBase | None
    user: AbstractBaseUser | AnonymousUser
    turn: Turn | None = None
    """The turn of a message without a lane, while its consumer runs; see :mod:`channels.ordering`."""

    _reply_channel: Channel | None = None
    has_to_accept: bool = False
    """Whether returning does not accept the WebSocket: set by class consumers, as in 1.x."""

    def __init__(
        self,
        content: dict[str, Any],
        channel_name: str,
        channel_layer: Layer,
        lane: LaneState | None = None,
        attempt: int = 0,
    ) -> None:
        self.content = content
        self.channel_layer = channel_layer
        self.channel_name = channel_name
        self.lane = lane
        self.attempt = attempt

    @property
    def channel(self) -> Channel:
        """The channel it arrived on."""
        return Channel(self.channel_name, channel_layer=self.channel_layer)

    @property
    def reply_channel(self) -> Channel | None:
        """The way back to its connection, or ``None``."""
        if self._reply_channel is None and (name := self.content.get("reply_channel")):
            self._reply_channel = Channel(name, DEFAULT_CHANNEL_LAYER, self.channel_layer)
        return self._reply_channel

    @reply_channel.setter
    def reply_channel(self, channel: Channel | None) -> None:
        self._reply_channel = channel

    @cached_property
    def request(self) -> ConsumerRequest:
        """The request that opened its connection, with session and user; see :mod:`channels.handshake`."""
        return request_of(self)

    def set_cookie(self, key: str, value: str = "", **options: Any) -> None:
        """Set a cookie with the response to the handshake; options are those of :meth:`HttpResponse.set_cookie`.

        For connect consumers, before they accept; on other messages it raises :exc:`ValueError`.
        """
        response = HttpResponse()
        response.set_cookie(key, value, **options)
        self._send_cookies(response)

    def delete_cookie(self, key: str, **options: Any) -> None:
        """Delete a cookie; otherwise as :meth:`set_cookie`, with the options of :meth:`HttpResponse.delete_cookie`."""
        response = HttpResponse()
        response.delete_cookie(key, **options)
        self._send_cookies(response)

    def _send_cookies(self, response: HttpResponse) -> None:
        if self.channel_name != CONNECT or self.reply_channel is None:
            raise ValueError(
                f"a message on {self.channel_name!r} cannot set cookies, which go with the response to a handshake: "
                "set them in the connect consumer, or in a view"
            )
        cookies = [cookie.OutputString().encode("ascii") for cookie in response.cookies.values()]
        self.reply_channel.send({"headers": [[b"Set-Cookie", cookie] for cookie in cookies]})

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self.content

    def keys(self) -> KeysView[str]:
        """Return the keys of the content."""
        return self.content.keys()

    def values(self) -> ValuesView[Any]:
        """Return the values of the content."""
        return self.content.values()

    def items(self) -> ItemsView[str, Any]:
        """Return the items of the content."""
        return self.content.items()

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value of the content."""
        return self.content.get(key, default)

    def copy(self) -> Message:
        """Return a message with a deep copy of the content."""
        return type(self)(copy.deepcopy(self.content), self.channel_name, self.channel_layer, self.lane)

    def __repr__(self) -> str:
        return f"<Message on {self.channel_name!r}: {', '.join(self.content)}>"
