"""The reading half: fan-out in slices, with the order of every member kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_layers.envelope import Done, Piece, done
from channel_layers.losses import Losses
from channel_layers.memory import MemoryChannelLayer
from channel_layers.messages import HTTP_KIND, WEBSOCKET_KIND
from daphne import delivery as module
from daphne.broadcast import Broadcast, Share
from daphne.delivery import MAX_FANOUTS, MAX_FAULTS, SLICE, STRIDE, Connection, Delivery
from tests.daphne.virtual_time import idle, run, turns_until
from tests.daphne.wire import TEXT, Frame, read_frames

logger = logging.getLogger("tests.delivery")


class Member:
    """Records what it is told, in order."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.frames: list[bytes | None] = []
        self.settled: list[tuple[int, Done, bytes | None]] = []
        self.closed: list[tuple[int, str, str]] = []
        self.error: Exception | None = None

    def deliver(self, content: dict[str, Any], broadcast: Broadcast | None) -> None:
        if self.error is not None:
            raise self.error
        self.got.append(("group " if broadcast else "") + str(content.get("text")))
        self.frames.append(None if broadcast is None else broadcast.frame)

    def deliver_share(self, share: Share) -> bool:
        if self.error is not None:
            raise self.error
        return False

    def settle(self, token: int, done: Done, session: bytes | None) -> None:
        self.got.append(f"done {token}")
        self.settled.append((token, done, session))

    def deliver_piece(self, piece: Piece) -> None:
        raise AssertionError("a lane has no bodies")

    def close(self, code: int, reason: str, by: str) -> None:
        self.got.append("closed")
        self.closed.append((code, reason, by))


class Hall:
    """A delivery that runs, its layer, and members of the group ``all``."""

    def __init__(self, kind: str, **options: Any) -> None:
        self.layer = MemoryChannelLayer(**options)
        self.losses = Losses(logger)
        self.connections: dict[str, Connection] = {}
        self.delivery = Delivery(self.connections, self.losses)
        self.inbox = self.layer.open_inbox(kind)

    async def members(self, number: int, group: str = "all") -> list[Member]:
        """Return new members of ``group``; the first is served last."""
        members = []
        for _ in range(number):
            channel, member = self.inbox.new_channel(), Member()
            self.connections[channel] = member
            self.layer.group_add(group, channel)
            members.append(member)
        await idle()
        return members

    def channel_of(self, member: Member) -> str:
        """Return the reply channel of ``member``."""
        return next(channel for channel, each in self.connections.items() if each is member)

    def tell(self, member: Member, text: str) -> None:
        """Send a direct message."""
        self.layer.send(self.channel_of(member), {"text": text})

    def shout(self, text: str, group: str = "all") -> None:
        """Send a group message."""
        self.layer.send_group(group, {"text": text})


