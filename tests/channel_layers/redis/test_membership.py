"""Joins and leaves under crashes, floods of forgetting and cut connections: nothing is lost for good, nothing leaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from channel_layers import codec
from channel_layers.envelope import GROUP
from channel_layers.exceptions import LayerUnavailable
from channel_layers.inbox import VACANCY, Delivery
from channel_layers.redis import RedisChannelLayer, connection
from channel_layers.redis.inbox import RedisInbox
from channel_layers.redis.protocol import pack
from tests.channel_layers.redis import clock
from tests.channel_layers.redis.server import RedisServer

GROUPS = ("g", "h")
PICK = st.integers(0, 1000)


class Process:
    """An interface server as the layer sees it, and what its connections are members of.

    ``joined`` are pairs of group and channel that it has read of, ``unread`` moves that wait in its inbox: a flush
    takes these, as it takes messages.
    """

    def __init__(self, layer: RedisChannelLayer) -> None:
        self.layer = layer
        self.inbox: RedisInbox = layer.open_inbox("test.reply")
        self.channels: list[str] = []
        self.joined: set[tuple[str, str]] = set()
        self.unread: list[tuple[str, str, bool]] = []

    def deliveries(self) -> list[Delivery]:
        """Return what is in the inbox; a connection that was cut may show it only now."""
        with suppress(LayerUnavailable):
            return self.inbox.receive(0)
        return self.inbox.receive(0)

    def read(self) -> list[tuple[str, int]]:
        """Read the inbox; return channel and number of every group message."""
        found = []
        for channels, envelope in self.deliveries():
            if envelope.kind == GROUP:
                found += [(channel, codec.decode(envelope.content)["n"]) for channel in channels]
        for group, channel, joins in self.unread:
            if joins and channel in self.channels:
                self.joined.add((group, channel))
            else:
                self.joined.discard((group, channel))
        self.unread.clear()
        return found


class Membership(RuleBasedStateMachine):
    """Three processes, two groups, one server that may do its worst."""

    server: RedisServer
    names: Iterator[int]

    def __init__(self) -> None:
        super().__init__()
        self.shift = 0.0
        self.prefix = f"model{next(self.names)}:"
        self.numbers = count(1)
        clock.move(self.server, 0)
        self.layers: list[RedisChannelLayer] = []
        self.processes = [Process(self.new_layer()) for _ in range(3)]
        self.outsider = self.new_layer()

    def new_layer(self) -> RedisChannelLayer:
        now = lambda: time.time() + self.shift  # noqa: E731
        self.layers.append(RedisChannelLayer(hosts=self.server.url, prefix=self.prefix, clock=now))
        return self.layers[-1]

    def teardown(self) -> None:
        for layer in self.layers:
            layer.close()

    def one(self, pick: int) -> Process:
        return self.processes[pick % len(self.processes)]

    @initialize()
    def populate(self) -> None:
        """Begin with members everywhere."""
        for pick in range(3):
            for which in range(2):
                self.connect(pick)
                self.move(pick, which, GROUPS[which], joins=True)
            self.read(pick)

    # -- what happens all the time ---------------------------------------------------------------------------------

    @rule(pick=PICK)
    def connect(self, pick: int) -> None:
        process = self.one(pick)
        process.channels.append(process.inbox.new_channel())

    @rule(pick=PICK, which=PICK, group=st.sampled_from(GROUPS), joins=st.sampled_from([True, True, False]))
    def move(self, pick: int, which: int, group: str, joins: bool) -> None:
        process = self.one(pick)
        if process.channels:
            channel = process.channels[which % len(process.channels)]
            verb = self.outsider.group_add if joins else self.outsider.group_discard
            verb(group, channel)
            process.unread.append((group, channel, joins))

    @rule(pick=PICK, which=PICK)
    def disconnect(self, pick: int, which: int) -> None:
        process = self.one(pick)
        if len(process.channels) > 1:
            channel = process.channels.pop(which % len(process.channels))
            process.inbox.retire(channel)
            process.inbox.forget(channel)
            process.joined = {(group, member) for group, member in process.joined if member != channel}

    @rule(pick=PICK)
    def read(self, pick: int) -> None:
        self.one(pick).read()

    @rule(pick=PICK)
    def beat(self, pick: int) -> None:
        self.one(pick).inbox.beat()

    @rule()
    def wait(self) -> None:
        self.shift += VACANCY + 2
        clock.move(self.server, self.shift)

    # -- what goes wrong -------------------------------------------------------------------------------------------

    @rule()
    def flush(self) -> None:
        self.server.ask("FLUSHALL")
        self.forgotten()

    @rule()
    def restart(self) -> None:
        self.server.kill()
        self.server.start()
        self.forgotten()

    def forgotten(self) -> None:
        """The readers, which wait in the server, are told at once."""
        clock.move(self.server, self.shift)
        for process in self.processes:
            process.unread.clear()
            process.read()

    @rule()
    def cut(self) -> None:
        self.server.ask("CLIENT", "KILL", "TYPE", "normal")

    @rule(pick=PICK)
    def crash(self, pick: int) -> None:
        """A process vanishes, and another takes its place; its inbox goes when its time is over."""
        dead = self.one(pick)
        dead.layer.close()
        self.outsider.say([pack("UNLINK", self.outsider.keys.stream(dead.inbox.name))])
        self.processes[pick % len(self.processes)] = Process(self.new_layer())

    # -- what must hold --------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """What every process does by itself, all the time: it reads, and has heartbeats."""
        for _ in range(2):
            for process in self.processes:
                process.read()
                process.inbox.beat()

    @rule(group=st.sampled_from(GROUPS))
    def send(self, group: str) -> None:
        """A message reaches every member that was ever read of and is not gone, once, and nobody else."""
        self.heal()
        number = next(self.numbers)
        self.outsider.send_group(group, {"n": number})
        for process in self.processes:
            members = [channel for joined, channel in process.joined if joined == group]
            heard = [channel for channel, n in process.read() if n == number]
            assert sorted(heard) == sorted(members)

    @rule(group=st.sampled_from(GROUPS))
    def look_for_leaks(self, group: str) -> None:
        """A group without members is not known to the server any more, once it has been so for a while."""
        for _ in range(2):
            self.heal()
            self.wait()
        self.outsider.send_group(group, {"n": 0})
        for _ in range(2):
            self.heal()
            self.wait()
        self.heal()
        registered = {name for process in self.processes for name in [process.inbox.name] if self.has(process, group)}
        (reached,) = self.outsider.say([pack("HKEYS", self.outsider.keys.group(group))])
        assert {name.decode() for name in reached} == registered

    def has(self, process: Process, group: str) -> bool:
        return any(joined == group for joined, _ in process.joined)


def test_memberships_survive(own_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the server forgets and whoever crashes, in any order."""
    clock.install(monkeypatch)
    monkeypatch.setattr(connection, "IDLE", 0.0)
    machine = type("Machine", (Membership,), {"server": own_server, "names": count(1)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        ),
    )
