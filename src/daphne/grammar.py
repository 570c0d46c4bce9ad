"""The grammar that requests, responses and the words of proxies share (RFC 9110)."""

from __future__ import annotations

import re
from typing import Final

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""A token (section 5.6.2), as a regular expression: methods, names of fields and of what is in them."""
_TOKEN = re.compile(TOKEN)


def is_token(value: bytes) -> bool:
    """Return whether ``value`` is a token."""
    return _TOKEN.fullmatch(value) is not None


def length_of(value: bytes) -> int:
    """Return the number that a Content-Length is (section 8.6); raise :exc:`ValueError` for another value."""
    # isdigit() knows only ASCII in bytes; 18 digits are more than any limit and less than 64 bits.
    if not value.isdigit() or len(value) > 18:
        raise ValueError(f"Content-Length {show(value)} is not one number of up to 18 digits.")
    return int(value)


def show(value: bytes) -> str:
    """Return the beginning of a value of a message, quoted for a sentence."""
    return repr(value[:64].decode("latin-1"))
