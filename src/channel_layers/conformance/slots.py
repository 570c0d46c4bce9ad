"""Conformance of slots: claims, fairness, and what becomes of messages that were taken."""

from __future__ import annotations

from functools import partial
from queue import SimpleQueue
from threading import Event

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import KIND, Harness, NewLayer, drained, event
from channel_layers.envelope import Envelope, done
from channel_layers.slot import Slot


class SlotConformance(Harness):
    """The taking end of a worker."""

    # -- taking ----------------------------------------------------------------------------------------------------

    def test_a_slot_takes_the_oldest_first(self, slot: Slot, peer: BaseChannelLayer) -> None:
        """What is taken has its channel, content, route and time of sending."""
        peer.write([peer.message("conformance.a", {"n": n}, route="tests.consumer") for n in range(3)])
        taken = self.take(slot, "conformance.a", limit=2)
        assert [codec.decode(envelope.content) for envelope in taken] == [{"n": 0}, {"n": 1}]
        assert {(envelope.target, envelope.route) for envelope in taken} == {("conformance.a", "tests.consumer")}
        assert all(envelope.time > 0 for envelope in taken)

    def test_an_event_keeps_what_its_server_said_of_it(self, slot: Slot, peer: BaseChannelLayer, owner: str) -> None:
        """Owner, token, session, trace and attempt arrive with the event."""
        sent = event("conformance.a", owner, 9, n=1)
        sent.session, sent.trace, sent.attempt = b"session", "00-trace-01", 2
        peer.write([sent])
        (taken,) = self.take(slot, "conformance.a")
        assert (taken.kind, taken.owner, taken.token) == (sent.kind, owner, 9)
        assert (taken.session, taken.trace, taken.attempt) == (b"session", "00-trace-01", 2)

    def test_take_returns_at_once_when_told_not_to_wait(self, slot: Slot, layer: BaseChannelLayer) -> None:
        """A timeout of 0 waits for nothing, and an empty queue gives nothing."""
        assert slot.take({"conformance.a": 1}, 1, 0) == []
        layer.send("conformance.b", {})
        assert slot.take({"conformance.a": 1}, 1, 0) == []

    def test_take_gives_up_after_its_timeout(self, slot: Slot) -> None:
        """A take on empty queues returns nothing in the end."""
        assert slot.take({"conformance.a": 1}, 1, 0.01) == []

    def test_take_keeps_to_its_limits(self, slot: Slot, layer: BaseChannelLayer) -> None:
        """No more than wanted of each channel is taken, and no more than the limit in all."""
        layer.send_many([(channel, {}) for channel in ("conformance.a", "conformance.b") for _ in range(9)])
        taken = slot.take({"conformance.a": 2, "conformance.b": 4}, 16, self.patience)
        targets = [envelope.target for envelope in taken]
        assert (targets.count("conformance.a"), targets.count("conformance.b")) == (2, 4)
        assert len(slot.take({"conformance.a": 4, "conformance.b": 4}, 5, self.patience)) == 5

    def test_a_quiet_channel_is_served_beside_a_busy_one(self, new_layer: NewLayer) -> None:
        """However much a busy channel holds, one of two takes begins with the quiet one."""
        layer = new_layer(capacity=200)
        wants = {"conformance.busy": 16, "conformance.quiet": 16}
        with layer.open_slot() as slot:
            layer.send_many(("conformance.busy", {}) for _ in range(100))
            for _ in range(3):
                layer.send("conformance.quiet", {})
                taken = [e.target for _ in range(2) for e in slot.take(wants, 16, self.patience)]
                assert "conformance.quiet" in taken
                slot.settle([])

    def test_a_waiting_take_is_woken(self, slot: Slot, peer: BaseChannelLayer) -> None:
        """A take that waits returns when another thread sends."""
        (taken, _) = self.together(
            lambda: self.take(slot, "conformance.a", "conformance.b"),
            lambda: peer.send("conformance.b", {}),
        )
        assert [envelope.target for envelope in taken] == ["conformance.b"]

    def test_no_message_waits_beside_an_idle_slot(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """If a slot takes another message than the one it was woken for, that one wakes another slot."""
        wanted = (["conformance.a", "conformance.b"], ["conformance.a"], ["conformance.b"])
        slots = [layer.open_slot() for _ in wanted]
        taken: SimpleQueue[str] = SimpleQueue()
        stopped = Event()

        def work(slot: Slot, channels: list[str]) -> None:
            found: list[Envelope] = []
            while not found and not stopped.is_set():
                found = slot.take(dict.fromkeys(channels, 1), 1, None)
            for envelope in found:
                taken.put(envelope.target)

        def send() -> None:
            try:
                peer.send_many([("conformance.a", {}), ("conformance.b", {})])
                assert {taken.get(timeout=self.patience) for _ in range(2)} == {"conformance.a", "conformance.b"}
            finally:
                stopped.set()
                for slot in slots:
                    slot.interrupt()

        self.together(*[partial(work, slot, channels) for slot, channels in zip(slots, wanted, strict=True)], send)

    def test_slots_share_what_is_there(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """However many slots take and settle at once, each message is taken once."""
        peer.send_many(("conformance.a", {"n": n}) for n in range(80))

        def work() -> list[int]:
            found: list[int] = []
            with layer.open_slot() as slot:
                while taken := slot.take({"conformance.a": 7}, 7, 0):
                    found += [codec.decode(envelope.content)["n"] for envelope in taken]
                    slot.settle([])
            return found

        assert sorted(n for share in self.together(*[work] * 4) for n in share) == list(range(80))
        assert layer.losses.counts.total() == 0

    # -- interrupting ----------------------------------------------------------------------------------------------

    def test_interrupt_ends_a_take(self, slot: Slot) -> None:
        """A take that waits for ever returns nothing when another thread interrupts it."""
        taken, _ = self.together(lambda: slot.take({"conformance.a": 1}, 1, None), slot.interrupt)
        assert taken == []

    def test_interrupt_ends_the_next_take(self, slot: Slot, layer: BaseChannelLayer) -> None:
        """An interrupt between two takes is not lost, and it costs no message."""
        slot.interrupt()
        assert slot.take({"conformance.a": 1}, 1, None) == []
        layer.send("conformance.a", {})
        slot.interrupt()
        assert len(self.take(slot, "conformance.a")) == 1

    # -- settling --------------------------------------------------------------------------------------------------

    def test_settle_writes_and_ends_the_claims(self, layer: BaseChannelLayer, slot: Slot, owner: str) -> None:
        """What settles an event is sent, and the event is nowhere any more."""
        sent = event("conformance.a", owner)
        layer.write([sent])
        self.take(slot, "conformance.a")
        assert slot.settle([layer.message("conformance.b", {"n": 1}), done(owner, 1)]) == []
        assert self.receive(layer, "conformance.b")[1] == {"n": 1}
        assert layer.find_lost([sent]) == [sent]

    def test_settle_returns_what_was_refused(self, new_layer: NewLayer) -> None:
        """A refused message comes back with its error; the others were sent and the claims have ended."""
        layer = new_layer(capacity=1)
        sent = event("conformance.a", layer.inbox(KIND).new_channel())
        layer.write([sent, layer.message("conformance.full", {})])
        with layer.open_slot() as slot:
            self.take(slot, "conformance.a")
            answers = [layer.message("conformance.full", {}), layer.message("conformance.b", {})]
            (refused,) = slot.settle(answers)
            assert refused.envelope is answers[0]
            assert isinstance(refused.error, layer.ChannelFull)
            assert len(drained(layer, "conformance.b")) == 1
            assert layer.find_lost([sent]) == [sent]

    def test_settle_before_take_ends_old_claims(self, layer: BaseChannelLayer, slot: Slot, owner: str) -> None:
        """The take that follows gets what waits, up to the limits; what was answered is nowhere any more."""
        first, second, third = (event("conformance.a", owner, token, n=token) for token in (1, 2, 3))
        layer.write([first, second, third])
        self.take(slot, "conformance.a", limit=1)
        wants = {"conformance.a": 1, "conformance.b": 5}
        assert slot.settle_before_take([done(owner, 1)], wants, 5) == []
        assert [envelope.token for envelope in slot.take(wants, 5, self.patience)] == [2]
        assert layer.find_lost([first, second, third]) == [first]
        assert slot.settle_before_take([done(owner, 2)], wants, 5) == []
        assert [envelope.token for envelope in slot.take(wants, 5, self.patience)] == [3]
        assert slot.settle([done(owner, 3)]) == []
        assert layer.find_lost([first, second, third]) == [first, second, third]

    def test_settle_before_take_returns_what_was_refused(self, new_layer: NewLayer) -> None:
        """Though there is nothing to take for now; the take that follows waits for it."""
        layer = new_layer(capacity=1)
        layer.send("conformance.full", {})
        wants = {"conformance.a": 1}
        with layer.open_slot() as slot:
            (refused,) = slot.settle_before_take([layer.message("conformance.full", {})], wants, 1)
            assert type(refused.error) is layer.ChannelFull
            (taken,), _ = self.together(
                lambda: slot.take(wants, 1, self._wait), lambda: layer.send("conformance.a", {"n": 1})
            )
            assert codec.decode(taken.content) == {"n": 1}
            slot.settle([])

    def test_settle_before_take_waits_for_nothing(self, layer: BaseChannelLayer, slot: Slot, owner: str) -> None:
        """The take that follows does, as long as it may, and goes by the wants that were told before."""
        layer.write([event("conformance.a", owner)])
        self.take(slot, "conformance.a")
        assert slot.settle_before_take([done(owner, 1)], {"conformance.b": 1}, 1) == []
        assert slot.take({"conformance.b": 1}, 1, 0) == []
        (taken,), _ = self.together(lambda: self.take(slot, "conformance.b"), lambda: layer.send("conformance.b", {}))
        assert taken.target == "conformance.b"
        slot.settle([])

    def test_settle_before_take_may_say_how_long_the_take_waits(self, layer: BaseChannelLayer, slot: Slot) -> None:
        """It waits for as long, or as long as it says itself; what comes later comes with the next."""
        wants = {"conformance.a": 1}
        for told, own in ((self._wait, self._wait), (0.01, self._wait), (0, self._wait), (self._wait, 0.01)):
            assert slot.settle_before_take([], wants, 1, told) == []
            if own < self.patience:
                assert self.together(partial(slot.take, wants, 1, own)) == [[]]
            taken, _ = self.together(
                lambda: self.take(slot, "conformance.a"), lambda: layer.send("conformance.a", {"n": 1})
            )
            assert codec.decode(taken[0].content) == {"n": 1}
            slot.settle([])

    def test_interrupt_ends_a_take_that_follows_a_settle(self, layer: BaseChannelLayer, slot: Slot) -> None:
        """Whether it comes before the settle, behind it or while the take waits."""
        wants = {"conformance.a": 1}
        for when in ("before", "behind", "while"):
            layer.send("conformance.a", {})
            self.take(slot, "conformance.a")
            if when == "before":
                slot.interrupt()
            assert slot.settle_before_take([], wants, 1) == []
            if when == "behind":
                slot.interrupt()
            calls = [lambda: slot.take(wants, 1, None), slot.interrupt]
            assert self.together(*calls[: 2 if when == "while" else 1])[0] == []

    def test_a_slot_closed_before_its_take_leaves_everything(self, layer: BaseChannelLayer, owner: str) -> None:
        """What came behind its settle is there for others, in its order, and nothing is counted."""
        layer.write([event("conformance.a", owner)])
        slot = layer.open_slot()
        self.take(slot, "conformance.a")
        assert slot.settle_before_take([done(owner, 1)], {"conformance.a": 2}, 2) == []
        layer.send_many([("conformance.a", {"n": n}) for n in range(3)])
        slot.close()
        assert [content["n"] for _, content in drained(layer, "conformance.a")] == [0, 1, 2]
        assert layer.losses.counts.total() == 0

    # -- putting back ----------------------------------------------------------------------------------------------

    def test_put_back_restores_the_order(self, layer: BaseChannelLayer, slot: Slot) -> None:
        """Messages that were not touched are again the first of their queues, in their old order."""
        layer.send_many([("conformance.a", {"n": n}) for n in range(5)] + [("conformance.b", {"n": 5})])
        taken = slot.take({"conformance.a": 4, "conformance.b": 1}, 5, self.patience)
        first = next(envelope for envelope in taken if envelope.target == "conformance.a")
        slot.put_back([envelope for envelope in taken if envelope is not first])
        assert [content["n"] for _, content in drained(layer, "conformance.a")] == [1, 2, 3, 4]
        assert [content["n"] for _, content in drained(layer, "conformance.b")] == [5]

    def test_put_back_ends_the_claim(self, layer: BaseChannelLayer, slot: Slot, owner: str) -> None:
        """What was put back is not lost with the slot."""
        sent = event("conformance.a", owner)
        layer.write([sent])
        slot.put_back(self.take(slot, "conformance.a"))
        slot.close()
        assert layer.find_lost([sent]) == []
        assert layer.losses.counts.total() == 0

    def test_put_back_wakes_a_waiting_slot(self, layer: BaseChannelLayer, slot: Slot) -> None:
        """A message that one slot gives up goes to another that waits for it."""
        layer.send("conformance.a", {"n": 1})
        taken = self.take(slot, "conformance.a")
        with layer.open_slot() as other:
            found, _ = self.together(lambda: self.take(other, "conformance.a"), lambda: slot.put_back(taken))
            assert [codec.decode(envelope.content) for envelope in found] == [{"n": 1}]
            other.settle([])

    # -- losing ----------------------------------------------------------------------------------------------------

    def test_a_closed_slot_loses_what_it_held(self, layer: BaseChannelLayer, owner: str) -> None:
        """At most once: what a slot had taken and not settled is gone, and counted."""
        layer.write([event("conformance.a", owner, token) for token in (1, 2)])
        slot = layer.open_slot()
        self.take(slot, "conformance.a", limit=2)
        slot.close()
        assert layer.receive(["conformance.a"]) == (None, None)
        assert layer.losses.counts.total() == 2

    def test_a_slot_that_settled_loses_nothing(self, layer: BaseChannelLayer) -> None:
        """Closing a slot that holds nothing counts nothing."""
        layer.send("conformance.a", {})
        with layer.open_slot() as slot:
            self.take(slot, "conformance.a")
            slot.settle([])
        assert layer.losses.counts.total() == 0
