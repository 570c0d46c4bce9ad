"""The writing half: one write per turn, and every event owned until it is done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from channel_layers.envelope import EVENT, MESSAGE, Envelope, done
from channel_layers.exceptions import AnswerLost, ChannelFull, LayerDeclined, LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.slot import MemorySlot
from channel_layers.registry import Announcement
from channel_layers.verbs.writing import Written
from daphne.outbox import NoWorker, Outbox
from tests.daphne.virtual_time import elapse, idle

MINE = "websocket.send.tests!1"
OTHER = "websocket.send.tests!2"


class Layer(MemoryChannelLayer):
    """Counts the writes of the server; ``broken`` makes the server's calls fail."""

    def __init__(self) -> None:
        super().__init__(clock=asyncio.get_running_loop().time, capacity=2)
        self.writes: list[list[str]] = []
        self.asked = 0
        self.broken = False
        self.error: Exception = LayerUnavailable("it is away")
        self.before_retract = asyncio.Event()
        self.before_retract.set()

    def start_write(self, envelopes: Sequence[Envelope], written: Written) -> None:
        if self.broken:
            written([], self.error)
            return
        self.writes.append([envelope.target for envelope in envelopes])
        super().start_write(envelopes, written)

    async def afind_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        self._check()
        self.asked += 1
        return await super().afind_lost(envelopes)

    async def aretract(self, envelope: Envelope) -> bool:
        await self.before_retract.wait()
        return await super().aretract(envelope)

    def serve(self, *channels: str) -> None:
        """Announce a worker."""
        self.announce(Announcement("worker", channels))

    def claim(self, channel: str) -> MemorySlot:
        """Take a message as a worker."""
        slot = self.open_slot()
        assert len(slot.take({channel: 1}, 1, 0)) == 1
        return slot

    def _check(self) -> None:
        if self.broken:
            raise self.error


class Owner:
    """Records what it is told of its events; ``impatient`` ones are taken back."""

    def __init__(self, outbox: Outbox, impatient: bool = False) -> None:
        self.told: list[str] = []
        self.errors: list[Exception] = []
        self._impatient = impatient
        self._outbox = outbox

    def refused(self, envelope: Envelope, error: Exception) -> None:
        self.told.append("refused")
        self.errors.append(error)

    def lost(self, envelope: Envelope) -> None:
        self.told.append("lost")

    def unserved(self, envelope: Envelope) -> bool:
        return self._impatient


class Desk:
    """An outbox that runs, its layer, and the owners that it knows."""

    def __init__(self) -> None:
        self.layer = Layer()
        self.owners: dict[str, Owner] = {}
        self.outbox = Outbox(self.layer, self.owners.get)

    def owner(self, channel: str = MINE, impatient: bool = False) -> Owner:
        """Return a new owner of the events of ``channel``."""
        owner = self.owners[channel] = Owner(self.outbox, impatient)
        return owner

    def post(self, target: str = "events", channel: str = MINE, kind: int = EVENT, token: int = 1) -> None:
        """Post an event of ``channel``."""
        self.outbox.post(Envelope(kind, target, b"\x80", channel, token))


@asynccontextmanager
async def running() -> AsyncIterator[Desk]:
    """Run an outbox."""
    desk = Desk()
    yield desk
    await desk.outbox.drain()
    desk.outbox.close()


async def test_everything_of_one_turn_leaves_in_one_write() -> None:
    """Events and messages keep the order they were given in; the next turn makes the next write."""
    async with running() as desk:
        desk.post("a")
        desk.outbox.send(Envelope(MESSAGE, "b", b"\x80"))
        desk.post("c", OTHER)
        await idle()
        desk.post("d")
        await idle()
        assert desk.layer.writes == [["a", "b", "c"], ["d"]]


async def test_an_event_is_owned_until_it_is_settled() -> None:
    """What nobody answers is not owned at all."""
    async with running() as desk:
        desk.post()
        desk.post(channel=OTHER)
        desk.outbox.send(Envelope(MESSAGE, "b", b"\x80"))
        assert desk.outbox.under_way == 2
        desk.outbox.settled(MINE)
        desk.outbox.settled(MINE)
        assert desk.outbox.under_way == 1


async def test_nobody_is_asked_while_events_are_quick() -> None:
    """An event that is settled within a second costs no look at the layer, and then no timer either."""
    async with running() as desk:
        desk.post()
        await elapse(0.9)
        desk.outbox.settled(MINE)
        await elapse(60)
        assert desk.layer.asked == 0


async def test_an_event_that_waits_in_its_queue_is_not_lost() -> None:
    """Being late is no death, and it is asked about once a second for as long as it takes."""
    async with running() as desk:
        owner = desk.owner()
        desk.post()
        await elapse(10.5)
        assert (owner.told, desk.layer.asked) == ([], 10)


