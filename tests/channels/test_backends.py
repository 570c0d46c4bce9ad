"""What a ``BACKEND`` names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.local import LocalChannelLayer
from channel_layers.memory import MemoryChannelLayer
from channel_layers.redis import RedisChannelLayer
from channels.backends import ALIASES, MEMORY, REDIS, RETIRED, load, unfit_options, unknown_options


class OfOthers(BaseChannelLayer):
    """Takes an option of its own, and hands the others on."""

    def __init__(self, *, colour: str = "red", **options: Any) -> None:
        super().__init__(**options)


class Closed(BaseChannelLayer):
    def __init__(self, colour: str) -> None:
        super().__init__()


class Unreadable:
    def __init__(self, colour: "OfNoModule") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037 - the point


class Anything:
    def __init__(self, **options: Any) -> None: ...


@pytest.mark.parametrize(
    ("path", "backend"),
    [
        (MEMORY, MemoryChannelLayer),
        (REDIS, RedisChannelLayer),
        ("asgiref.inmemory.ChannelLayer", MemoryChannelLayer),
        ("asgi_redis.RedisChannelLayer", RedisChannelLayer),
        ("asgi_redis.core.RedisChannelLayer", RedisChannelLayer),
        (f"{__name__}.OfOthers", OfOthers),
    ],
)
def test_paths_lead_to_classes(path: str, backend: type) -> None:
    """Those of this release, of 1.x, and of anybody."""
    assert load(path) is backend


def test_no_path_of_1x_is_imported_itself() -> None:
    """Another package may own its module: ``asgiref`` belongs to Django's."""
    assert set(ALIASES.values()) <= {MEMORY, REDIS}
    assert ALIASES.keys().isdisjoint(RETIRED)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("channel_layers.memory.MemoryChanelLayer", r"MemoryChanelLayer.*Did you mean '.*MemoryChannelLayer'\?$"),
        ("asgi_redis.RedisChanelLayer", r"Did you mean 'asgi_redis\.RedisChannelLayer'\?$"),
        ("asgi_redis.RedisSentinelChannelLayer", "asked sentinels where the master is"),
        ("asgi_redis.RedisLocalChannelLayer", "in the memory of one machine"),
        ("nowhere", "nowhere doesn't look like a module path"),
    ],
)
def test_what_cannot_be_imported_says_why(path: str, expected: str) -> None:
    """With the name that may have been meant, or the way out."""
    with pytest.raises(ImportError, match=expected):
        load(path)


def test_redis_layer_without_its_extra_says_what_to_install() -> None:
    """Both of its names do."""
    for path in ("channel_layers.redis", "asgi_redis"):
        program = f"import sys; sys.modules['hiredis'] = None; import {path}"
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert ended.stderr.endswith(
            "ModuleNotFoundError: the Redis layer needs the extra redis: pip install 'channels-relay[redis]'\n"
        )


@pytest.mark.parametrize(
    ("backend", "option", "sentence"),
    [
        (
            MemoryChannelLayer,
            "expires",
            r"has an unknown option 'expires'\. Did you mean 'expiry'\? Options: capacity, ",
        ),
        (RedisChannelLayer, "host", r"has an unknown option 'host'\. Did you mean 'hosts'\?"),
        (OfOthers, "color", r"has an unknown option 'color'\. Did you mean 'colour'\? Options: .*, colour, expiry, "),
        (Closed, "expiry", r"has an unknown option 'expiry'\. Options: colour$"),
    ],
)
def test_option_that_a_layer_does_not_take(backend: type, option: str, sentence: str) -> None:
    """It is found without making the layer, and those that are handed on to the base are known."""
    (found,) = unknown_options(backend, [option])
    assert re.search(sentence, found)


def test_options_that_a_layer_takes() -> None:
    """Its own and those of its base; all, where it does not say which."""
    assert unknown_options(OfOthers, ["colour", "expiry", "channel_capacity"]) == []
    assert unknown_options(Anything, ["whatever"]) == []


@pytest.mark.parametrize(
    ("backend", "option", "value", "sentence"),
    [
        (MemoryChannelLayer, "capacity", "5", "['capacity'] is a whole number, not '5'"),
        (MemoryChannelLayer, "expiry", "60", "['expiry'] is a number, not '60'"),
        (MemoryChannelLayer, "expiry", None, "['expiry'] is a number, not None"),
        (MemoryChannelLayer, "max_message_size", True, "['max_message_size'] is a whole number, not True"),
        (MemoryChannelLayer, "group_expiry", "60", "['group_expiry'] is a number or None, not '60'"),
        (RedisChannelLayer, "send_timeout", "5", "['send_timeout'] is a number, not '5'"),
        (RedisChannelLayer, "prefix", b"asgi:", "['prefix'] is text, not b'asgi:'"),
        (OfOthers, "colour", 5, "['colour'] is text, not 5"),
        (OfOthers, "expiry", "60", "['expiry'] is a number, not '60'"),
    ],
)
def test_option_of_another_type(backend: type, option: str, value: object, sentence: str) -> None:
    """It is found without making the layer, by what the constructor says."""
    assert unfit_options(backend, {option: value}) == [sentence]


def test_options_of_their_type() -> None:
    """A whole number is a number; what is no plain value, or has no type, is for the constructor to judge."""
    good = {"expiry": 60, "capacity": 5, "group_expiry": None, "channel_capacity": 5, "colour": "blue"}
    assert unfit_options(OfOthers, good) == []
    assert unfit_options(RedisChannelLayer, {"hosts": 5, "stats_prefix": None, "connection_kwargs": 5}) == []
    assert unfit_options(LocalChannelLayer, {"directory": Path("/tmp"), "project": "chat"}) == []
    assert unfit_options(Anything, {"whatever": object()}) == []
    assert unfit_options(Unreadable, {"colour": 5}) == []


def test_clock_is_no_option() -> None:
    """It is for tests of layers."""
    assert len(unknown_options(MemoryChannelLayer, ["clock"])) == 1
