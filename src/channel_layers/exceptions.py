"""What a channel layer refuses, and why: each error carries its data and says the way out."""

from __future__ import annotations


class InvalidName(TypeError, ValueError):
    """A channel or group name breaks a rule; the text names the fault, the limit and the value."""


class InvalidContent(TypeError, ValueError):
    """A message cannot travel as it is, or nothing could be done with it; the text names the offending value.

    ``key`` is the key of a reply that is at fault, if one of them is.
    """

    def __init__(self, text: str, key: str = "") -> None:
        super().__init__(text)
        self.key = key


class LayerUnavailable(ConnectionError):
    """The layer cannot be reached, and nothing was sent; the text says what was tried and for how long.

    The layer itself logs when it goes away and when it is back.
    """


class AnswerLost(LayerUnavailable):
    """No answer came to what was sent: it may have arrived, and is not sent again."""


class LayerDeclined(LayerUnavailable):
    """The layer answers, but with an error: it is loading, read-only, out of memory, or refuses the account."""


class ReaderGone(ConnectionError):
    """Nobody reads this body any more: the client has left, or its server has ended."""


class ExtensionMissing(NotImplementedError):
    """A verb was called of an extension that the layer does not have.

    ``layer`` is the name of its class, ``keeps`` what it would have to keep, ``extension`` what to look for among the
    ``extensions`` of a layer before the verb is called.
    """

    def __init__(self, layer: str, keeps: str, extension: str) -> None:
        super().__init__(layer, keeps, extension)
        self.layer = layer
        self.keeps = keeps
        self.extension = extension

    def __str__(self) -> str:
        return (
            f"{self.layer} keeps no {self.keeps}: look for {self.extension!r} in the extensions of a layer before you "
            "call this; the layers of channel_layers.memory, channel_layers.local and channel_layers.redis have it"
        )


class NoteOutdated(Exception):
    """Something newer was kept of the connection meanwhile; this was not."""


def may_have_arrived(error: Exception) -> bool:
    """Return whether what was sent when ``error`` was raised may have reached the layer, in whole or in part."""
    return not isinstance(error, LayerUnavailable) or isinstance(error, AnswerLost | LayerDeclined)


class LayerUnusable(LayerUnavailable):
    """Something answers for the layer, and waiting will not make it fit; the text says why and what to do."""


class ChannelFull(Exception):
    """A queue has reached its capacity; nothing was sent to it.

    ``channel`` is the queue or inbox, ``depth`` how many messages wait in it, ``capacity`` its limit,
    ``oldest`` the age of its oldest message in seconds and ``setting`` what raises the limit.
    """

    def __init__(self, channel: str, depth: int, capacity: int, oldest: float, setting: str) -> None:
        super().__init__(channel, depth, capacity, oldest, setting)
        self.channel = channel
        self.depth = depth
        self.capacity = capacity
        self.oldest = oldest
        self.setting = setting

    def __str__(self) -> str:
        return (
            f"channel {self.channel!r} is full: {self.depth} messages wait, the limit is {self.capacity}, "
            f"the oldest is {self.oldest:.1f} s old; start more workers for it or raise {self.setting}"
        )


class MessageTooLarge(ValueError):
    """The encoded content of a message is longer than the layer carries; sizes are bytes."""

    def __init__(self, target: str, size: int, limit: int) -> None:
        super().__init__(target, size, limit)
        self.target = target
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"message for {self.target!r} is {self.size} bytes, the limit is {self.limit}; "
            "send it in parts, send a reference to where it is stored, or raise max_message_size in CONFIG"
        )