@asynccontextmanager
async def delivering(kind: str = WEBSOCKET_KIND, **options: Any) -> AsyncIterator[Hall]:
    """Run a delivery."""
    hall = Hall(kind, **options)
    task = asyncio.create_task(hall.delivery.run(hall.inbox))
    await idle()
    yield hall
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def one_stride_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every look at the clock find that the slice is over."""
    ticks = count(1.0, 2 * SLICE)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))


async def test_a_message_reaches_its_connection_as_it_was_sent() -> None:
    """A direct message is no group message, and its frame is left to the connection."""
    async with delivering() as hall:
        member, other = await hall.members(2)
        hall.tell(member, "hello")
        await idle()
        assert (member.got, member.frames, other.got) == (["hello"], [None], [])


@pytest.mark.parametrize("number", [3, STRIDE + 1])
async def test_a_group_message_is_one_frame_for_all(number: int) -> None:
    """However many members there are, each gets the same bytes object."""
    async with delivering() as hall:
        members = await hall.members(number)
        hall.shout("hello")
        await idle()
        assert [member.got for member in members] == [["group hello"]] * number
        (frame,) = {id(frame): frame for member in members for frame in member.frames}.values()
        assert frame is not None
        assert read_frames(frame) == [Frame(TEXT, b"hello")]


async def test_a_group_of_requests_gets_contents() -> None:
    """Connections that are no WebSockets have no frames."""
    async with delivering(HTTP_KIND) as hall:
        (member,) = await hall.members(1)
        hall.layer.send_group("all", {"status": 200})
        await idle()
        assert (member.got, member.frames) == (["group None"], [None])


async def test_settlements_carry_outcome_and_session() -> None:
    """A DONE settles; a MESSAGE with a token is delivered first and then settles what it answers."""
    async with delivering() as hall:
        (member,) = await hall.members(1)
        channel = hall.channel_of(member)
        hall.layer.write([done(channel, 7, outcome=3, handled=2, session=b"s")])
        message = hall.layer.message(channel, {"text": "answer"})
        message.token, message.session = 8, b"t"
        hall.layer.write([message])
        await idle()
        assert member.got == ["done 7", "answer", "done 8"]
        assert member.settled == [(7, Done(3, 2), b"s"), (8, Done(), b"t")]


async def test_a_note_is_for_connections_with_a_lane() -> None:
    """Any other has no use for it."""
    async with delivering() as hall:
        (member,) = await hall.members(1)
        hall.layer.keep_note(hall.channel_of(member), "session", b"1:one")
        await idle()
        assert (member.got, member.settled) == ([], [])


async def test_what_is_for_nobody_is_discarded() -> None:
    """A connection that has gone takes no message and no settlement, alone or in a group."""
    async with delivering() as hall:
        member, gone = await hall.members(2)
        channel = hall.channel_of(gone)
        del hall.connections[channel]
        hall.layer.send(channel, {"text": "late"})
        hall.layer.write([done(channel, 1)])
        hall.shout("hello")
        await idle()
        assert (member.got, gone.got) == (["group hello"], [])


async def test_a_large_group_does_not_hold_up_the_others(one_stride_a_slice: None) -> None:
    """While 5,000 members are served, another connection gets its message between two slices."""
    async with delivering() as hall:
        members = await hall.members(5000)
        (bystander,) = await hall.members(1, "another")
        hall.shout("hello")
        hall.tell(bystander, "urgent")
        await turns_until(lambda: bystander.got)
        served = sum(bool(member.got) for member in members)
        assert STRIDE <= served <= 10 * STRIDE
        await idle()
        assert all(member.got == ["group hello"] for member in members)


async def test_a_fast_fan_out_takes_no_extra_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice goes on until its time is over, whatever the number of members."""
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: 1.0))
    async with delivering() as hall:
        members = await hall.members(500)
        hall.shout("hello")
        await turns_until(lambda: members[-1].got)
        assert all(member.got for member in members)


async def test_a_direct_message_waits_for_the_group_messages_before_it(one_stride_a_slice: None) -> None:
    """A member that still waits gets its share of every fan-out first, in order, and gets it once."""
    async with delivering() as hall:
        members = await hall.members(200)
        hall.shout("one")
        hall.shout("two")
        hall.tell(members[0], "three")
        await turns_until(lambda: members[0].got)
        assert members[0].got == ["group one", "group two", "three"]
        assert not members[1].got
        await idle()
        assert members[0].got == ["group one", "group two", "three"]
        assert all(member.got == ["group one", "group two"] for member in members[1:])


async def test_a_small_group_does_not_overtake_a_large_one(one_stride_a_slice: None) -> None:
    """A member of both gets both in the order they were sent in."""
    async with delivering() as hall:
        members = await hall.members(100)
        hall.layer.group_add("few", hall.channel_of(members[0]))
        hall.shout("one")
        hall.shout("two", "few")
        await idle()
        assert members[0].got == ["group one", "group two"]


