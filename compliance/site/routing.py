"""One route: every socket is an echo."""

from channels.message import Message
from channels.routing import route


def echo(message: Message) -> None:
    """Send back what came, text as text and bytes as bytes."""
    assert message.reply_channel is not None
    key = "text" if "text" in message.content else "bytes"
    message.reply_channel.send({key: message.content[key]})


channel_routing = [route("websocket.receive", echo)]
