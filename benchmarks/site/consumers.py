"""Consumers as a project would write them, with a counter each: a figure is true if it agrees with them."""

from collections import Counter

from channels import Channel, Group
from channels.message import Message
from channels.sessions import channel_session

counters: Counter[str] = Counter()


def echo(message: Message) -> None:
    """Send back what came."""
    counters["echo"] += 1
    kind = "text" if "text" in message.content else "bytes"
    assert message.reply_channel is not None
    message.reply_channel.send({kind: message.content[kind]})


@channel_session
def remember(message: Message) -> None:
    """Put what is about 200 bytes as it travels into the session of the connection."""
    message.channel_session["visitor"] = {"name": "ada", "rooms": ["lobby", "garden"], "since": 1_760_000_000}


@channel_session
def echo_to_visitor(message: Message) -> None:
    """As :func:`echo`, with a look into the session."""
    assert message.channel_session["visitor"]["name"] == "ada"
    echo(message)


def join(message: Message, room: str) -> None:
    """Become a member of the room in the path."""
    assert message.reply_channel is not None
    Group(f"room-{room}").add(message.reply_channel)


def broadcast(message: Message, room: str) -> None:
    """Send what came to the room."""
    counters["broadcast"] += 1
    Group(f"room-{room}").send({"text": message.content["text"]})


def churn(message: Message) -> None:
    """Join a group, leave it, and send back what came."""
    assert message.reply_channel is not None
    group = Group("churn")
    group.add(message.reply_channel)
    group.discard(message.reply_channel)
    message.reply_channel.send({"text": message.content["text"]})


def hand_out(message: Message) -> None:
    """Give as much work to the background as the text says."""
    assert message.reply_channel is not None
    count = int(message.content["text"])
    for number in range(1, count + 1):
        Channel("background").send({"reply": message.reply_channel.name, "last": number == count})


def background(message: Message) -> None:
    """Do a piece of work, and tell the client when it was the last."""
    counters["background"] += 1
    if message.content["last"]:
        Channel(message.content["reply"]).send({"text": "done"})
