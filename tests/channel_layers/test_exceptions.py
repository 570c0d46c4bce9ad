from __future__ import annotations

import pickle

import pytest

from channel_layers.exceptions import (
    ChannelFull,
    ExtensionMissing,
    InvalidContent,
    InvalidName,
    LayerUnavailable,
    MessageTooLarge,
)

FULL = ChannelFull("http.request", 100, 100, 2.34, "channel_capacity['http.request'] in CONFIG")
LARGE = MessageTooLarge("chat", 3000, 2000)
MISSING = ExtensionMissing("MyLayer", "turns", "turns")


@pytest.mark.parametrize(
    ("error", "sentences"),
    [
        (
            FULL,
            [
                "channel 'http.request' is full: 100 messages wait, the limit is 100, the oldest is 2.3 s old",
                "start more workers for it or raise channel_capacity['http.request'] in CONFIG",
            ],
        ),
        (
            LARGE,
            [
                "message for 'chat' is 3000 bytes, the limit is 2000",
                "send it in parts, send a reference to where it is stored, or raise max_message_size in CONFIG",
            ],
        ),
        (
            MISSING,
            [
                "MyLayer keeps no turns: look for 'turns' in the extensions of a layer before you call this",
                "the layers of channel_layers.memory, channel_layers.local and channel_layers.redis have it",
            ],
        ),
    ],
)
def test_errors_name_value_limit_and_way_out(error: Exception, sentences: list[str]) -> None:
    """The text says what was refused, by which limit, and what can be done."""
    assert str(error) == "; ".join(sentences)


@pytest.mark.parametrize("error", [FULL, LARGE, MISSING])
def test_errors_survive_pickling(error: Exception) -> None:
    """An error that crosses a process boundary keeps its data."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (InvalidName, (TypeError, ValueError)),
        (InvalidContent, (TypeError, ValueError)),
        (MessageTooLarge, (ValueError,)),
        (LayerUnavailable, (ConnectionError,)),
        (ExtensionMissing, (NotImplementedError,)),
    ],
)
def test_errors_are_caught_by_what_1x_code_catches(error: type, bases: tuple[type, ...]) -> None:
    """A bad name was a TypeError in 1.x; other bases are what Python calls such errors."""
    assert all(issubclass(error, base) for base in bases)
