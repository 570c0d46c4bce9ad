"""What is told of a message whose consumer has failed, to the log and to those who read it."""

from __future__ import annotations

from typing import Any

from django.utils.functional import LazyObject, empty

from channels.message import Message


def place_of(message: Message) -> str:
    """Return channel and path of a message, and its user if that was loaded, as text."""
    path, user = message.get("path"), user_of(message)
    return " ".join([message.channel_name, *[path] * bool(path), *[f"(user {user})"] * (user is not None)])


def extra_of(message: Message, route: str) -> dict[str, Any]:
    """Return what a log record gets: ``channel``, ``path``, ``route``, ``reply_channel`` and the key of the ``user``.

    Monitors such as Sentry show these beside the error.
    """
    reply = message.reply_channel
    return {
        "channel": message.channel_name,
        "path": message.get("path"),
        "route": route,
        "reply_channel": None if reply is None else reply.name,
        "user": user_of(message),
    }


def user_of(message: Message) -> Any:
    """Return the primary key of the user if there is one and it was loaded: an error is no reason for a query."""
    user = message.__dict__.get("user")
    if isinstance(user, LazyObject) and user.__dict__.get("_wrapped", empty) is empty:
        return None
    return getattr(user, "pk", None)
