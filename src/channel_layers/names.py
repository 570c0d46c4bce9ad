"""Names of channels, groups and inboxes.

Grammar (that of the 1.x specification): ASCII letters, digits, ``-``, ``_`` and ``.``, shorter than 100
characters, with at most one marker. ``name?key`` has a single reader. ``inbox!key`` leads to one connection:
everything up to and including ``!`` names the inbox of the process that holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import count

from channel_layers.exceptions import InvalidName

MAX_CHANNEL_LENGTH = 99
MAX_PATTERN_LENGTH = 46
"""Characters of a pattern with its marker; leaves room for a process name of 20 and a key of 32."""
MAX_GROUP_SIZE = 255

_CHANNEL = re.compile(r"[a-zA-Z0-9\-_.]+([!?][a-zA-Z0-9\-_.]+)?\Z")
_READABLE = re.compile(r"[a-zA-Z0-9\-_.]+(!|\?[a-zA-Z0-9\-_.]+)?\Z")
_PATTERN = re.compile(r"[a-zA-Z0-9\-_.]+[!?]\Z")
_ALLOWED = "ASCII letters, digits, '-', '_' and '.', and one '!' or '?' between two parts"


def check_channel(name: object) -> str:
    """Return ``name`` if messages can be sent to it, else raise :exc:`InvalidName`."""
    if type(name) is str and _is_channel(name):
        return name
    return _checked(name, _CHANNEL, "channel name")


def check_reply_channel(name: object) -> str:
    """Return ``name`` if it leads to one connection, else raise :exc:`InvalidName`."""
    channel = check_channel(name)
    if "!" not in channel:
        raise InvalidName(f"{channel!r} is no reply channel: those have a '!' before the key of their connection")
    return channel


def check_readable(name: object) -> str:
    """Return ``name`` if it can be received from: a queue, or an inbox up to and including its ``!``."""
    return _checked(name, _READABLE, "name to receive from", "; receive from an inbox by its part up to '!'")


def check_pattern(name: object) -> str:
    """Return ``name`` if :meth:`~channel_layers.base.BaseChannelLayer.new_channel` can complete it."""
    return _checked(name, _PATTERN, "pattern", "; it must end in '!' or '?'", MAX_PATTERN_LENGTH)


def check_group(name: object) -> str:
    """Return ``name`` if it can name a group: any text of 1 to 255 bytes in UTF-8."""
    if not isinstance(name, str):
        raise InvalidName(f"a group name is text, not {type(name).__name__}: {name!r:.80}")
    try:
        size = len(name) if name.isascii() else len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidName(f"a group name is valid Unicode ({error.reason}): {name!r}") from None
    if not 0 < size <= MAX_GROUP_SIZE:
        raise InvalidName(f"a group name has 1 to {MAX_GROUP_SIZE} bytes in UTF-8, this one {size}: {name!r:.80}")
    return str.__str__(name)


def several(channels: Sequence[str]) -> Sequence[str]:
    """Return ``channels`` unless it is a single name given by mistake, whose letters would be taken for names."""
    if isinstance(channels, str):
        raise InvalidName(f"expected several channel names, not one; give it as [{channels!r}]")
    return channels


def inbox_name(kind: str, process: str) -> str:
    """Return the name of the inbox of ``kind`` in ``process``, as :func:`new_process_name` gave it."""
    return f"{check_pattern(f'{kind}!')[:-1]}.{process}!"


def inbox_of(channel: str) -> str | None:
    """Return the inbox that ``channel`` leads to, or ``None`` for a queue."""
    end = channel.find("!")
    return channel[: end + 1] if end >= 0 else None


def inbox_kind(channel: str) -> str:
    """Return the kind of a reply channel: ``websocket.send`` of ``websocket.send.k3f9!…``."""
    return channel[: channel.find("!")].rpartition(".")[0]


def new_process_name() -> str:
    """Return a name for this process that no other process has or will have (80 random bits)."""
    return os.urandom(10).hex()


class Keys:
    """Keys of one inbox: a serial number, so that none is used twice, and 64 random bits nobody can guess."""

    __slots__ = ("_serial",)

    def __init__(self) -> None:
        self._serial = count(1)

    def __next__(self) -> str:
        return f"{next(self._serial):x}{os.urandom(8).hex()}"


@lru_cache(maxsize=4096)  # every send checks a name, mostly one of the few that were sent to a moment ago
def _is_channel(name: str) -> bool:
    return len(name) <= MAX_CHANNEL_LENGTH and _CHANNEL.match(name) is not None


def _checked(name: object, grammar: re.Pattern[str], what: str, hint: str = "", limit: int = MAX_CHANNEL_LENGTH) -> str:
    if not isinstance(name, str):
        raise InvalidName(f"a {what} is text, not {type(name).__name__}: {name!r:.80}")
    if len(name) > limit:
        raise InvalidName(f"a {what} has at most {limit} characters, this one {len(name)}: {name!r:.80}")
    if grammar.match(name) is None:
        raise InvalidName(f"a {what} is made of {_ALLOWED}{hint}, not {name!r}")
    return str.__str__(name)  # a subclass may format itself otherwise than it compares
