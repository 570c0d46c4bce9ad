from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_layers.envelope import GAP, GROUP, JOIN, LEAVE, MESSAGE, Envelope, done
from channel_layers.inbox import VACANCY, Delivery, Inbox


class StandIn(Inbox):
    """An inbox whose entries the test puts; records what it tells the layer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.entries: list[Envelope] = []
        self.registered: list[str] = []
        self.withdrawn: list[tuple[str, float]] = []
        super().__init__("test.p1!", lambda: self.now)

    def close(self) -> None:
        raise NotImplementedError

    def _read(self, timeout: float | None) -> list[Envelope]:
        entries, self.entries = self.entries, []
        return entries

    async def _aread(self) -> list[Envelope]:
        return self._read(None)

    def _register(self, group: str) -> None:
        self.registered.append(group)

    def _withdraw(self, group: str, since: float) -> None:
        self.withdrawn.append((group, since))

    def deliver(self, *entries: Envelope) -> list[Delivery]:
        """Resolve ``entries`` as if they had arrived together."""
        self.entries += entries
        return self.receive(0)

    def join(self, *channels: str, group: str = "g") -> None:
        assert self.deliver(*(Envelope(JOIN, group, owner=channel) for channel in channels)) == []


@pytest.fixture
def inbox() -> StandIn:
    """An inbox without connections."""
    return StandIn()


def to(channel: str) -> Envelope:
    """Return a message for ``channel``."""
    return Envelope(MESSAGE, channel)


# -- direct messages -----------------------------------------------------------------------------------------------


def test_reply_channels_begin_with_the_name_of_the_inbox(inbox: StandIn) -> None:
    """The name, and a key of its own for each."""
    one, other = inbox.new_channel(), inbox.new_channel()
    assert one.startswith("test.p1!")
    assert one != other
    assert inbox.holds(one)
    assert not inbox.holds("test.p1!1")


def test_entries_for_known_channels_are_delivered(inbox: StandIn) -> None:
    """Messages and dones come with the channel they are for; those for strangers do not come."""
    channel = inbox.new_channel()
    message, end = to(channel), done(channel, 1)
    assert inbox.deliver(to("test.p1!1"), message, end) == [
        Delivery((channel,), message),
        Delivery((channel,), end),
    ]


def test_a_coroutine_gets_the_same(inbox: StandIn) -> None:
    """``areceive`` resolves as ``receive`` does."""
    message = to(inbox.new_channel())
    inbox.entries = [message]
    assert asyncio.run(inbox.areceive()) == [Delivery((message.target,), message)]


def test_forgetting_ends_everything(inbox: StandIn) -> None:
    """No message, no membership, and to forget twice is no error."""
    channel = inbox.new_channel()
    inbox.join(channel)
    inbox.forget(channel)
    inbox.forget(channel)
    assert not inbox.holds(channel)
    assert inbox.deliver(to(channel), Envelope(GROUP, "g")) == []
    assert not inbox._groups


# -- members -------------------------------------------------------------------------------------------------------


def test_members_get_group_messages_and_gaps(inbox: StandIn) -> None:
    """One delivery for all of them, in the order they joined."""
    channels = (inbox.new_channel(), inbox.new_channel())
    inbox.join(*channels)
    message, gap = Envelope(GROUP, "g"), Envelope(GAP, "g")
    assert inbox.deliver(message, gap) == [Delivery(channels, message), Delivery(channels, gap)]
    assert inbox.members("g") == channels
    assert inbox.members("h") == ()


def test_members_may_be_left_out(inbox: StandIn) -> None:
    """A message that leaves out everybody is delivered to nobody."""
    one, other = inbox.new_channel(), inbox.new_channel()
    inbox.join(one, other)
    (delivery,) = inbox.deliver(Envelope(GROUP, "g", without=(one, "elsewhere")))
    assert list(delivery.channels) == [other]
    assert inbox.deliver(Envelope(GROUP, "g", without=(one, other))) == []


def test_leaving_a_group_one_is_not_in_changes_nothing(inbox: StandIn) -> None:
    """Neither a channel without groups, nor one in another group, nor a stranger."""
    channel = inbox.new_channel()
    leave = Envelope(LEAVE, "g", owner=channel)
    assert inbox.deliver(leave) == []
    inbox.join(channel, group="h")
    assert inbox.deliver(leave, Envelope(LEAVE, "h", owner="test.p1!1")) == []
    assert inbox.members("h") == (channel,)
    assert inbox.deliver(Envelope(LEAVE, "h", owner=channel)) == []
    assert inbox.members("h") == ()


def test_a_retired_channel_joins_nothing(inbox: StandIn) -> None:
    """It is in no group and stays in none, but what is sent to it arrives."""
    channel = inbox.new_channel()
    inbox.join(channel)
    inbox.retire(channel)
    inbox.join(channel)
    assert inbox.members("g") == ()
    message = to(channel)
    assert inbox.deliver(message) == [Delivery((channel,), message)]


def test_a_delivery_is_not_changed_by_what_comes_after(inbox: StandIn) -> None:
    """Who got a message was decided when it came."""
    one, other = inbox.new_channel(), inbox.new_channel()
    inbox.join(one)
    (delivery,) = inbox.deliver(Envelope(GROUP, "g"), Envelope(JOIN, "g", owner=other))
    inbox.forget(one)
    assert delivery.channels == (one,)


# -- what the layer is told ----------------------------------------------------------------------------------------


def test_a_group_is_registered_with_its_first_member(inbox: StandIn) -> None:
    """Once, and again when it was empty in between; all of them after the layer lost its memory."""
    one, other = inbox.new_channel(), inbox.new_channel()
    inbox.join(one, other)
    assert inbox.registered == ["g"]
    inbox.retire(one)
    inbox.retire(other)
    inbox.join(inbox.new_channel())
    inbox.join(inbox.new_channel(), group="h")
    assert inbox.registered == ["g", "g", "h"]
    inbox.reannounce()
    assert inbox.registered[3:] == ["g", "h"]


def test_a_vacant_group_is_withdrawn_after_a_while(inbox: StandIn) -> None:
    """Not before, and not twice; the layer learns since when it was vacant."""
    channel = inbox.new_channel()
    inbox.join(channel)
    inbox.now = 5.0
    inbox.forget(channel)
    inbox.now += VACANCY - 1
    inbox.beat()
    assert inbox.withdrawn == []
    inbox.now += 1
    inbox.beat()
    inbox.beat()
    assert inbox.withdrawn == [("g", 5.0)]


def test_a_group_with_members_is_not_withdrawn(inbox: StandIn) -> None:
    """Not when somebody came back, and not because somebody else's join came too late."""
    one, other = inbox.new_channel(), inbox.new_channel()
    inbox.join(one)
    inbox.retire(one)
    inbox.join(other)
    inbox.join(one)
    inbox.now = 100.0
    inbox.beat()
    assert inbox.withdrawn == []


