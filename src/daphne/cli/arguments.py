"""How the command's options are read, and given several times."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from daphne.config import spelling, text_of
from daphne.endpoints import EndpointError

T = TypeVar("T")


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return ``parse`` with its errors as :mod:`argparse` shows them."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except (EndpointError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


def add_several(
    group: argparse._ArgumentGroup,
    name: str,
    dest: str,
    metavar: str,
    parse: Callable[[str], object] = str,
    more: str = "",
) -> None:
    """Add an option of the configuration that may be given several times; ``more`` follows what its help says."""
    group.add_argument(
        spelling(name),
        dest=dest,
        action="append",
        default=argparse.SUPPRESS,
        type=argument(parse),
        metavar=metavar,
        help=text_of(dest) + more,
    )
