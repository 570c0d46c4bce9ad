from typing import Any

import pytest

from channels.layers import ChannelLayerWrapper
from channels.message import LaneState, Message
from tests.channels.workers import layer_of


def message(layer: ChannelLayerWrapper | None = None, **content: Any) -> Message:
    """Return a message on ``websocket.receive``."""
    return Message(content, "websocket.receive", layer or layer_of())


def test_attributes() -> None:
    """Content, channel, layer and the way back."""
    layer = layer_of()
    found = message(layer, text="hello", reply_channel="websocket.send.tests!1")
    assert found.content == {"text": "hello", "reply_channel": "websocket.send.tests!1"}
    assert (found.channel.name, found.channel_name, found.channel_layer) == (
        "websocket.receive",
        "websocket.receive",
        layer,
    )
    assert found.channel.channel_layer is layer
    assert found.reply_channel is not None
    assert (found.reply_channel.name, found.reply_channel.channel_layer) == ("websocket.send.tests!1", layer)
    assert (found.attempt, found.lane) == (0, None)


@pytest.mark.parametrize("content", [{}, {"reply_channel": None}, {"reply_channel": ""}])
def test_message_without_reply_channel(content: dict[str, Any]) -> None:
    """There is no way back, and that is None."""
    assert message(**content).reply_channel is None


def test_mapping() -> None:
    """Keys of the content are read and written on the message itself."""
    found = message(text="hello", order=0)
    found["room"] = "lobby"
    assert found.content["room"] == "lobby"
    assert (found["text"], found.get("text"), found.get("bytes"), found.get("bytes", b"")) == (
        "hello",
        "hello",
        None,
        b"",
    )
    assert ("text" in found, "bytes" in found) == (True, False)
    assert list(found.keys()) == ["text", "order", "room"]
    assert list(found.values()) == ["hello", 0, "lobby"]
    assert list(found.items()) == [("text", "hello"), ("order", 0), ("room", "lobby")]
    with pytest.raises(KeyError, match="bytes"):
        found["bytes"]


def test_copy_is_deep() -> None:
    """A change of the copy is none of the original; channel, layer and lane are the same."""
    found = Message({"tags": ["a"]}, "jobs", layer_of(), LaneState(b"session"))
    copied = found.copy()
    copied["tags"].append("b")
    assert (found["tags"], copied["tags"]) == (["a"], ["a", "b"])
    assert (copied.channel_name, copied.channel_layer, copied.lane) == ("jobs", found.channel_layer, found.lane)


def test_repr_shows_keys_and_no_values() -> None:
    """Values may be secrets of a user."""
    assert repr(message(text="a secret", order=0)) == "<Message on 'websocket.receive': text, order>"


def test_lane_state() -> None:
    """A session that was not changed is not sent back."""
    lane = LaneState(b"session")
    assert (lane.session, lane.changed) == (b"session", False)
