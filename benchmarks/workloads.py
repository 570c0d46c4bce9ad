"""Everything that is measured: what the load does, for whom, and what the figure is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.load.spec import Spec
from benchmarks.site import pages

RATE, LATENCY, MEMORY, COMMANDS = "rate", "latency", "memory", "commands"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One thing that is measured."""

    name: str
    title: str
    family: str
    """Workloads of a family are measured one after another with the same processes."""
    kind: str
    """What a contender must be able to do."""
    unit: str
    load: Spec
    metric: str = RATE
    """``rate``: what is counted per second; ``latency``: the median in milliseconds; ``memory``: KiB a socket;
    ``commands``: what clients send to Redis for each message that is sent."""
    servers: int = 1
    runs: int = 3
    narrow: bool = False
    """Whether only one of several ways to the same end takes part: measuring them all would take too long."""
    quick: bool = False
    """Whether it is part of a quick run."""
    half_load: str = ""
    """Name of the workload half of whose rate is the rate of this one."""
    common: bool = False
    """Whether that is half of the slowest contender's rate, for all, and not half of each one's own."""

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.metric == RATE

    def for_(self, contenders: Iterable[Contender]) -> list[Contender]:
        """Return those of ``contenders`` that take part."""
        able = [each for each in contenders if self.kind in each.kinds and not (self.narrow and each.name in BROAD)]
        able = [each for each in able if self.servers == 1 or each.spans]
        return [each for each in able if self.metric != COMMANDS or "redis" in each.needs]

    @property
    def copies(self) -> int:
        """How often a message that is sent is delivered, and counted."""
        return self.load.sockets // self.load.groups if self.load.mode == "broadcast" else 1


BROAD: Final = frozenset(
    contender.name
    for contender in CONTENDERS
    if {"sansio", "wsproto", "core", "beside"} & set(contender.name.split("-")) and "worker" not in contender.name
)
"""Contenders that are left out of narrow workloads."""


def _spec(mode: str, **values: Any) -> Spec:
    return Spec(mode=mode, ports=(), **values)


def _echo(sockets: int, size: int, *, binary: bool = False, **options: Any) -> Workload:
    sizes = {32: "32 B", 1024: "1 KiB", 16 * 1024: "16 KiB"}
    kind = "binary" if binary else "text"
    name = "-".join(["echo", str(sockets), *([sizes[size].replace(" ", "")] if size > 32 else []), *[kind] * binary])
    return Workload(
        name=name,
        title=f"echo, {sockets:,} socket{'s' * (sockets > 1)}, {sizes[size]} of {kind}",
        family="echo",
        kind="binary" if binary else "echo",
        unit="messages/s",
        load=_spec("echo", sockets=sockets, size=size, binary=binary),
        **options,
    )


def _broadcast(members: int, groups: int = 1, servers: int = 1, ahead: int = 4, **options: Any) -> Workload:
    several = f"{groups} groups" if groups > 1 else "one group"
    name = f"broadcast-{members}" + (f"-{groups}groups" if groups > 1 else "")
    return Workload(
        name=name + (f"-{servers}servers" if servers > 1 else ""),
        title=f"broadcast, {members:,} members of {several}, {servers} server process{'es' * (servers > 1)}",
        family="broadcast" if servers == 1 else f"broadcast over {servers} servers",
        kind="group",
        unit="deliveries/s",
        servers=servers,
        load=_spec("broadcast", path="/rooms/*/", sockets=members, groups=groups, ahead=ahead, at_least=2),
        **options,
    )


def _http(name: str, title: str, expected: int, **options: Any) -> Workload:
    load = {key: options.pop(key) for key in ("path", "method", "body") if key in options}
    return Workload(
        name=name,
        title=title,
        family="http",
        kind="http",
        unit="requests/s",
        load=_spec("requests", sockets=50, expected=expected, **load),
        **options,
    )


def _idle(sockets: int, **options: Any) -> Workload:
    return Workload(
        name=f"idle-{sockets}",
        title=f"{sockets:,} idle sockets, memory of the server process for each",
        family="idle",
        kind="idle",
        unit="KiB",
        metric=MEMORY,
        load=_spec("hold", sockets=sockets),
        **options,
    )


def _half_load(name: str, title: str, *, common: bool, **options: Any) -> Workload:
    return Workload(
        name=name,
        title=title,
        family="echo",
        kind="echo",
        unit="ms",
        metric=LATENCY,
        half_load="echo-100",
        common=common,
        load=_spec("paced", sockets=100),
        **options,
    )


