"""Conformance of custodies: claims that end one by one, in any order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import KIND, Harness, NewLayer, drained, event
from channel_layers.envelope import Envelope, done, next_attempt
from channel_layers.slot import Custody


class CustodyConformance(Harness):
    """What a worker has taken and finishes elsewhere than in the loop of a slot."""

    @pytest.fixture
    def custody(self, layer: BaseChannelLayer) -> Iterator[Custody]:
        """A custody of :meth:`layer`."""
        custody = layer.open_custody()
        yield custody
        custody.close()

    def handed_over(self, layer: BaseChannelLayer, custody: Custody, n: int = 1) -> list[Envelope]:
        """Return ``n`` events of a connection that ``custody`` holds; the slot that took them is closed."""
        owner = layer.inbox(KIND).new_channel()
        layer.write([event("conformance.a", owner, token) for token in range(1, n + 1)])
        with layer.open_slot() as slot:
            taken = self.take(slot, "conformance.a", limit=n)
            slot.hand_over(taken, custody)
        assert len(taken) == n
        return taken

    def test_a_claim_that_was_handed_over_outlives_its_slot(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, custody: Custody
    ) -> None:
        """Neither the end of the slot's claims nor its own end concerns it; it is lost to nobody."""
        (held,) = self.handed_over(layer, custody)
        assert peer.find_lost([held]) == []
        assert custody.settle([held], []) == []
        assert peer.find_lost([held]) == [held]
        assert layer.losses.counts.total() == 0

    def test_claims_end_in_any_order(self, layer: BaseChannelLayer, custody: Custody) -> None:
        """Each with what was written for it, and the others stay."""
        first, second, third = self.handed_over(layer, custody, 3)
        assert custody.settle([third, first], [done(third.owner, 3), done(first.owner, 1)]) == []
        tokens = [delivery.envelope.token for delivery in self.read(layer.inbox(KIND), 2)]
        assert tokens == [3, 1]
        assert layer.find_lost([first, second, third]) == [first, third]
        custody.settle([second], [])

    def test_a_custody_settles_what_was_refused(self, new_layer: NewLayer) -> None:
        """A refused message comes back with its error; the claim has ended."""
        layer = new_layer(capacity=1)
        custody = layer.open_custody()
        (held,) = self.handed_over(layer, custody)
        layer.send("conformance.full", {})
        (refused,) = custody.settle([held], [layer.message("conformance.full", {})])
        assert isinstance(refused.error, layer.ChannelFull)
        assert layer.find_lost([held]) == [held]
        custody.close()
        assert layer.losses.counts == {"channel full": 1}

    def test_handing_over_leaves_the_other_claims(self, layer: BaseChannelLayer, custody: Custody) -> None:
        """A slot goes on with the rest of what it took, and takes more; to hand over twice is to hand over once."""
        owner = layer.inbox(KIND).new_channel()
        events = [event("conformance.a", owner, token) for token in range(1, 6)]
        layer.write(events[:4])
        slot = layer.open_slot()
        first, second, third, fourth = self.take(slot, "conformance.a", limit=4)
        for _ in range(2):
            slot.hand_over([first, third], custody)
        slot.put_back([fourth])
        slot.settle([])
        layer.write(events[4:])
        assert [envelope.token for envelope in slot.take({"conformance.a": 5}, 5, self.patience)] == [4, 5]
        slot.close()
        assert layer.find_lost(events) == [events[1], events[3], events[4]]
        custody.settle([first, third], [])
        assert second.token == 2

    def test_a_closed_custody_loses_what_it_held(self, layer: BaseChannelLayer, custody: Custody) -> None:
        """At most once: what it held is gone, and counted."""
        held = self.handed_over(layer, custody, 3)
        custody.settle([held[1]], [])
        custody.close()
        assert layer.find_lost(held) == held
        assert layer.receive(["conformance.a"]) == (None, None)
        assert layer.losses.counts == {"worker died": 2}

    def test_many_hands(self, layer: BaseChannelLayer, peer: BaseChannelLayer, custody: Custody) -> None:
        """Slots hand over and a custody settles at the same time, and no claim is forgotten or left over."""
        peer.send_many(("conformance.a", {"n": n}) for n in range(80))

        def work() -> list[int]:
            found: list[int] = []
            with layer.open_slot() as slot:
                while taken := slot.take({"conformance.a": 3}, 3, 0):
                    slot.hand_over(taken, custody)
                    found += [codec.decode(envelope.content)["n"] for envelope in taken]
                    for envelope in reversed(taken):
                        custody.settle([envelope], [layer.message("conformance.b", {})])
            return found

        assert sorted(n for share in self.together(*[work] * 4) for n in share) == list(range(80))
        custody.close()
        assert layer.losses.counts.total() == 0
        assert len(drained(layer, "conformance.b")) == 80

    # -- sending back ------------------------------------------------------------------------------------------------

    def test_what_is_sent_back_is_behind_what_waits(self, new_layer: NewLayer) -> None:
        """At the end of its queue, also of a full one, and once; its claim has ended."""
        layer = new_layer(capacity=1)
        custody = layer.open_custody()
        layer.send("conformance.a", {"n": 1})
        with layer.open_slot() as slot:
            (held,) = self.take(slot, "conformance.a")
            slot.hand_over([held], custody)
            layer.send("conformance.a", {"n": 2})
            for _ in range(2):
                custody.send_back(held, next_attempt(held))
            first, second = slot.take({"conformance.a": 5}, 5, self.patience)
            slot.settle([])
        assert [codec.decode(envelope.content)["n"] for envelope in (first, second)] == [2, 1]
        assert (first.attempt, second.attempt) == (0, 1)
        custody.close()
        assert layer.losses.counts.total() == 0

    def test_what_is_sent_back_wakes_a_waiting_slot(self, layer: BaseChannelLayer, custody: Custody) -> None:
        """As any message does."""
        (held,) = self.handed_over(layer, custody)
        with layer.open_slot() as slot:
            (found, *_), _ = self.together(
                lambda: self.take(slot, "conformance.a"), lambda: custody.send_back(held, next_attempt(held))
            )
            assert (found.token, found.attempt) == (held.token, 1)
            assert layer.find_lost([found]) == []
            slot.settle([])

    # -- putting back ------------------------------------------------------------------------------------------------

    def test_what_is_put_back_is_as_it_was(self, new_layer: NewLayer) -> None:
        """Its claim has ended, and its server finds it in its queue, which may be full; a second time means nothing."""
        layer = new_layer(capacity=2)
        custody = layer.open_custody()
        with layer.open_slot() as slot:
            for n in (1, 2):
                layer.send("conformance.a", {"n": n})
            held = slot.take({"conformance.a": 2}, 2, self.patience)
            slot.hand_over(held, custody)
            for n in (3, 4):
                layer.send("conformance.a", {"n": n})
            for _ in range(2):
                custody.put_back(held)
            custody.settle(held, [])
        assert [content["n"] for _, content in drained(layer, "conformance.a")] == [1, 2, 3, 4]
        custody.close()
        assert layer.losses.counts.total() == 0

    def test_an_event_that_is_put_back_is_not_lost(self, layer: BaseChannelLayer, custody: Custody) -> None:
        """Whoever has sent it finds it, in the queue and then in the claim of the slot that it wakes."""
        (held,) = self.handed_over(layer, custody)
        custody.put_back([held])
        assert layer.find_lost([held]) == []
        with layer.open_slot() as slot:
            (found,) = self.take(slot, "conformance.a")
            assert layer.find_lost([held]) == []
            assert (found.token, found.attempt) == (held.token, 0)
            slot.settle([])

    def test_a_message_that_is_sent_back_expires_from_then_on(self, new_layer: NewLayer) -> None:
        """It has waited for another reason than that nobody took it."""
        layer = new_layer(expiry=60)
        custody = layer.open_custody()
        layer.send("conformance.a", {})
        with layer.open_slot() as slot:
            (held,) = self.take(slot, "conformance.a")
            slot.hand_over([held], custody)
        self.advance(50)
        custody.send_back(held, next_attempt(held))
        self.advance(50)
        assert len(drained(layer, "conformance.a")) == 1
