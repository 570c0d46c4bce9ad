"""Sockets: who comes in where, and what is said there.

Who is connected is known from the browser's log-in. Which room a socket is in is decided once, when it connects, and
kept in the session of the connection; a page cannot choose another one later.
"""

import json
from typing import Any

from channels import Group
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.exceptions import DenyConnection
from channels.message import Message
from django.contrib.auth import get_user_model


@channel_session_user_from_http
def enter_letter(message: Message) -> None:
    """Let people in whose names begin with the same letter."""
    _enter(message, f"letter-{_member(message).get_username()[0].lower()}")


@channel_session_user_from_http
def enter_private(message: Message, name: str) -> None:
    """Let two people in, whichever of them asks for the other."""
    user = _member(message)
    other = get_user_model().objects.filter(username=name).first()
    if other is None:
        raise DenyConnection(f"there is no {name!r}")
    _enter(message, "private-{}-{}".format(*sorted((user.pk, other.pk))))


@channel_session_user
def say(message: Message) -> None:
    """Tell the room what somebody says."""
    content = {"name": message.user.get_username(), "text": message["text"][:500]}
    Group(message.channel_session["room"]).send({"text": json.dumps(content)})


def _member(message: Message) -> Any:
    if not message.user.is_authenticated:
        raise DenyConnection("nobody is logged in")
    return message.user


def _enter(message: Message, room: str) -> None:
    message.channel_session["room"] = room
    Group(room).add(message["reply_channel"])
