"""Consumers as a project would write them, with a counter each: a figure is true if it agrees with them."""

from collections import Counter

from channels import Group
from channels.message import Message

counters: Counter[str] = Counter()


def echo(message: Message) -> None:
    """Send back what came."""
    counters["echo"] += 1
    assert message.reply_channel is not None
    message.reply_channel.send({"text": message.content["text"]})


def join(message: Message, room: str) -> None:
    """Become a member of the room in the path."""
    assert message.reply_channel is not None
    Group(f"room-{room}").add(message.reply_channel)


def broadcast(message: Message, room: str) -> None:
    """Send what came to the room."""
    counters["broadcast"] += 1
    Group(f"room-{room}").send({"text": message.content["text"]})
