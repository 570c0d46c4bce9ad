from __future__ import annotations

import re
from typing import Any

import pytest

from channel_layers.capacity import DEFAULT_CAPACITY, HTTP_CAPACITY, Capacities


def test_channels_have_the_default_capacity() -> None:
    """What no override names has the default."""
    assert Capacities(7)["chat"] == 7


@pytest.mark.parametrize(
    ("override", "channel"),
    [
        ("chat", "chat"),
        ("chat.*", "chat.receive"),
        ("http.request.body?*", "http.request.body?1abc"),
        ("http.request.body?", "http.request.body?1abc"),
        ("http.response!*", "http.response!1abc"),
        (re.compile(r"ch"), "chat"),
        (re.compile(r"chat\.\d+\Z"), "chat.1"),
    ],
)
def test_overrides_match(override: str | re.Pattern[str], channel: str) -> None:
    """An override is a name, a glob or a compiled pattern that matches from the start, without the key."""
    assert Capacities(7, {override: 3})[channel] == 3


@pytest.mark.parametrize(
    ("override", "channel"),
    [("chat", "chat.receive"), ("*.receive", "chat.send"), (re.compile(r"at"), "chat"), ("chat.*", "chat")],
)
def test_overrides_that_do_not_match(override: str | re.Pattern[str], channel: str) -> None:
    """A glob speaks of the whole name."""
    assert Capacities(7, {override: 3})[channel] == 7


def test_the_first_override_that_matches_wins() -> None:
    """The order of the mapping decides."""
    assert Capacities(7, {"chat.*": 1, "chat.receive": 2})["chat.receive"] == 1
    assert Capacities(7, {"chat.receive": 2, "chat.*": 1})["chat.receive"] == 2


def test_http_requests_may_come_in_bursts() -> None:
    """``http.request`` has room for more, unless an override says otherwise or the default is larger still."""
    assert Capacities(DEFAULT_CAPACITY)["http.request"] == HTTP_CAPACITY
    assert Capacities(DEFAULT_CAPACITY)["http.requests"] == DEFAULT_CAPACITY
    assert Capacities(5000)["http.request"] == 5000
    assert Capacities(DEFAULT_CAPACITY, {"http.*": 5})["http.request"] == 5


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10", None])
def test_a_capacity_is_a_positive_whole_number(value: Any) -> None:
    """Anything else is refused at construction, for the default and for overrides."""
    with pytest.raises(ValueError, match=f"the capacity of 'capacity' must be .*, not {value!r}"):
        Capacities(value)
    with pytest.raises(ValueError, match=f"the capacity of 'chat' must be .*, not {value!r}"):
        Capacities(1, {"chat": value})


def test_what_is_remembered_is_bounded() -> None:
    """Channels that are named after what they are about do not fill the memory."""
    capacities = Capacities(7, {"chat.1": 3})
    assert [capacities[f"chat.{n}"] for n in range(10_000)].count(3) == 1
    info = capacities._known.cache_info()
    assert info.maxsize is not None
    assert info.currsize == info.maxsize < 10_000
