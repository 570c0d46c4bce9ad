"""Conformance of what is delivered again, and of what is set aside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import KIND, Harness, NewLayer, drained, event
from channel_layers.dead import UNFINISHED
from channel_layers.envelope import Envelope, next_delivery
from channel_layers.registry import HEARTBEAT_EXPIRY, Announcement
from channel_layers.slot import Slot

RETRIES = {"conformance.a": 2, "conformance.b": 0}


class RedeliveryConformance(Harness):
    """Channels whose messages outlive whoever has taken them."""

    @pytest.fixture
    def keeping(self, layer: BaseChannelLayer) -> Iterator[Slot]:
        """A slot that loses nothing of two channels."""
        with layer.open_slot(RETRIES) as slot:
            yield slot

    def taken(self, slot: Slot, channel: str = "conformance.a") -> Envelope:
        """Return the one message that ``slot`` takes of ``channel``."""
        (envelope,) = self.take(slot, channel, limit=9)
        return envelope

    def lose(self, layer: BaseChannelLayer, channel: str = "conformance.a") -> Envelope:
        """Take a message by a slot that ends without having finished it; return that."""
        with layer.open_slot(RETRIES) as slot:
            return self.taken(slot, channel)

    # -- delivering again --------------------------------------------------------------------------------------------

    def test_what_was_not_finished_is_delivered_again(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, keeping: Slot
    ) -> None:
        """First of all, with how often that was; not once it was finished."""
        layer.send_many([("conformance.a", {"n": n}) for n in range(2)])
        assert self.lose(peer).redelivered == 0
        again = self.taken(keeping)
        assert (codec.decode(again.content), again.redelivered) == ({"n": 0}, 1)
        keeping.settle([])
        assert codec.decode(self.taken(keeping).content) == {"n": 1}
        keeping.settle([])
        assert drained(layer, "conformance.a") == []
        assert peer.losses.counts["worker died"] == 0

    def test_redelivery_wakes_a_waiting_slot(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """Nobody has to send anything for that."""
        layer.send("conformance.a", {})
        with layer.open_slot(RETRIES) as other:
            lost = peer.open_slot(RETRIES)
            self.taken(lost)
            again, _ = self.together(lambda: self.taken(other), lost.close)
            assert again.redelivered == 1
            other.settle([])

    def test_the_last_delivery_is_the_last(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """After that it is set aside."""
        layer.send("conformance.a", {"n": 1})
        assert [self.lose(peer).redelivered for _ in range(3)] == [0, 1, 2]
        assert layer.depth("conformance.a") == 0
        (letter,) = layer.dead_letters()
        assert (letter.channel, letter.decoded(), letter.reason) == ("conformance.a", {"n": 1}, UNFINISHED)
        assert letter.redelivered == 2

    def test_without_retries_it_is_set_aside_at_once(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """At most once, and not forgotten."""
        layer.send("conformance.b", {})
        self.lose(peer, "conformance.b")
        assert [letter.channel for letter in layer.dead_letters()] == ["conformance.b"]

    def test_a_custody_delivers_again_what_it_held(self, layer: BaseChannelLayer, keeping: Slot) -> None:
        """As a slot does."""
        layer.send("conformance.a", {})
        custody = layer.open_custody()
        keeping.hand_over([self.taken(keeping)], custody)
        custody.close()
        assert self.taken(keeping).redelivered == 1
        keeping.settle([])

    def test_a_run_that_failed_is_counted(self, layer: BaseChannelLayer, keeping: Slot) -> None:
        """Sent back as its next delivery, it has as many chances less, wherever the next run ends."""
        custody = layer.open_custody()
        layer.send("conformance.a", {"n": 1})
        held = self.taken(keeping)
        keeping.hand_over([held], custody)
        custody.send_back(held, next_delivery(held))
        assert self.lose(layer).redelivered == 1
        assert self.lose(layer).redelivered == 2
        assert len(layer.dead_letters()) == 1
        custody.close()

    def test_one_message_at_a_time(self, layer: BaseChannelLayer, keeping: Slot) -> None:
        """Of all such channels together, beside as many others as are wanted, so that a death counts against one."""
        layer.send_many([(f"conformance.{channel}", {}) for channel in "abc" for _ in range(3)])
        for _ in range(6):
            taken = self.take(keeping, "conformance.a", "conformance.b", limit=9)
            assert len(taken) == 1
            keeping.settle([])
        assert drained(layer, "conformance.a", "conformance.b") == []
        layer.send("conformance.a", {})
        assert len(self.take(keeping, "conformance.a", "conformance.c", limit=9)) == 4
        keeping.settle([])

    def test_put_back_costs_no_chance(self, layer: BaseChannelLayer, keeping: Slot) -> None:
        """It was not touched."""
        layer.send("conformance.a", {})
        keeping.put_back([self.taken(keeping)])
        assert self.taken(keeping).redelivered == 0
        keeping.settle([])

    def test_an_event_is_its_servers_affair(self, layer: BaseChannelLayer) -> None:
        """It is lost with its slot, and whoever sent it decides."""
        lost = event("conformance.a", layer.inbox(KIND).new_channel())
        layer.write([lost])
        self.lose(layer)
        assert layer.find_lost([lost]) == [lost]
        assert layer.dead_letters() == []

    @pytest.mark.parametrize("ends", ["withdrawn", "silent"])
    def test_the_end_of_a_process(self, layer: BaseChannelLayer, peer: BaseChannelLayer, ends: str) -> None:
        """What its slots and custodies held is delivered again, once it is said or seen to be gone."""
        if not layer.crosses_processes:
            pytest.skip("this layer ends with its process")
        peer.announce(Announcement("w1"))
        layer.announce(Announcement("w2"))
        layer.send_many([("conformance.a", {"n": n}) for n in range(3)])
        layer.send("conformance.c", {})
        slot, custody = peer.open_slot(RETRIES), peer.open_custody()
        slot.hand_over([self.taken(slot)], custody)
        slot.take({"conformance.a": 1, "conformance.c": 1}, 2, self.patience)
        assert layer.depth("conformance.a") == 1
        if ends == "withdrawn":
            layer.withdraw("w1")
        else:
            self.advance(HEARTBEAT_EXPIRY)
            layer.announce(Announcement("w2"))
        with layer.open_slot(RETRIES) as other:
            found = []
            for _ in range(3):
                found.append(self.taken(other))
                other.settle([])
        assert sorted(codec.decode(envelope.content)["n"] for envelope in found) == [0, 1, 2]
        assert [envelope.redelivered for envelope in found] == [1, 1, 0]
        assert layer.losses.counts["worker died"] == 1

    # -- waiting -----------------------------------------------------------------------------------------------------

    def test_what_is_kept_does_not_expire(self, new_layer: NewLayer) -> None:
        """However long nobody takes it."""
        layer = new_layer(expiry=60)
        layer.send("conformance.a", {})
        with layer.open_slot(RETRIES) as slot:
            self.advance(3600)
            layer.announce(Announcement("w1"))
            assert self.taken(slot).redelivered == 0
            slot.settle([])
        assert layer.losses.counts.total() == 0

    def test_a_full_queue_drops_nothing_that_is_kept(self, new_layer: NewLayer) -> None:
        """It refuses, once a worker has announced that it keeps what comes there."""
        layer = new_layer(expiry=60, capacity=1)
        with layer.open_slot(RETRIES) as slot:
            layer.announce(Announcement("w1", ("conformance.a",), 1, kept=("conformance.a",)))
            layer.send("conformance.a", {"n": 1})
            self.advance(61)
            with pytest.raises(layer.ChannelFull):
                layer.send("conformance.a", {"n": 2})
            assert codec.decode(self.taken(slot).content) == {"n": 1}
            slot.settle([])

    # -- dead letters ------------------------------------------------------------------------------------------------

    def buried(self, layer: BaseChannelLayer, *numbers: int, route: str = "") -> list[str]:
        """Set messages aside, and return their keys."""
        custody = layer.open_custody()
        with layer.open_slot() as slot:
            for n in numbers:
                layer.write([layer.message("conformance.a", {"n": n}, route)])
                (held,) = self.take(slot, "conformance.a")
                slot.hand_over([held], custody)
                for _ in range(2):
                    custody.bury(held, f"reason {n}")
        custody.close()
        return [letter.key for letter in layer.dead_letters()]

    def test_what_is_set_aside_is_listed(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """The oldest first, once each, with what is known of it; it has no claim any more."""
        self.buried(peer, 1, 2, route="tests.consumer")
        assert [(letter.channel, letter.decoded(), letter.reason) for letter in layer.dead_letters()] == [
            ("conformance.a", {"n": 1}, "reason 1"),
            ("conformance.a", {"n": 2}, "reason 2"),
        ]
        assert {letter.route for letter in layer.dead_letters()} == {"tests.consumer"}
        assert all(letter.time > 0 for letter in layer.dead_letters())
        assert peer.losses.counts.total() == 0

    def test_a_dead_letter_can_be_sent_again(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """It arrives as if for the first time, and is no dead letter any more; unknown keys are passed over."""
        layer.send("conformance.a", {"n": 1})
        for _ in range(3):
            self.lose(layer)
        (letter,) = layer.dead_letters()
        assert peer.resend_dead([letter.key, letter.key, "1-1"]) == 1
        assert layer.dead_letters() == []
        with layer.open_slot(RETRIES) as slot:
            again = self.taken(slot)
            assert (codec.decode(again.content), again.redelivered, again.attempt) == ({"n": 1}, 0, 0)
            slot.settle([])

    def test_sending_again_wakes_a_waiting_slot(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """As any message does."""
        keys = self.buried(layer, 1)
        with layer.open_slot() as slot:
            (found, *_), _ = self.together(lambda: self.take(slot, "conformance.a"), lambda: peer.resend_dead(keys))
            assert codec.decode(found.content) == {"n": 1}
            slot.settle([])

    def test_a_full_queue_takes_no_dead_letter(self, new_layer: NewLayer) -> None:
        """Those that found room were sent, the others stay where they are."""
        layer = new_layer(capacity=1)
        keys = self.buried(layer, 1, 2)
        with pytest.raises(layer.ChannelFull, match=r"'conformance\.a' is full: 1 messages wait"):
            layer.resend_dead(keys)
        assert [letter.key for letter in layer.dead_letters()] == keys[1:]
        assert drained(layer, "conformance.a") == [("conformance.a", {"n": 1})]

    def test_dead_letters_can_be_dropped(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """Those that are named."""
        keys = self.buried(layer, 1, 2, 3)
        assert peer.drop_dead([keys[1], keys[1], "1-1"]) == 1
        assert peer.drop_dead([]) == 0
        assert [letter.key for letter in layer.dead_letters()] == [keys[0], keys[2]]
        layer.flush()
        assert layer.dead_letters() == []

    def test_there_are_only_so_many(self, new_layer: NewLayer) -> None:
        """The oldest make room, and are counted."""
        layer = new_layer(max_dead_letters=2)
        self.buried(layer, 1, 2, 3)
        assert [letter.decoded() for letter in layer.dead_letters()] == [{"n": 2}, {"n": 3}]
        assert layer.losses.counts == {"dead letter dropped": 1}
        with pytest.raises(ValueError, match="max_dead_letters is 1 or more, not 0"):
            new_layer(max_dead_letters=0)

    def test_what_cannot_be_decoded_is_shown_as_it_is(self, layer: BaseChannelLayer) -> None:
        """Whoever looks at it may know what it is."""
        custody = layer.open_custody()
        layer.write([Envelope(0, "conformance.a", b"\xc1")])
        with layer.open_slot() as slot:
            (held,) = self.take(slot, "conformance.a")
            slot.hand_over([held], custody)
        custody.bury(held, "undecodable")
        assert [letter.decoded() for letter in layer.dead_letters()] == [b"\xc1"]
        custody.close()
