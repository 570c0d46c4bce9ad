"""What consumers and views raise to steer what happens next. The first line of a docstring is the default message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from channel_layers.messages import CLOSE_CODES

if TYPE_CHECKING:
    from channels.message import Message


class _Described(Exception):
    def __str__(self) -> str:
        return super().__str__() or (type(self).__doc__ or type(self).__name__).partition("\n")[0]


class ConsumeLater(_Described):
    """The consumer wants this message again later."""


class ResponseLater(_Described):
    """The request will be answered later, on its reply channel.

    Raised by a view, after storing ``request.reply_channel``, or by an ``http.request`` consumer. As with any
    exception of a view, ``ATOMIC_REQUESTS`` rolls its transaction back.
    """


class RequestTimeout(_Described):
    """The body of the request did not arrive in time."""


class RequestAborted(_Described):
    """The client left, or was answered, before the body of its request was read."""


class RequestIncomplete(_Described):
    """A part of the body of the request is lost."""


class DenyConnection(_Described):
    """The WebSocket handshake is refused.

    Raised by a ``websocket.connect`` consumer. The client gets an HTTP response with ``status`` (300 to 599, else
    :exc:`ValueError`), ``headers`` (pairs of bytes) and the body ``content``; ``reason`` is for the log only.
    """

    def __init__(
        self,
        reason: str = "",
        *,
        status: int = 403,
        headers: Iterable[tuple[bytes, bytes]] = (),
        content: bytes = b"",
    ) -> None:
        super().__init__(reason)
        if not 300 <= status <= 599:
            raise ValueError(f"a handshake is refused with a status from 300 to 599, not {status!r}")
        self.reason = reason
        self.status = status
        self.headers = list(headers)
        self.content = content


class ChannelSocketException(_Described):
    """The consumer ended with an action on its connection.

    Base of exceptions that the worker answers by calling :meth:`run`.
    """

    def run(self, message: Message) -> None:
        """Act on the connection that ``message`` came from; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has to define run(message)")


class WebsocketCloseException(ChannelSocketException):
    """The WebSocket is to be closed.

    ``code`` is 1000-1003, 1007-1014 or 3000-4999, any other a :exc:`ValueError`; without it 1000 is sent. ``reason``
    is told to the client, up to 123 bytes in UTF-8 (RFC 6455 section 5.5).
    """

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(code, reason)
        if code is not None and code not in CLOSE_CODES:
            raise ValueError(f"close code {code!r} cannot be sent: use 1000-1003, 1007-1014, or your own in 3000-4999")
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"The WebSocket is to be closed with code {self.code or 1000}" + (self.reason and f": {self.reason}")

    def run(self, message: Message) -> None:
        """Close the WebSocket behind what was sent to it before."""
        if message.reply_channel is None:
            raise ValueError(f"a message on {message.channel_name!r} without reply channel closes no WebSocket")
        reply: dict[str, Any] = {"close": self.code or True}
        if self.reason:
            reply["reason"] = self.reason
        message.reply_channel.send(reply)


class SendNotAvailableOnDemultiplexer(_Described):
    """A demultiplexer has no stream of its own to send on; use the multiplexer that the consumer was given."""
