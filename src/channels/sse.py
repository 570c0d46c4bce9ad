"""Server-sent events: pages follow a group over plain HTTP, and ask for what they missed (HTML, section 9.2).

A view answers with an :class:`EventStream`, and the worker is free: what is sent to the groups afterwards goes from the
interface server to the page. Between events the server writes a comment now and then (``PING_INTERVAL``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, StreamingHttpResponse

from channels.channel import Channel, Group

__all__ = ["END", "EventStream", "event", "last_event_id"]

END: Final[dict[str, Any]] = {"content": b"", "more_content": False}
"""Ends the streams it is sent to; their pages connect again, unless a 204 answers them."""
BEGINNING: Final = b":\n\n"
"""A comment: the response begins with it where nothing was missed."""
HEADERS: Final = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would keep events until it has some kilobytes of them
}
_NEW_LINE = re.compile(r"\r\n|\r|\n")


def event(data: Any, *, id: object = None, name: str = "") -> dict[str, Any]:  # noqa: A002 - the field's own name
    """Return an event as a message for a :class:`~channels.Channel` or :class:`~channels.Group`.

    ``data`` is text, which may have several lines, or anything else that Django writes as JSON. ``id`` is what a page
    that comes back says it has had last; ``name`` is what it listens to, ``message`` unless given. Raises
    :exc:`ValueError` for an ``id`` or ``name`` with a line break or a NUL, which would be another field.
    """
    text = data if isinstance(data, str) else json.dumps(data, cls=DjangoJSONEncoder)
    fields = [("id", _word("id", "" if id is None else str(id))), ("event", _word("name", name))]
    lines = [f"{field}: {value}\n" for field, value in fields if value]
    lines += [f"data: {line}\n" for line in _NEW_LINE.split(text)]
    return {"content": "".join([*lines, "\n"]).encode(), "more_content": True}


def last_event_id(request: HttpRequest) -> str:
    """Return the id of the last event that a page has had which comes back, or an empty text."""
    return request.headers.get("Last-Event-ID", "").encode("latin-1", "replace").decode("utf-8", "replace")


class EventStream(StreamingHttpResponse):
    """A response that follows ``groups``, by name, for as long as its client stays.

    ``missed`` are events to begin with. They are taken when the client is in the groups already, so that none is lost
    between the two; one may come twice, which its id tells. ``retry`` is after how many milliseconds a page is to come
    back that has lost its connection. Raises :exc:`~django.core.exceptions.ImproperlyConfigured` for a request that did
    not come through a channel layer.
    """

    def __init__(
        self,
        request: HttpRequest,
        groups: Iterable[str],
        missed: Iterable[Mapping[str, Any]] = (),
        *,
        retry: int | None = None,
        **options: Any,
    ) -> None:
        self.is_joined = False
        self._channel = _reply_channel(request)
        self._groups = [groups] if isinstance(groups, str) else list(groups)
        self._retry = retry
        super().__init__(self._parts(missed), content_type="text/event-stream; charset=utf-8", **options)
        for name, value in HEADERS.items():
            self.headers.setdefault(name, value)
        # What middleware would compress here, nobody would compress of what follows.
        self.headers["Content-Encoding"] = "identity"

    def items(self) -> Iterable[tuple[str, str]]:
        """Return the headers to send."""
        return [(name, value) for name, value in super().items() if name != "Content-Encoding"]

    def _parts(self, missed: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
        for name in self._groups:
            Group(name, channel_layer=self._channel.channel_layer).add(self._channel)
        self.is_joined = True
        yield BEGINNING if self._retry is None else b"retry: %d\n\n" % self._retry
        for message in missed:
            yield message["content"]


def _reply_channel(request: HttpRequest) -> Channel:
    channel = getattr(request, "reply_channel", None)
    if not isinstance(channel, Channel):
        raise ImproperlyConfigured(
            f"{request.path} is answered by a stream of events, which needs an interface server: this request came by "
            f"{type(request).__name__}. Serve it by runserver of channels, or by daphne and runworker"
        )
    return channel


def _word(name: str, text: str) -> str:
    if "\0" in text or _NEW_LINE.search(text):
        raise ValueError(f"the {name} of an event is on one line and without NUL, not {text!r}")
    return text
