"""Consumers to be routed, and a routing that dotted paths lead to."""

from __future__ import annotations

from typing import Any

from channels.routing import Router, route
from tests.stand_ins import message

MODULE = __name__


def consumer_1(message: Any) -> None:
    """Take no keywords."""


def consumer_2(message: Any, **kwargs: Any) -> None:
    """Take any keywords."""


class ChatConsumer:
    """Class-based, as the generic consumers are."""

    def __init__(self, message: Any, **kwargs: Any) -> None: ...

    @classmethod
    def channel_names(cls) -> set[str]:
        return {"websocket.receive", "websocket.connect"}

    def method(self, message: Any) -> None: ...


ws_message = consumer_1
number = 3
chat = [route("websocket.receive", consumer_2, path=r"^/(?P<room>\w+)/$")]
by_channel = {"websocket.receive": consumer_1}


def match(routing: Any, channel: str, **content: Any) -> Any:
    """Route a message with ``content``."""
    return Router(routing).match(message(channel, content))
