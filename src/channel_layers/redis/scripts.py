"""The Lua scripts: each is one step that the server takes as a whole. Their files tell KEYS and ARGV."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from channel_layers.redis.protocol import Argument, pack


def digest_of(source: bytes) -> str:
    """Return what the server calls a script."""
    return hashlib.sha1(source, usedforsecurity=False).hexdigest()


class Script:
    """The script in ``lua/<name>.lua``; called by its SHA-1."""

    def __init__(self, name: str) -> None:
        self.source = files("channel_layers.redis").joinpath(f"lua/{name}.lua").read_bytes()
        self.digest = digest_of(self.source)

    def call(self, keys: Sequence[str], *arguments: Argument) -> bytes:
        """Return the command that runs it."""
        return pack("EVALSHA", self.digest, len(keys), *keys, *arguments)

    def load(self) -> bytes:
        """Return the command that makes the server know it."""
        return pack("SCRIPT", "LOAD", self.source)


PUSH = Script("push")
TAKE = Script("take")
RELEASE = Script("release")
PUT_BACK = Script("put_back")
FIND_LOST = Script("find_lost")
ANNOUNCE = Script("announce")
REAP = Script("reap")
OPEN = Script("open")
APPEND = Script("append")
TRIM = Script("trim")
REGISTER = Script("register")
UNREGISTER = Script("unregister")
TURN = Script("turn")

ALL = (PUSH, TAKE, RELEASE, PUT_BACK, FIND_LOST, ANNOUNCE, REAP, OPEN, APPEND, TRIM, REGISTER, UNREGISTER, TURN)


def load_all() -> list[bytes]:
    """Return the commands that make a server know every script."""
    return [script.load() for script in ALL]
