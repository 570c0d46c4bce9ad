"""The interface server's part of a WebSocket in a test: its handshake, its close, its session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from channel_layers import codec
from channel_layers.envelope import AGAIN, GROUP, Done, Envelope
from channel_layers.exceptions import InvalidContent
from channel_layers.messages import WEBSOCKET_KIND, check_effect, check_reply_of_kind
from channel_layers.names import inbox_kind, inbox_of
from channel_layers.notes import SESSION
from channel_layers.opening import only_adds_headers
from channels.lane_session import ChannelSession
from channels.layers import DEFAULT_CHANNEL_LAYER
from channels.message import LaneState
from channels.routing import CONNECT, DISCONNECT
from channels.sessions import session_for_reply_channel
from channels.test.client import Client
from channels.test.opening import Opening
from channels.worker import readable_channels


class Socket(Client):
    """A connection that knows what its handshake has come to, and that closes when it is told to.

    That it closes is so only once it is ``live``: used one step after another, it leaves that to the test.
    ``close_code`` is ``None`` until the socket is closed.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        super().__init__(alias)
        self.path = "/"
        self.close_code: int | None = None
        self.close_reason = ""
        self._live = False
        self._order = 0
        self._opening: Opening | None = None

    @property
    def is_open(self) -> bool:
        """Whether the socket was let in and is not closed."""
        return self._live and self._accepted is not None and self.close_code is None

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that a consumer has chosen."""
        return None if self._accepted is None else self._accepted.get("subprotocol")

    @property
    def channel_session(self) -> SessionBase:
        """The session of the connection, as consumers have left it."""
        return self._session_in(LaneState(self._lane_for(CONNECT).session))

    def deliver(self, envelope: Envelope) -> None:
        """Keep a message, let it decide on the handshake, and close if it says so."""
        content = codec.decode(envelope.content)
        if inbox_kind(self.reply_channel) == WEBSOCKET_KIND:
            _check_message(envelope, content)
        opening = self._opening
        if envelope.kind != GROUP:
            self._take_headers(content.get("headers") or ())
        if opening is not None and not opening.is_decided and only_adds_headers(content):
            self._stage.sent.see(envelope)
        elif opening is not None and not opening.is_decided:
            opening.hear(content, envelope.kind == GROUP)
            # What lets the socket in goes out first, and then what has waited for it.
            keep = self._received.appendleft if opening.accepted is content else self._received.append
            keep(envelope)
            self._act_on(opening)
        elif self.is_open or not self._live:
            self._received.append(envelope)
            self._act_on_open(envelope, content)

    def settle(self, token: int, done: Done, session: bytes | None) -> None:
        """The consumer of an event has ended: that of a connect decides, and the next event leaves."""
        event = self._lane_for(CONNECT).under_way
        super().settle(token, done, session)
        opening = self._opening
        is_connect = event is not None and event.target == CONNECT and done.outcome != AGAIN
        if is_connect and opening is not None and not opening.is_decided:
            opening.end(done.outcome)
            self._act_on(opening)

    def _take_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """The response to the handshake has ``headers``; a browser heeds those that set cookies."""

    @property
    def _accepted(self) -> Mapping[str, Any] | None:
        return self._opening.accepted if self._opening is not None else None

    def _begin(self) -> None:
        """Forget the connection before, if there was one."""
        self._lane = self._opening = None
        self._received.clear()
        self._order, self.close_code, self.close_reason = 0, None, ""
        self._live = True

    def _push(self, event: str, content: Mapping[str, Any]) -> None:
        """Send an event with the keys that each of a connection has."""
        if event == CONNECT:
            self._opening = Opening()
        Client.send(self, event, {"path": self.path, "order": self._order, **content})
        self._order += 1

    def _act_on(self, opening: Opening) -> None:
        if self._live and opening.refused is not None:
            while self._received:
                self._stage.sent.see(self._received.popleft())
            self._retire()
        elif self.is_open:
            for envelope in list(self._received):
                self._act_on_open(envelope, codec.decode(envelope.content))

    def _act_on_open(self, envelope: Envelope, content: Mapping[str, Any]) -> None:
        """Close if ``content`` says so; what is not for the client to read needs no further look."""
        if not self.is_open:
            return
        if content.get("text") is None and content.get("bytes") is None:
            self._stage.sent.see(envelope)
        close = content.get("close")
        if close:
            self._end(1000 if close is True else close, content.get("reason") or "")

    def _end(self, code: int, reason: str) -> None:
        """The socket is closed: it leaves its groups, then the application hears of it."""
        self.close_code, self.close_reason = code, reason
        self._retire()
        if DISCONNECT in readable_channels(self.channel_layer):
            self._push(DISCONNECT, {"code": code, "reason": reason})

    def _retire(self) -> None:
        inbox = self.channel_layer.channel_layer.find_inbox(inbox_of(self.reply_channel) or "")
        assert inbox is not None  # _lane_for() has opened it
        inbox.retire(self.reply_channel)

    def _session_in(self, state: LaneState) -> SessionBase:
        if getattr(settings, "CHANNEL_SESSION_ENGINE", None):
            return session_for_reply_channel(self.reply_channel)
        return ChannelSession(self.reply_channel, state, self.channel_layer)

    def _put_into_session(self, data: Mapping[str, Any]) -> None:
        """Let the channel session begin with ``data``."""
        state = LaneState(None)
        session = self._session_in(state)
        session.update(dict(data))
        session.save()
        self._lane_for(CONNECT).session = state.session
        if state.session is not None:
            self.channel_layer.keep_note(self.reply_channel, SESSION, state.session)


def _check_message(envelope: Envelope, content: dict[str, Any]) -> None:
    """Raise :exc:`AssertionError` where an interface server would log a message that it can do nothing with."""
    try:
        if envelope.kind == GROUP:  # what is for one connection was checked when it was sent
            check_reply_of_kind(WEBSOCKET_KIND, content)
        check_effect(content)
    except InvalidContent as error:
        sender = envelope.route or "the test, or a view or signal in it"
        to = f"the group {envelope.target!r} cannot be sent to its members" if envelope.kind == GROUP else "a socket"
        raise AssertionError(f"A message to {to}: {error} It is from {sender}.") from error