@pytest.mark.parametrize("kind", [GROUP, GAP, JOIN])
def test_an_entry_for_nobody_starts_a_withdrawal(inbox: StandIn, kind: int) -> None:
    """A group message nobody here is meant by, and a join of somebody who has gone."""
    inbox.now = 1.0
    assert inbox.deliver(Envelope(kind, "g", owner="test.p1!gone" if kind == JOIN else "")) == []
    inbox.now = 1.0 + VACANCY
    inbox.beat()
    assert inbox.withdrawn == [("g", 1.0)]


def test_a_late_join_counts_as_the_beginning_of_the_vacancy(inbox: StandIn) -> None:
    """It came with a registration, which a withdrawal as of an earlier time would leave in place."""
    channel = inbox.new_channel()
    inbox.join(channel)
    inbox.forget(channel)
    inbox.now = 6.0
    inbox.join(channel)
    inbox.now = VACANCY
    inbox.beat()
    assert inbox.withdrawn == []
    inbox.now = 6.0 + VACANCY
    inbox.beat()
    assert inbox.withdrawn == [("g", 6.0)]


# -- any order -----------------------------------------------------------------------------------------------------

VERBS = st.sampled_from(["join", "leave", "retire", "forget", "beat", "wait"])
STEPS = st.lists(st.tuples(VERBS, st.integers(0, 2), st.integers(0, 1)), max_size=30)


@given(STEPS)
def test_tables_agree_after_any_steps(steps: list[tuple[str, int, int]]) -> None:
    """Members by group and groups by member say the same, and only empty groups are vacant."""
    inbox = StandIn()
    channels = [inbox.new_channel() for _ in range(3)]
    gone: set[str] = set()
    expected: dict[str, set[str]] = {"g0": set(), "g1": set()}
    for step, i, j in steps:
        channel, group = channels[i], f"g{j}"
        if step == "join":
            inbox.join(channel, group=group)
            if channel not in gone:
                expected[group].add(channel)
        elif step == "leave":
            inbox.deliver(Envelope(LEAVE, group, owner=channel))
            expected[group].discard(channel)
        elif step in ("retire", "forget"):
            getattr(inbox, step)(channel)
            gone.add(channel)
            for members in expected.values():
                members.discard(channel)
        elif step == "beat":
            inbox.beat()
        else:
            inbox.now += VACANCY
        assert {group: set(inbox.members(group)) for group in expected} == expected
        assert {(g, c) for g, members in inbox._members.items() for c in members} == {
            (g, c) for c, groups in inbox._groups.items() for g in groups
        }
        assert not inbox._vacant.keys() & inbox._members.keys()
        assert all(inbox._members.values())
