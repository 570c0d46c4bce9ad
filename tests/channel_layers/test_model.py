"""The in-memory layer against a model made of dicts and deques, under random operations."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from channel_layers import codec
from channel_layers.envelope import DONE, EVENT, GROUP, MESSAGE, Envelope, done
from channel_layers.exceptions import ChannelFull
from channel_layers.memory import MemoryChannelLayer
from channel_layers.slot import Slot

EXPIRY = 60.0
CAPACITY = {"a": 6, "b": 3, "c?k": 6}
QUEUES = st.sampled_from(list(CAPACITY))
LANES = st.sampled_from(["a", "b"])
GROUPS = st.sampled_from(["g", "h"])
PICK = st.integers(0, 10_000)


class Item(NamedTuple):
    """What waits in a queue of the model; an event has an owner."""

    n: int
    time: float
    owner: str = ""
    token: int = 0


class Entry(NamedTuple):
    """What waits in the inbox of the model."""

    kind: str
    target: str
    n: int = 0
    without: tuple[str, ...] = ()


def holds_claims(machine: LayerMachine) -> bool:
    """Return whether some slot has taken what it has not settled."""
    return any(machine.claims)


class LayerMachine(RuleBasedStateMachine):
    """Every verb, in any order; after each step the layer and the model hold the same."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.layer = MemoryChannelLayer(clock=lambda: self.now, expiry=EXPIRY, capacity=6, channel_capacity={"b": 3})
        self.inbox = self.layer.inbox("test")
        self.slots: list[Slot] = [self.layer.open_slot() for _ in range(2)]
        self.claims: list[list[tuple[Envelope, Item]]] = [[], []]
        self.queues: dict[str, deque[Item]] = {name: deque() for name in CAPACITY}
        self.entries: list[Entry] = []
        self.channels: list[str] = []  # every reply channel there ever was
        self.held: dict[str, bool] = {}  # those not forgotten: whether they may join
        self.members: dict[str, list[str]] = {"g": [], "h": []}
        self.queue_members: dict[str, list[str]] = {"g": [], "h": []}
        self.reached: set[str] = set()  # groups whose messages come to the inbox
        self.events: list[Envelope] = []
        self.lost = 0
        self.counter = 0

    @initialize()
    def open_connections(self) -> None:
        """Some connections and messages to begin with."""
        for _ in range(3):
            self.channels.append(self.inbox.new_channel())
            self.held[self.channels[-1]] = True
        self.send_many([*CAPACITY, *CAPACITY])

    # -- the model -------------------------------------------------------------------------------------------------

    def number(self) -> int:
        self.counter += 1
        return self.counter

    def expire(self, channel: str) -> deque[Item]:
        queue = self.queues[channel]
        while queue and self.is_expired(queue[0]):
            queue.popleft()
        return queue

    def is_expired(self, item: Item) -> bool:
        return not item.owner and item.time < self.now - EXPIRY

    def alive(self, channel: str) -> list[Item]:
        return [item for item in self.queues[channel] if not self.is_expired(item)]

    def pop(self, channel: str) -> Item:
        return self.expire(channel).popleft()

    def put(self, channel: str, n: int) -> bool:
        """Append a message; return whether there was room."""
        if len(self.expire(channel)) >= CAPACITY[channel]:
            return False
        self.queues[channel].append(Item(n, self.now))
        return True

    def settle_event(self, item: Item) -> None:
        if item.owner:
            self.entries.append(Entry("done", item.owner, item.token))

    def busy(self, which: int) -> int:
        """Return ``which``, or the other slot if that one holds nothing."""
        return which if self.claims[which] else 1 - which

    def pick(self, index: int) -> str:
        return self.channels[index % len(self.channels)]

    def member(self, index: int) -> str:
        """Return a reply channel or a queue."""
        names = [*self.channels, *CAPACITY]
        return names[index % len(names)]

    def move(self, members: list[str], entry: Entry, channel: str) -> None:
        """Play a join or a leave of ``channel`` on ``members``."""
        if entry.kind == "join" and self.held.get(channel) and channel not in members:
            members.append(channel)
        elif entry.kind == "leave" and channel in members:
            members.remove(channel)

    # -- queues ----------------------------------------------------------------------------------------------------

    @rule(channels=st.lists(QUEUES, min_size=1, max_size=6))
    def send_many(self, channels: list[str]) -> None:
        """A message is in its queue, or refused because that is full, each by itself."""
        messages = [(channel, self.number()) for channel in channels]
        room = [self.put(channel, n) for channel, n in messages]
        contents = [(channel, {"n": n}) for channel, n in messages]
        if all(room):
            self.layer.send_many(contents)
        else:
            with pytest.raises(ChannelFull):
                self.layer.send_many(contents)

    @rule(channel=LANES, index=PICK)
    def send_event(self, channel: str, index: int) -> None:
        """Events are never refused."""
        owner, n = self.pick(index), self.number()
        self.events.append(Envelope(EVENT, channel, codec.encode({"n": n}), owner, n))
        self.queues[channel].append(Item(n, self.now, owner, n))
        assert self.layer.write([self.events[-1]]) == []

    @rule(channels=st.lists(QUEUES, unique=True))
    def receive(self, channels: list[str]) -> None:
        """The oldest of one of the queues, if there is any."""
        channel, content = self.layer.receive(channels)
        if channel is None or content is None:
            assert not any(self.alive(name) for name in channels)
        else:
            assert channel in channels
            item = self.pop(channel)
            assert content == {"n": item.n}
            self.settle_event(item)

    # -- slots -----------------------------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 1),
        wants=st.dictionaries(QUEUES, st.integers(2, 4), min_size=1),
        limit=st.integers(1, 8),
    )
    def take(self, which: int, wants: dict[str, int], limit: int) -> None:
        """As much as wanted of what is there, the oldest of each queue first."""
        possible = {channel: min(n, len(self.alive(channel))) for channel, n in wants.items()}
        taken = self.slots[which].take(wants, limit, 0)
        assert len(taken) == min(limit, sum(possible.values()))
        for envelope in taken:
            item = self.pop(envelope.target)
            possible[envelope.target] -= 1
            assert codec.decode(envelope.content) == {"n": item.n}
            assert (envelope.owner, envelope.token, envelope.time) == (item.owner, item.token, item.time)
            self.claims[which].append((envelope, item))
        assert min(possible.values()) >= 0

    @precondition(holds_claims)
    @rule(which=st.integers(0, 1), channel=QUEUES, index=PICK)
    def settle(self, which: int, channel: str, index: int) -> None:
        """What a run sends is written, its events are done, and it claims nothing any more."""
        which = self.busy(which)
        n, reply = self.number(), self.pick(index)
        written = [self.layer.message(channel, {"n": n}), self.layer.message(reply, {"n": n})]
        room = self.put(channel, n)
        self.entries.append(Entry("message", reply, n))
        for _, item in self.claims[which]:
            if item.owner:
                written.append(done(item.owner, item.token))
                self.settle_event(item)
        refused = self.slots[which].settle(written)
        assert [refusal.envelope for refusal in refused] == ([] if room else written[:1])
        self.claims[which] = []

    @precondition(holds_claims)
    @rule(which=st.integers(0, 1), kept=st.integers(0, 1))
    def put_back(self, which: int, kept: int) -> None:
        """What was not touched is at the heads of its queues."""
        which = self.busy(which)
        untouched = self.claims[which][kept:]
        self.slots[which].put_back([envelope for envelope, _ in untouched])
        for envelope, item in reversed(untouched):
            self.queues[envelope.target].appendleft(item)
        self.claims[which] = self.claims[which][:kept]

    @precondition(holds_claims)
    @rule(which=st.integers(0, 1))
    def replace_slot(self, which: int) -> None:
        """What a slot held when it closed is lost and counted."""
        which = self.busy(which)
        self.slots[which].close()
        self.lost += len(self.claims[which])
        self.slots[which], self.claims[which] = self.layer.open_slot(), []
        assert self.layer.losses.counts["worker died"] == self.lost

    @precondition(lambda self: self.events)
    @rule(index=PICK)
    def retract(self, index: int) -> None:
        """An event that is still queued can be taken back."""
        event = self.events[index % len(self.events)]
        queue = self.queues[event.target]
        found = [item for item in queue if item.token == event.token]
        assert self.layer.retract(event) is bool(found)
        for item in found:
            queue.remove(item)

    # -- connections -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.counter % 5 == 0)
    @rule()
    def new_channel(self) -> None:
        """A connection comes; its name is new."""
        channel = self.inbox.new_channel()
        assert channel not in self.channels
        self.channels.append(channel)
        self.held[channel] = True

    @rule(index=PICK, forgotten=st.booleans())
    def end(self, index: int, forgotten: bool) -> None:
        """A connection leaves its groups, and is forgotten when its events are settled."""
        channel = self.pick(index)
        if forgotten:
            self.inbox.forget(channel)
            self.held.pop(channel, None)
        else:
            self.inbox.retire(channel)
            self.held.update({channel: False} if channel in self.held else {})
        for members in self.members.values():
            if channel in members:
                members.remove(channel)

    @rule(index=PICK)
    def reply(self, index: int) -> None:
        """Sending to a reply channel never fails, whoever is there."""
        channel, n = self.pick(index), self.number()
        self.layer.send(channel, {"n": n})
        self.entries.append(Entry("message", channel, n))

    # -- groups ----------------------------------------------------------------------------------------------------

    @rule(group=GROUPS, index=PICK)
    def group_add(self, group: str, index: int) -> None:
        """Queues are members at once, reply channels once the inbox is read."""
        member = self.member(index)
        self.layer.group_add(group, member)
        if member not in CAPACITY:
            self.entries.append(Entry("join", group, self.channels.index(member)))
            self.reached.add(group)
        elif member not in self.queue_members[group]:
            self.queue_members[group].append(member)

    @rule(group=GROUPS, index=PICK)
    def group_discard(self, group: str, index: int) -> None:
        """As for adding."""
        member = self.member(index)
        self.layer.group_discard(group, member)
        if member not in CAPACITY:
            self.entries.append(Entry("leave", group, self.channels.index(member)))
        elif member in self.queue_members[group]:
            self.queue_members[group].remove(member)

    @rule(group=GROUPS, excluded=st.lists(PICK, max_size=2))
    def send_group(self, group: str, excluded: list[int]) -> None:
        """A copy to each queue that has room, one entry for the members of the inbox."""
        n, without = self.number(), tuple(self.member(index) for index in excluded)
        self.layer.send_group(group, {"n": n}, without)
        for channel in self.queue_members[group]:
            if channel not in without:
                self.put(channel, n)
        if group in self.reached:
            self.entries.append(Entry("group", group, n, without))

    @rule()
    def read_inbox(self) -> None:
        """Everything that has arrived, resolved by who was a member when it was sent."""
        expected = [delivery for entry in self.entries if (delivery := self.resolve(entry))]
        self.entries = []
        kinds = {MESSAGE: "message", DONE: "done", GROUP: "group"}
        assert expected == [
            (kinds[envelope.kind], list(channels), envelope.token or codec.decode(envelope.content)["n"])
            for channels, envelope in self.inbox.receive(0)
        ]

    def resolve(self, entry: Entry) -> tuple[str, list[str], int] | None:
        if entry.kind in ("join", "leave"):
            members = self.members[entry.target]
            was_empty = not members
            self.move(members, entry, self.channels[entry.n])
            if was_empty and members:
                self.reached.add(entry.target)  # the process registers with its first member
            return None
        if entry.kind == "group":
            reached = [channel for channel in self.members[entry.target] if channel not in entry.without]
        else:
            reached = [entry.target] if entry.target in self.held else []
        return (entry.kind, reached, entry.n) if reached else None

    # -- time and loss ---------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1.0, 9.0, 11.0, 61.0]))
    def pass_time(self, seconds: float) -> None:
        """Messages grow old, and groups nobody is in are withdrawn, unnoticed by everybody."""
        self.now += seconds
        self.inbox.beat()

    @precondition(lambda self: self.counter % 9 == 8)
    @rule(reannounced=st.booleans())
    def flush(self, reannounced: bool) -> None:
        """Only what the processes know of is left."""
        self.layer.flush()
        for queue in self.queues.values():
            queue.clear()
        for queue_members in self.queue_members.values():
            queue_members.clear()
        self.entries.clear()
        self.reached.clear()
        if reannounced:
            self.inbox.reannounce()
            self.reached |= {group for group, members in self.members.items() if members}

    # -- what holds after every step -------------------------------------------------------------------------------

    @invariant()
    def depths_agree(self) -> None:
        """No queue holds less than it should; expired messages may still lie there."""
        for channel, queue in self.queues.items():
            assert len(self.expire(channel)) <= self.layer.depth(channel)
            if not queue:
                continue
            first = self.layer.queues[channel]
            assert codec.decode(first[-1].content) == {"n": queue[-1].n}

    @invariant()
    def members_agree(self) -> None:
        """The members of a group are as they will be once the inbox is read."""
        for group, members in self.members.items():
            future = list(members)
            for entry in self.entries:
                if entry.target == group and entry.kind in ("join", "leave"):
                    self.move(future, entry, self.channels[entry.n])
            expected = set(self.queue_members[group]) | (set(future) if group in self.reached else set())
            assert set(self.layer.group_channels(group)) == expected

    @invariant()
    def events_are_where_they_should_be(self) -> None:
        """An event is lost if and only if it is neither queued nor claimed."""
        tokens = {item.token for queue in self.queues.values() for item in queue}
        tokens |= {item.token for claims in self.claims for _, item in claims}
        lost = [event.token for event in self.events if event.token not in tokens]
        assert [event.token for event in self.layer.find_lost(self.events)] == lost


LayerMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40)
TestLayerMachine: Any = LayerMachine.TestCase