async def test_an_event_that_a_live_worker_has_is_not_lost() -> None:
    """A consumer may take its time."""
    async with running() as desk:
        desk.layer.serve("events")
        owner = desk.owner()
        desk.post()
        await idle()
        desk.layer.claim("events")
        await elapse(60)
        assert owner.told == []


async def test_an_event_that_is_missing_twice_running_is_lost() -> None:
    """Its owner is told once, it is counted, and it is not owned any more."""
    async with running() as desk:
        owner = desk.owner()
        desk.post()
        await idle()
        desk.layer.claim("events").close()
        await elapse(1.5)
        assert owner.told == []
        await elapse(1)
        assert (owner.told, desk.outbox.under_way) == (["lost"], 0)
        await elapse(60)
        assert (owner.told, desk.layer.losses.counts["event lost"]) == (["lost"], 1)


async def test_an_event_that_was_missing_once_is_not_lost() -> None:
    """Between two queues a message is nowhere for a moment."""
    async with running() as desk:
        owner = desk.owner()
        desk.post()
        await idle()
        slot = desk.layer.claim("events")
        for _ in range(3):
            claimed, slot.claimed = slot.claimed, []
            await elapse(1)
            slot.claimed = claimed
            await elapse(1)
        assert (owner.told, desk.layer.asked) == ([], 6)


async def test_the_next_event_of_an_owner_is_not_taken_for_the_last() -> None:
    """Missing once each are two events, not one that is missing twice."""
    async with running() as desk:
        owner = desk.owner()
        for token in range(1, 5):
            desk.post(token=token)
            await idle()
            desk.layer.claim("events").close()
            await elapse(1.2)
            desk.outbox.settled(MINE)
        assert owner.told == []


async def test_an_event_whose_owner_is_gone_is_lost_for_nobody() -> None:
    """Nothing is counted for a connection that does not exist."""
    async with running() as desk:
        desk.post()
        await idle()
        desk.layer.claim("events").close()
        await elapse(5)
        assert desk.layer.losses.counts["event lost"] == 0


async def test_a_full_queue_is_told_to_the_owner() -> None:
    """The event that did not fit is refused with its error; those before it were taken."""
    async with running() as desk:
        owner, other = desk.owner(), desk.owner(OTHER)
        for number in range(2):
            desk.post(channel=OTHER, kind=MESSAGE, token=number)
        desk.post(kind=MESSAGE)
        await idle()
        assert (owner.told, other.told, desk.outbox.under_way) == (["refused"], [], 1)
        assert isinstance(owner.errors[0], ChannelFull)


async def test_a_refusal_for_nobody_is_ignored() -> None:
    """A message without an owner, or whose owner has gone, has nobody to be told."""
    async with running() as desk:
        for _ in range(3):
            desk.outbox.send(Envelope(MESSAGE, "events", b"\x80"))
        desk.post(kind=MESSAGE)
        await idle()
        assert desk.outbox.under_way == 0


async def test_an_event_that_was_not_sent_is_sent_again() -> None:
    """However long the layer is away, the event waits; there is nothing to look for meanwhile."""
    async with running() as desk:
        owner = desk.owner()
        desk.layer.broken = True
        desk.post()
        await elapse(10)
        desk.layer.broken = False
        await elapse(1)
        assert (owner.told, desk.layer.writes) == ([], [["events"]])
        desk.layer.claim("events")
        await elapse(5)
        assert owner.told == []


async def test_an_event_that_was_given_up_meanwhile_is_not_sent() -> None:
    """Its connection has ended it in another way."""
    async with running() as desk:
        desk.owner()
        desk.layer.broken = True
        desk.post()
        await elapse(0.1)
        desk.layer.broken = False
        desk.outbox.settled(MINE)
        await elapse(5)
        assert desk.layer.writes == []


async def test_what_does_not_wait_is_refused_when_the_layer_is_away() -> None:
    """Requests and handshakes are told at once."""
    async with running() as desk:
        owner = desk.owner(impatient=True)
        desk.layer.broken = True
        desk.post()
        await idle()
        assert owner.told == ["refused"]
        assert isinstance(owner.errors[0], LayerUnavailable)
        assert desk.outbox.under_way == 0


