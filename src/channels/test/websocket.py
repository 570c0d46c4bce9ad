"""WebSocket clients for tests: a browser's end of a socket."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NoReturn
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder

from channel_layers.messages import WEBSOCKET_KIND
from channels.layers import DEFAULT_CHANNEL_LAYER
from channels.routing import CONNECT, RECEIVE
from channels.test.browser import HOST, Browser
from channels.test.opening import Opening
from channels.test.sent import listed
from channels.test.socket import Socket

__unittest = True  # its frames stay out of the traceback of a failed assertion


class WSClient(Browser, Socket):
    """A WebSocket in a browser.

    There are two ways to use it. :meth:`connect`, :meth:`send_text` and their like do what a browser does, and run
    consumers until there is nothing left to do: those of the socket and all that follows from them. The other is that
    of 1.x, one step after another: :meth:`send` an event, :meth:`consume` it, :meth:`receive` what was sent.

    With ``ordered`` an ``order`` in the content of an event is a :exc:`ValueError`; events are numbered in any case.
    """

    kind: ClassVar[str] = WEBSOCKET_KIND

    def __init__(self, ordered: bool = False, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        super().__init__(alias)
        self.ordered = ordered

    # -- as a browser does -----------------------------------------------------------------------------------------

    def connect(
        self, path: str = "/", *, headers: Mapping[str, str] | None = None, subprotocols: Iterable[str] = ()
    ) -> None:
        """Open the socket at ``path``, which may have a query string, and run consumers.

        Raises :exc:`~channels.test.HandshakeRefused` if it is not let in, and what a consumer raises. A client whose
        socket was closed may connect again, and then has another reply channel.
        """
        if self.is_open:
            raise AssertionError(f"{self!r} is connected already. A client is one socket: make another WSClient().")
        self._begin()
        self.save_session()
        opening = {"headers": self.header_pairs(headers or {}), "subprotocols": list(subprotocols)}
        self._push(CONNECT, {**self._handshake_at(path), **opening})
        self._run()
        if self._opening is not None and self._opening.refused is not None:
            raise self._opening.refused

    def send_text(self, text: str) -> None:
        """Send a text frame and run consumers; raise what they raise."""
        self._send_frame({"text": text})

    def send_bytes(self, data: bytes) -> None:
        """Send a binary frame and run consumers; raise what they raise."""
        self._send_frame({"bytes": data})

    def send_json(self, content: Any) -> None:
        """Send ``content`` as JSON in a text frame and run consumers; raise what they raise."""
        self._send_frame({"text": _encode(content)})

    def disconnect(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket from the browser's side and run consumers; raise what they raise."""
        self._check_open()
        self._end(code, reason)
        self._run()

    def receive_text(self) -> str:
        """Return the next frame; it is an :exc:`AssertionError` if there is none or it is binary."""
        text: str = self._next_frame("text")
        return text

    def receive_bytes(self) -> bytes:
        """Return the next frame; it is an :exc:`AssertionError` if there is none or it is text."""
        data: bytes = self._next_frame("bytes")
        return data

    def receive_json(self) -> Any:
        """Return what the next frame says; it is an :exc:`AssertionError` if there is none or it is not JSON."""
        text = self._next_frame("text")
        try:
            return json_module.loads(text)
        except ValueError:
            raise AssertionError(f"{self!r} has received text that is not JSON: {text!r:.500}") from None

    # -- one step after another, as in 1.x -------------------------------------------------------------------------

    def send(self, to: str, content: Mapping[str, Any] | None = None, text: Any = None, path: str = "/") -> None:
        """Send an event to the channel ``to``; no consumer is run.

        ``text`` is put into the content, as JSON if it is not text. ``path`` is as well, unless the content has one;
        its query string is for connects. Headers and cookies are in the first event and in connects. A first event
        that is no connect stands for those after it, whose channel session has what :attr:`session` has.
        """
        content = dict(content or {})
        if self.ordered and "order" in content:
            raise ValueError("an ordered client numbers its events itself: leave 'order' out of the content")
        if text is not None:
            content["text"] = text if isinstance(text, str) else _encode(text)
        handshake = self._handshake_at(content.pop("path", path))
        self.save_session()
        if to == CONNECT:
            content = {**handshake, **content}
        elif self._order == 0 and settings.SESSION_COOKIE_NAME in self.cookies:
            self._put_into_session(dict(self.session.items()))
        if to == CONNECT or self._order == 0:
            content.setdefault("headers", self.header_pairs({}))
        self._push(to, content)

    def consume(self, channel: str, fail_on_none: bool = True, check_accept: bool = True) -> Any:
        """As :meth:`Client.consume() <channels.test.Client.consume>`.

        A connect that does not let the socket in is an :exc:`AssertionError`, and the reply ``{"accept": True}`` is
        taken; neither with ``check_accept=False``.
        """
        opening = self._opening if channel == CONNECT and check_accept else None
        was_decided = opening is not None and opening.is_decided
        result = super().consume(channel, fail_on_none)
        self.reload_session()
        if opening is not None and not was_decided:
            self._check_accepted(opening)
        return result

    def send_and_consume(  # type: ignore[override]  # the third argument is another one, as in 1.x
        self,
        channel: str,
        content: Mapping[str, Any] | None = None,
        text: Any = None,
        path: str = "/",
        fail_on_none: bool = True,
        check_accept: bool = True,
    ) -> Any:
        """:meth:`send`, then :meth:`consume`."""
        self.send(channel, content, text, path)
        return self.consume(channel, fail_on_none, check_accept)

    def receive(self, json: bool = True) -> Any:
        """Return the next message for this client, or ``None``: its text, decoded if it is JSON, or else all of it.

        With ``json=False`` text is not decoded. After :meth:`connect`, consumers are run first, and what is returned
        is a frame: text or bytes.
        """
        content = self._next_frame_content() if self._live else super().receive()
        if content is None:
            return None
        text = content.get("text")
        if text is None:
            return content["bytes"] if self._live else content
        return _decoded(text) if json else text

    # --------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._stage.run_consumers()
        self.reload_session()

    def _send_frame(self, content: dict[str, Any]) -> None:
        self._check_open()
        self._push(RECEIVE, content)
        self._run()

    def _next_frame_content(self) -> dict[str, Any] | None:
        self._run()
        while (content := self._next_content()) is not None:
            if content.get("text") is not None or content.get("bytes") is not None:
                return content
        return None

    def _next_frame(self, key: str) -> Any:
        content = self._next_frame_content()
        if content is None:
            self._fail(f"{self!r} has received nothing.")
        if content.get(key) is None:
            other = "bytes" if key == "text" else "text"
            raise AssertionError(f"{self!r} has received {other} in place of {key}: {content[other]!r:.500}")
        return content[key]

    def _fail(self, sentence: str) -> NoReturn:
        unseen = self._stage.sent.unseen
        elsewhere = f"Sent meanwhile, and not looked at:\n{listed(unseen)}" if unseen else ""
        raise AssertionError("\n".join(filter(None, [sentence, self._state(), elsewhere, self._stage.waiting()])))

    def _check_open(self) -> None:
        if not self.is_open:
            raise AssertionError(f"{self!r} is not connected. {self._state()}")

    def _state(self) -> str:
        """Return why the socket is not open, as a sentence, or nothing."""
        if self.close_code is not None:
            reason = f" ({self.close_reason!r})" if self.close_reason else ""
            return f"It was closed with {self.close_code}{reason}."
        if self._opening is None:
            return "Call connect() first."
        if self._opening.refused is not None:
            return f"In connect(), {self._opening.refused}."
        return "" if self._opening.is_decided else "Its handshake is not decided: no consumer has accepted or refused."

    def _check_accepted(self, opening: Opening) -> None:
        if opening.refused is not None:
            raise AssertionError(f"The connect was not accepted: {opening.refused}.") from opening.refused
        if opening.accepted is None:
            raise AssertionError('The connect was not accepted: no consumer has sent {"accept": True}.')
        if (
            self._received
            and opening.accepted
            and not opening.accepted.get("text")
            and not opening.accepted.get("bytes")
        ):
            self._next_content()

    def _handshake_at(self, path: str) -> dict[str, Any]:
        """Return what a connect says besides headers, and keep the path for the events that follow."""
        parts = urlsplit(path)
        self.path = unquote(parts.path) or "/"
        return {
            "scheme": "ws",
            "query_string": parts.query.encode(),
            "root_path": "",
            "client": ["127.0.0.1", 50000],
            "server": [HOST, 80],
            "subprotocols": [],
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.path}>"


class HttpClient(WSClient):
    """A :class:`WSClient` by its name of before 1.1, which also sends the events of requests.

    Its reply channel is that of a WebSocket or a request, as its first event says.
    """

    kind: ClassVar[str] = ""


def _decoded(text: str) -> Any:
    try:
        return json_module.loads(text)
    except ValueError:
        return text


_encode = DjangoJSONEncoder().encode
