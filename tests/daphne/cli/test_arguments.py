from __future__ import annotations

import argparse
import re
from typing import Any

import pytest

from daphne.cli.arguments import add_several, argument
from daphne.config import spelling, text_of
from daphne.endpoints import parse_port


@pytest.mark.parametrize(
    ("parse", "text", "fault"),
    [
        (int, "x", "invalid literal for int() with base 10: 'x'"),
        (parse_port, "80000", "a port is a number from 0 to 65535, not '80000'"),
    ],
)
def test_what_cannot_be_parsed_is_shown_in_the_words_of_its_parser(parse: Any, text: str, fault: str) -> None:
    """By itself argparse would hide them behind the name of a function, or let them through."""
    assert argument(parse)("80") == 80
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{re.escape(fault)}$"):
        argument(parse)(text)


def test_an_option_that_may_be_given_several_times() -> None:
    """Its help is that of the configuration, and more; what is not given is not there."""
    parser = argparse.ArgumentParser()
    add_several(parser.add_argument_group(), "trusted_proxy", "trusted_proxies", "ADDRESS", more=" And more.")
    assert vars(parser.parse_args([])) == {}
    assert parser.parse_args(["--trusted-proxy", "a", "--trusted-proxy", "b"]).trusted_proxies == ["a", "b"]
    shown = " ".join(parser.format_help().split())
    assert f"{spelling('trusted_proxy')} ADDRESS" in shown
    assert f"{text_of('trusted_proxies')} And more." in shown