@pytest.mark.parametrize("error", [AnswerLost("no answer"), LayerDeclined("out of memory"), RuntimeError("a fault")])
async def test_an_event_that_may_have_arrived_is_looked_for(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """It is not sent twice; where it is nowhere its owner is told that it is lost. A fault of ours is logged."""
    async with running() as desk:
        owner = desk.owner()
        desk.layer.error, desk.layer.broken = error, True
        desk.post()
        await idle()
        desk.layer.broken = False
        await elapse(1.5)
        assert owner.told == []
        await elapse(1.5)
        assert (owner.told, desk.layer.writes) == (["lost"], [])
        assert ("events could not be sent" in caplog.text) == isinstance(error, RuntimeError)


async def test_a_message_without_an_owner_is_counted() -> None:
    """Nobody will send it again."""
    async with running() as desk:
        desk.layer.broken = True
        desk.outbox.send(Envelope(MESSAGE, "b", b"\x80"))
        await idle()
        assert desk.layer.losses.counts == {"not sent": 1}


async def test_losing_the_layer_does_not_end_the_looking_after(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is lost for a look that failed; the next one finds it. The layer itself says that it is away."""
    async with running() as desk:
        owner = desk.owner()
        desk.post()
        await idle()
        desk.layer.claim("events").close()
        desk.layer.broken = True
        await elapse(3.5)
        desk.layer.broken = False
        assert (owner.told, [r for r in caplog.records if "looked after" in r.getMessage()]) == ([], [])
        await elapse(2)
        assert owner.told == ["lost"]


async def test_a_look_that_is_declined_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The layer is there and does not say so itself."""
    async with running() as desk:
        desk.owner()
        desk.post()
        await idle()
        desk.layer.error, desk.layer.broken = LayerDeclined("no permission"), True
        await elapse(3.5)
        desk.layer.broken = False
        assert desk.layer.losses.counts["not looked after"] == 3


async def test_an_unserved_event_is_taken_back_after_a_grace() -> None:
    """A deploy need not show; after 5 seconds it is refused, and no worker ever gets it."""
    async with running() as desk:
        owner = desk.owner(impatient=True)
        desk.post("quiet")
        await elapse(4.9)
        assert (owner.told, desk.layer.depth("quiet")) == ([], 1)
        await elapse(2)
        assert (owner.told, desk.layer.depth("quiet"), desk.outbox.under_way) == (["refused"], 0, 0)
        assert isinstance(owner.errors[0], NoWorker)
        assert str(owner.errors[0]) == "no worker reads quiet"


async def test_a_patient_owner_waits_for_a_worker() -> None:
    """An event of an open socket stays in its queue."""
    async with running() as desk:
        owner = desk.owner()
        desk.post("quiet")
        await elapse(60)
        assert (owner.told, desk.layer.depth("quiet")) == ([], 1)


async def test_a_disconnect_that_nobody_reads_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """Its owner may give it up; a routing without disconnects is not logged as one without workers."""
    async with running() as desk:
        owner = desk.owner(impatient=True)
        desk.post("websocket.disconnect")
        await elapse(7)
        assert (owner.told, desk.layer.depth("websocket.disconnect")) == (["refused"], 0)
    assert not caplog.records


async def test_what_a_worker_has_is_not_taken_back() -> None:
    """Exactly one of server and worker gets an event, also from a worker that never announced itself."""
    async with running() as desk:
        owner = desk.owner(impatient=True)
        desk.post("quiet")
        await elapse(4)
        slot = desk.layer.claim("quiet")
        await elapse(10)
        assert owner.told == []
        slot.settle([done(MINE, 1)])


async def test_what_was_settled_while_it_was_taken_back_is_not_refused() -> None:
    """Its connection has gone between question and answer."""
    async with running() as desk:
        owner = desk.owner(impatient=True)
        desk.post("quiet")
        desk.layer.before_retract.clear()
        await elapse(6.5)
        desk.outbox.settled(MINE)
        desk.layer.before_retract.set()
        await elapse(2)
        assert owner.told == []


async def test_closing_ends_a_look_that_is_under_way() -> None:
    """Nothing of an outbox goes on after it."""
    async with running() as desk:
        owner = desk.owner(impatient=True)
        desk.post("quiet")
        desk.layer.before_retract.clear()
        await elapse(6.5)
        desk.outbox.close()
        desk.layer.before_retract.set()
        await elapse(5)
        assert (owner.told, desk.layer.depth("quiet")) == ([], 1)


async def test_a_channel_without_worker_is_logged_once_until_it_is_read(caplog: pytest.LogCaptureFixture) -> None:
    """One line when it is noticed, though the event is taken back and others follow, and one when a worker reads it."""
    caplog.set_level(logging.INFO, "daphne.outbox")
    unread = "no worker reads quiet; start one with: python manage.py runworker"
    async with running() as desk:
        desk.owner(impatient=True)
        for _ in range(3):
            desk.post("quiet")
            await elapse(20)
        assert [record.getMessage() for record in caplog.records] == [unread]
        desk.post("quiet")
        desk.layer.serve("quiet")
        await elapse(0.5)
        desk.outbox.settled(MINE)
        await elapse(20)
        assert [record.getMessage() for record in caplog.records] == [unread, "quiet is read again"]