async def test_a_member_that_fails_at_several_messages_does_not_end_the_slice(
    one_stride_a_slice: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that would leave in one write, too: all others get them, and those that come later."""
    async with delivering() as hall:
        members = await hall.members(100)
        members[50].error = RuntimeError("the transport is gone")
        hall.shout("one")
        hall.shout("two")
        await idle()
        members[50].error = None
        hall.shout("three")
        await idle()
        assert members[50].got == ["group three"]
        others = [member for member in members if member is not members[50]]
        assert all(member.got == ["group one", "group two", "group three"] for member in others)
        assert [record.getMessage() for record in caplog.records] == [
            "group messages could not be delivered to a member"
        ]


async def test_a_member_that_fails_does_not_end_the_slice(
    one_stride_a_slice: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Its error is logged; all others get the message, and the next one too."""
    async with delivering() as hall:
        members = await hall.members(100)
        members[50].error = RuntimeError("the transport is gone")
        hall.shout("one")
        await idle()
        members[50].error = None
        hall.shout("two")
        await idle()
        assert members[50].got == ["group two"]
        assert all(member.got == ["group one", "group two"] for member in members if member is not members[50])
        assert [record.getMessage() for record in caplog.records] == [
            "a group message could not be delivered to a member"
        ]


async def test_a_message_that_fails_does_not_end_the_delivery(caplog: pytest.LogCaptureFixture) -> None:
    """The error is logged with the route of the sender, and what follows is delivered."""
    async with delivering() as hall:
        (member,) = await hall.members(1)
        member.error = RuntimeError("broken")
        channel = hall.channel_of(member)
        hall.layer.write([hall.layer.message(channel, {"text": "one"}, route="chat.say")])
        hall.tell(member, "two")
        await idle()
        member.error = None
        hall.tell(member, "three")
        await idle()
        assert member.got == ["three"]
        assert [record.getMessage() for record in caplog.records] == [
            "a message from chat.say could not be delivered",
            "a message from outside a consumer could not be delivered",
        ]


async def test_a_group_message_with_a_wrong_key_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody gets it, it is counted each time, and the line names group, sender and key."""
    async with delivering() as hall:
        (member,) = await hall.members(1)
        for route in ("chat.say", ""):
            hall.layer.write([hall.layer.group_message("all", {"txet": "hello"}, route=route)])
        await idle()
        assert member.got == []
        assert hall.losses.counts == {"bad group message: 'txet'": 2}
        (record,) = caplog.records
        assert "group 'all', sent by chat.say: a reply to a WebSocket has no key 'txet'" in record.getMessage()


async def test_one_wrong_key_does_not_hide_another(caplog: pytest.LogCaptureFixture) -> None:
    """Each has its line at once, one of the wrong type too; the first does not use the interval up for the second."""
    async with delivering() as hall:
        await hall.members(1)
        for content in ({"txet": "hello"}, {"txet": "again"}, {"byts": b"hello"}, {"text": 5}, {}):
            hall.layer.send_group("all", content)
        await idle()
        assert hall.losses.counts == {
            "bad group message: 'txet'": 2,
            "bad group message: 'byts'": 1,
            "bad group message: 'text'": 1,
            "bad group message: nothing to do": 1,
        }
        assert len(caplog.records) == 4
        assert "'text' in a reply is str or None, not int: 5; encode it first" in caplog.text
        assert "sent by a process outside consumers: a message to a WebSocket without any key" in caplog.text


async def test_there_are_not_more_counters_than_programmers_make_mistakes() -> None:
    """Keys may be what clients have sent: from some number on they share a counter, and those before keep theirs."""
    async with delivering() as hall:
        await hall.members(1)
        for number in [*range(MAX_FAULTS + 3), 0]:
            hall.layer.send_group("all", {f"key-{number}": "hello"})
        await idle()
        assert len(hall.losses.counts) == MAX_FAULTS + 1
        assert (
            hall.losses.counts["bad group message: another key"],
            hall.losses.counts["bad group message: 'key-0'"],
        ) == (3, 2)


async def test_the_sender_of_a_wrong_key_may_be_no_consumer(caplog: pytest.LogCaptureFixture) -> None:
    """A management command has no route."""
    async with delivering() as hall:
        await hall.members(1)
        hall.layer.send_group("all", {"txet": "hello"})
        await idle()
        assert "sent by a process outside consumers" in caplog.text


async def test_a_gap_closes_the_members_that_missed_something() -> None:
    """They got what came before the gap, and then 1012; members of other groups go on."""
    async with delivering(inbox_capacity=8) as hall:
        members = await hall.members(2)
        (bystander,) = await hall.members(1, "another")
        del hall.connections[hall.channel_of(members[1])]
        for number in range(9):
            hall.shout(str(number))
        await idle()
        expected = (1012, "messages were lost", "server (messages of group 'all' were lost)")
        assert members[0].closed == [expected]
        assert members[0].got == [*(f"group {number}" for number in range(8)), "closed"]
        assert (members[1].got, bystander.got) == ([], [])


async def test_a_gap_waits_for_the_messages_before_it(one_stride_a_slice: None) -> None:
    """A member that still waits for its share of a fan-out gets it before it is closed."""
    async with delivering(inbox_capacity=3) as hall:
        hall.layer.inbox_capacity = 1000
        members = await hall.members(200)
        hall.layer.inbox_capacity = 1
        hall.shout("one")
        hall.shout("two")
        await idle()
        assert all(member.got == ["group one", "closed"] for member in members)


async def test_few_fan_outs_are_under_way_at_once(one_stride_a_slice: None) -> None:
    """Of a burst of group messages a few are partly written; the others wait in the inbox, and all arrive in order."""
    async with delivering() as hall:
        members = await hall.members(5 * STRIDE)
        texts = [str(number) for number in range(4 * MAX_FANOUTS)]
        for text in texts:
            hall.shout(text)
        most = 0
        while len(members[0].got) < len(texts):
            await asyncio.sleep(0)
            numbers = [len(member.got) for member in members]
            most = max(most, max(numbers) - min(numbers))
        await idle()
        assert all(member.got == [f"group {text}" for text in texts] for member in members)
        assert most <= MAX_FANOUTS


Step = tuple[str, str, int]
GROUPS = {"small": 3, "middle": 20, "large": 40}


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["shout", "shout", "tell", "turn", "join", "leave"]),
            st.sampled_from(sorted(GROUPS)),
            st.integers(0, 39),
        ),
        max_size=40,
    )
)
def test_every_member_gets_its_messages_in_the_order_they_were_sent(steps: list[Step]) -> None:
    """Groups that overlap and change, direct messages, turns of the loop: nothing is lost, doubled or overtaken."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        ticks = count(1.0, 2 * SLICE)
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
        run(interleave(steps))


async def interleave(steps: list[Step]) -> None:
    """Do as ``steps`` say and compare with what each member should have."""
    async with delivering() as hall:
        members = await hall.members(40, "large")
        names = [hall.channel_of(member) for member in members]
        groups = {group: set(range(number)) for group, number in GROUPS.items()}
        for group in ("small", "middle"):
            for index in groups[group]:
                hall.layer.group_add(group, names[index])
        expected: list[list[str]] = [[] for _ in members]
        for serial, (step, group, index) in enumerate(steps):
            if step == "turn":
                await asyncio.sleep(0)
            elif step == "tell":
                hall.tell(members[index], str(serial))
                expected[index].append(str(serial))
            elif step == "shout":
                hall.shout(str(serial), group)
                for reached in groups[group]:
                    expected[reached].append(f"group {serial}")
            elif step == "join":
                hall.layer.group_add(group, names[index])
                groups[group].add(index)
            else:
                hall.layer.group_discard(group, names[index])
                groups[group].discard(index)
        await idle()
        assert [member.got for member in members] == expected