def _commands(plain: Workload, what: str) -> Workload:
    """Return the workload that counts the commands of ``plain``."""
    count = f"{plain.servers} server process{'es' * (plain.servers > 1)}"
    return replace(
        plain,
        name=f"commands-{plain.name}",
        title=f"commands that Redis is sent for each {what}, {count}",
        metric=COMMANDS,
        unit="commands",
        load=replace(plain.load, monitor=True),
        runs=1,
        narrow=True,
        quick=plain.servers == 1,
    )


WORKLOADS: Final = (
    _echo(1, 32, quick=True),
    _echo(100, 32, runs=5, quick=True),
    _echo(1000, 32, quick=True),
    _echo(100, 1024, runs=2, narrow=True),
    _echo(100, 16 * 1024, runs=2, narrow=True),
    _echo(100, 32, binary=True, runs=2, narrow=True),
    _echo(100, 1024, binary=True, runs=2, narrow=True),
    _echo(100, 16 * 1024, binary=True, runs=2, narrow=True),
    _commands(_echo(100, 32), "echo"),
    _half_load("latency-half", "latency of echoes at half of each one's own rate", common=False, quick=True),
    _half_load("latency-same", "latency of echoes at half of the slowest one's rate", common=True, runs=2),
    Workload(
        name="storm",
        title="connect, echo once, close: 50 at a time",
        family="echo",
        kind="storm",
        unit="visits/s",
        load=_spec("storm", sockets=50),
        runs=2,
        quick=True,
    ),
    _broadcast(100, quick=True),
    _broadcast(1000, runs=5, quick=True),
    _broadcast(1000, groups=100, ahead=2, runs=2, narrow=True),
    _commands(_broadcast(1000), "broadcast"),
    Workload(
        name="churn",
        title="join a group, leave it, echo: 100 sockets",
        family="broadcast",
        kind="churn",
        unit="messages/s",
        load=_spec("echo", path="/churn/", sockets=100),
        runs=2,
        quick=True,
    ),
    Workload(
        name="news",
        title="long polls that wake up: 50 wait, one publishes",
        family="broadcast",
        kind="news",
        unit="ms",
        metric=LATENCY,
        load=_spec("news", path="/news/", text="/publish/", sockets=50, expected=32),
        runs=2,
        narrow=True,
        quick=True,
    ),
    _broadcast(10_000, narrow=True),
    _http("hello", "HTTP: hello", 12, path="/", runs=5, quick=True),
    _http("hello-async", "HTTP: hello, by an async view", 12, path="/async/", runs=2),
    _http("json", "HTTP: 20 rows of JSON", len(pages.rows()), path="/json/", runs=2),
    _http("large", "HTTP: a response of 100 KiB", len(pages.LARGE), path="/large/", runs=2),
    _http("upload", "HTTP: a request of 100 KiB", 12, path="/upload/", method="POST", body=100 * 1024, runs=2),
    _http(
        "stream", "HTTP: a response of 100 pieces of 1 KiB", len(pages.PIECE) * pages.PIECES, path="/stream/", runs=2
    ),
    _idle(1000, runs=1, quick=True),
    _idle(10_000, runs=1),
    _broadcast(1000, servers=2, narrow=True, runs=2),
    _commands(_broadcast(1000, servers=2), "broadcast"),
    _broadcast(1000, servers=4, narrow=True, runs=2),
    _commands(_broadcast(1000, servers=4), "broadcast"),
    Workload(
        name="background",
        title="messages to a background channel, sent by 500 and handled by a worker",
        family="background",
        kind="background",
        unit="messages/s",
        load=_spec("echo", path="/background/", sockets=1, text="500", answer="done", weight=500, at_least=2),
        quick=True,
    ),
)
BY_NAME: Final = {workload.name: workload for workload in WORKLOADS}


def quickened(workload: Workload) -> Workload:
    """Return it as it is in a quick run: short, and no more than twice."""
    load = replace(workload.load, seconds=0.4, warm_up=0.1, at_least=min(workload.load.at_least, 1))
    return replace(workload, load=load, runs=min(workload.runs, 2))


def chosen(words: Iterable[str], *, quick: bool) -> list[Workload]:
    """Return the workloads whose name or family begins with one of ``words``, all if there are none.

    Raises :exc:`ValueError` for a word that no workload begins with.
    """
    offered = [quickened(each) for each in WORKLOADS if each.quick] if quick else list(WORKLOADS)
    for word in words:
        if not any(_is_called(each, word) for each in offered):
            names = ", ".join(each.name for each in offered)
            raise ValueError(f"no workload{' of a quick run' * quick} is called {word!r}; there are {names}")
    return [each for each in offered if not words or any(_is_called(each, word) for word in words)]


def _is_called(workload: Workload, word: str) -> bool:
    return workload.name.startswith(word) or workload.family.startswith(word)
