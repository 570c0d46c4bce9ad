"""What the account of the layer must be allowed: the rules to give it, and a try of each command.

Redis could be asked with ``ACL DRYRUN`` or ``ACL GETUSER``, but an account that is meant for the layer alone may not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from channel_layers.redis.keys import Keys
from channel_layers.redis.protocol import Argument, Commands, ReplyError, pack
from channel_layers.redis.scripts import PUSH

REFUSED: Final = "NOPERM"
"""What the error of a server begins with that refuses a command or a key to an account."""
WITHOUT_TRIAL: Final = ("info", "scan", "select")
"""Commands that the layer can do without: INFO tells one run of the server from the next, SCAN is for tests, and SELECT
for databases other than 0."""

SHOWN: Final = 6
"""Commands that are named of those that are refused."""

# One of each, harmless: on keys of this trial, in an order in which each finds what it needs.
TRIALS: Final[Mapping[str, tuple[Argument, ...]]] = {
    "time": (),
    "client|id": (),
    "client|setname": ("channels",),
    "client|tracking": ("OFF",),
    "client|kill": ("ID", 0),
    "script|load": (PUSH.source,),
    "evalsha": ("0" * 40, 0),
    "exists": ("{}list",),
    "rpush": ("{}list", "", "", "", ""),
    "lpush": ("{}list", ""),
    "blpop": ("{}list", 0.001),
    "lpop": ("{}list",),
    "lindex": ("{}list", 0),
    "llen": ("{}list",),
    "lpos": ("{}list", ""),
    "lrange": ("{}list", 0, 0),
    "lrem": ("{}list", 1, ""),
    "ltrim": ("{}list", 0, 0),
    "hset": ("{}hash", "field", ""),
    "hget": ("{}hash", "field"),
    "hmget": ("{}hash", "field"),
    "hexists": ("{}hash", "field"),
    "hgetall": ("{}hash",),
    "hvals": ("{}hash",),
    "hdel": ("{}hash", "field"),
    "sadd": ("{}set", ""),
    "srem": ("{}set", ""),
    "zadd": ("{}sorted", 0, ""),
    "zcard": ("{}sorted",),
    "zrange": ("{}sorted", 0, 0),
    "zrem": ("{}sorted", ""),
    "set": ("{}text", ""),
    "mget": ("{}text",),
    "incr": ("{}number",),
    "expire": ("{}number", 1),
    "getdel": ("{}number",),
    "xadd": ("{}stream", "MAXLEN", 1, "*", "field", ""),
    "xlen": ("{}stream",),
    "xrange": ("{}stream", "-", "+"),
    "xread": ("COUNT", 1, "STREAMS", "{}stream", 0),
    "xtrim": ("{}stream", "MAXLEN", 0),
    "del": ("{}list", "{}hash"),
    "unlink": ("{}set", "{}text", "{}number", "{}stream"),
}


def rules(prefix: str) -> str:
    """Return what ``ACL SETUSER`` is told so that an account may do what the layer does, and nothing else."""
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix)
    return " ".join([f"~{pattern}*", *(f"+{command}" for command in sorted([*TRIALS, *WITHOUT_TRIAL]))])


def trial(keys: Keys) -> Commands:
    """Return commands that leave nothing behind, one for each that the layer needs."""
    tag = keys.trial()
    return [
        pack(*name.upper().split("|"), *(each.replace("{}", tag) if isinstance(each, str) else each for each in given))
        for name, given in TRIALS.items()
    ]


def refused(replies: Sequence[object]) -> list[str]:
    """Return the names of the commands that a server refused in its replies to :func:`trial`."""
    return [name for name, reply in zip(TRIALS, replies, strict=True) if _is_refusal(reply)]


def described(names: Sequence[str], replies: Sequence[object], prefix: str) -> str:
    """Return in words what an account may not use: the keys of the layer, or these commands."""
    if any(_is_refusal(reply) and " key" in str(reply) for reply in replies):
        return f"keys that begin with {prefix!r}"
    listed = ", ".join(name.replace("|", " ").upper() for name in names[:SHOWN])
    return listed if len(names) <= SHOWN else f"{listed} and {len(names) - SHOWN} more"


def are_needed(names: Collection[str]) -> bool:
    """Return whether the layer cannot work without the commands ``names``.

    Who may not ask for the id of a connection cannot end one that was lost, and the layer does not try to.
    """
    kills = "client|id" not in names
    return any(not name.startswith("client|") or (kills and name == "client|kill") for name in names)


def _is_refusal(reply: object) -> bool:
    return isinstance(reply, ReplyError) and str(reply).startswith(REFUSED)
