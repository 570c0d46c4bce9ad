"""What a configuration refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest

from daphne.config import LIMITS, Config, option_of, spelling, text_of


@pytest.mark.parametrize("options", [{"ping_interval": 0}, {"root_path": "-1"}, {"debug": True}, {"head_timeout": 0.5}])
def test_what_is_in_range_is_taken(options: dict[str, Any]) -> None:
    """Zero switches a limit off; text and flags are no numbers."""
    assert Config(**options) == Config(**options)


@pytest.mark.parametrize("options", [{"max_body_size": -1}, {"http_timeout": -0.5}])
def test_a_negative_limit_is_refused(options: dict[str, Any]) -> None:
    """The error names the option and its value."""
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"^{name} must not be negative, not {value}$"):
        Config(**options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_body_size": 1.5}, "max_body_size is int, 104857600 by default, not 1.5"),
        ({"max_body_size": True}, "max_body_size is int, 104857600 by default, not True"),
        ({"http_timeout": "5"}, "http_timeout is int or float, 120.0 by default, not '5'"),
        ({"debug": 1}, "debug is bool, False by default, not 1"),
        ({"allowed_hosts": "example.org"}, "allowed_hosts is tuple, () by default, not 'example.org'"),
    ],
)
def test_a_value_of_another_type_is_refused(options: dict[str, Any], expected: str) -> None:
    """The error says what is expected, the default and the value."""
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        Config(**options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"compression_level": 10}, "compression_level is 0 to 9, not 10"),
        ({"compression_window": 8}, "compression_window is 9 to 15, not 8"),
        ({"compression_window": 16}, "compression_window is 9 to 15, not 16"),
        ({"write_policies": (("a", "b"),)}, "a write policy is close, drop-oldest, coalesce; there is no 'b'"),
        ({"idle_timeouts": (("(", 1),)}, "idle_timeouts: '(' is no regular expression: "),
    ],
)
def test_what_nothing_could_be_made_of_is_refused(options: dict[str, Any], expected: str) -> None:
    """At the start, and not when the first socket comes."""
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        Config(**options)


def test_every_limit_has_a_text() -> None:
    """The help of the commands is what stands behind the field, without markup."""
    assert text_of("max_body_size") == "Longest request body; longer is answered 413."
    assert all(text_of(field.name).endswith(".") and "``" not in text_of(field.name) for field in LIMITS)


def test_an_option_says_what_its_limit_is() -> None:
    """With the unit that the type tells; argparse would take a bare percent sign for a place to fill in."""
    sizes, times = (next(field for field in LIMITS if field.name == name) for name in ("max_headers", "http_timeout"))
    assert option_of(times)["metavar"] == "SECONDS"
    assert option_of(sizes) == {
        "dest": "max_headers",
        "type": int,
        "metavar": "NUMBER",
        "help": f"{text_of('max_headers')} ({Config().max_headers})",
    }
    assert spelling("max_headers") == "--max-headers"
