"""What one process of the load is to do: written by the harness, read by the process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One load. Sizes are bytes, times seconds."""

    mode: str
    """Which load: a name in ``benchmarks.load.__main__``."""
    ports: tuple[int, ...]
    """Where the servers listen; connections are spread over them."""
    dialect: str = "plain"
    """How the server wants to be spoken to: a name in ``benchmarks.load.dialects``."""
    path: str = "/echo/"
    sockets: int = 1
    text: str = ""
    """What a socket sends; ``size`` times x if empty."""
    answer: str = ""
    """What comes back for it; the same if empty."""
    size: int = 32
    binary: bool = False
    weight: int = 1
    """Messages that one answer stands for."""
    groups: int = 1
    """Groups that the members are spread over."""
    ahead: int = 1
    """Messages to a group that may be under way at once."""
    rate: float = 0.0
    """Messages per second of an open loop."""
    method: str = "GET"
    body: int = 0
    """Length of the body of a request."""
    expected: int = 0
    """Length of the body of a response."""
    seconds: float = 1.0
    warm_up: float = 0.3
    at_least: int = 0
    """Rounds that a window has at least, however long they take."""
    limit: float = 30.0
    """After so many seconds the load gives up, whatever happens."""
    redis: int = 0
    """Port of the Redis whose commands are counted; 0: none."""
    monitor: bool = False
    """Whether only the commands are counted that clients send, and not those that scripts give."""
    number: int = 0
    """Which of several processes this is."""

    def dumps(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Self:
        """Return what :meth:`dumps` was given."""
        values = json.loads(text)
        return cls(**{**values, "ports": tuple(values["ports"])})


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What to look at while the load runs: processors, and the processes of each role."""

    cores: tuple[int, ...] = ()
    roles: dict[str, list[int]] = field(default_factory=dict)

    def dumps(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Self:
        """Return what :meth:`dumps` was given."""
        values = json.loads(text)
        return cls(cores=tuple(values["cores"]), roles=values["roles"])
