"""The whole chat on the server: plain functions, run by workers.

Routing calls each with one message. What they send leaves when they return.
"""

import uuid
from typing import Any

from channels import Channel, Group
from channels.exceptions import DenyConnection
from channels.message import Message
from channels.sessions import channel_session
from django.core.exceptions import ValidationError
from django.http import QueryDict

from .forms import MessageForm, NickForm
from .frames import frame, read_frame
from .models import ChatMessage

HISTORY = 50


def members(room: str) -> Group:
    """Return the sockets in a room. One that closes leaves by itself."""
    return Group(f"chat-{room}")


def everybody() -> Group:
    """Return the sockets in all rooms."""
    return Group("chat-everybody")


@channel_session
def ws_connect(message: Message, room: str) -> None:
    """Let somebody with a name into the room, and show what was said."""
    form = NickForm(QueryDict(message["query_string"]))
    if not form.is_valid():
        raise DenyConnection
    message.channel_session["nick"] = form.cleaned_data["nick"]
    members(room).add(message.reply_channel)
    everybody().add(message.reply_channel)
    history = [said.as_dict() for said in ChatMessage.latest(room, HISTORY)]
    message.reply_channel.send(frame("hello", history=history))


@channel_session
def ws_receive(message: Message, room: str) -> None:
    """Act on one frame, or tell its sender alone what is wrong with it."""
    received: dict[str, Any] = {}
    try:
        received = read_frame(message.get("text"))
        act(received, room, message.channel_session["nick"])
    except ValidationError as error:
        fault = frame("error", key=received.get("key"), reasons=error.messages)
        message.reply_channel.send(fault)


def act(received: dict[str, Any], room: str, nick: str) -> None:
    """Pass on what was said, or that somebody is about to say something."""
    match received.get("type"):
        case "message":
            said = MessageForm(received).said()
            Channel("chat-messages").send({"room": room, "nick": nick, **said})
        case "typing":
            members(room).send(frame("typing", nick=nick))
        case other:
            raise ValidationError(f"No frame has the type {other!r:.40}.")


def announce_code(**kwargs: Any) -> None:
    """Tell every page which code answers now: a new worker has begun."""
    everybody().send(frame("code"))


def save_message(message: Message) -> None:
    """Save a message from a socket or from anywhere else; show it to all.

    The key is the sender's: a message that was sent twice is saved once.
    """
    key = message.get("key") or uuid.uuid4().hex
    said, _ = ChatMessage.objects.get_or_create(
        room=message["room"],
        key=uuid.UUID(key),
        defaults={"nick": message["nick"], "text": message["text"]},
    )
    members(said.room).send(frame("message", message=said.as_dict()))
