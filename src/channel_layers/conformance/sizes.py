"""Conformance of sizes: what is long goes where what is short goes, in the same order, and is claimed as that is."""

from __future__ import annotations

import asyncio

import pytest

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import KIND, Harness, NewLayer, drained, event
from channel_layers.envelope import MESSAGE, Envelope, done

SIZES = (1, 10_000, 3, 100_000, 2, 1_000_000)
"""Bytes of contents, the long ones between short ones."""


class SizeConformance(Harness):
    """Long contents beside short ones."""

    @pytest.fixture
    def events(self, layer: BaseChannelLayer) -> list[Envelope]:
        """Events of one connection, one of each size."""
        owner = layer.inbox(KIND).new_channel()
        return [event("conformance.a", owner, token, text="x" * size) for token, size in enumerate(SIZES, 1)]

    def test_long_events_arrive_as_short_ones(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, events: list[Envelope]
    ) -> None:
        """Whole, in their order, and each is known to be queued, then claimed, then done."""
        layer.write(events)
        assert layer.find_lost(events) == []
        with peer.open_slot() as slot:
            taken = self.take(slot, "conformance.a", limit=9)
            assert layer.find_lost(events) == []
            assert [(e.token, len(codec.decode(e.content)["text"])) for e in taken] == list(enumerate(SIZES, 1))
            slot.settle([])
        assert layer.find_lost(events) == events

    def test_long_events_arrive_in_coroutines(self, layer: BaseChannelLayer, events: list[Envelope]) -> None:
        """As in threads."""

        async def work() -> list[int]:
            await layer.awrite(events)
            with layer.open_slot() as slot:
                taken = await slot.atake({"conformance.a": 9}, 9, self.patience)
                await slot.asettle([])
            assert await layer.afind_lost(events) == events
            await layer.aclose()
            return [len(codec.decode(envelope.content)["text"]) for envelope in taken]

        assert asyncio.run(work()) == list(SIZES)

    def test_long_events_are_put_back(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, events: list[Envelope]
    ) -> None:
        """Whoever takes them next gets them whole; those that were not put back are done."""
        layer.write(events)
        with layer.open_slot() as slot:
            taken = self.take(slot, "conformance.a", limit=9)
            slot.put_back(taken[2:])
            slot.settle([])
        assert layer.find_lost(events) == events[:2]
        with peer.open_slot() as slot:
            assert slot.settle_before_take([], {"conformance.a": 9}, 9) == []
            again = self.take(slot, "conformance.a", limit=9)
            assert [e.content for e in again] == [e.content for e in events[2:]]
            slot.settle([])

    def test_long_events_are_handed_over(self, layer: BaseChannelLayer, events: list[Envelope]) -> None:
        """A custody ends the claims of long ones as those of others."""
        custody = layer.open_custody()
        layer.write(events)
        with layer.open_slot() as slot:
            taken = self.take(slot, "conformance.a", limit=9)
            slot.hand_over(taken, custody)
        assert layer.find_lost(events) == []
        assert custody.settle(taken[:4], [done(events[0].owner, 1)]) == []
        custody.settle(taken[4:], [])
        custody.close()
        assert layer.find_lost(events) == events

    def test_a_long_event_can_be_retracted(self, layer: BaseChannelLayer, events: list[Envelope]) -> None:
        """It is in its queue, and then nowhere."""
        layer.write(events)
        assert all(layer.retract(envelope) for envelope in events)
        assert not any(layer.retract(envelope) for envelope in events)
        assert drained(layer, "conformance.a") == []

    def test_long_requests_are_refused_as_short_ones(self, new_layer: NewLayer) -> None:
        """A queue that is full refuses them, and the others arrive."""
        layer = new_layer(capacity=2)
        owners = [layer.inbox(KIND).new_channel() for _ in range(3)]
        content = codec.encode({"text": "x" * 50_000})
        requests = [Envelope(MESSAGE, "conformance.a", content, owner, 1) for owner in owners]
        (refused,) = layer.write(requests)
        assert refused.envelope.owner == owners[2]
        assert isinstance(refused.error, layer.ChannelFull)
        assert [len(content["text"]) for _, content in drained(layer, "conformance.a")] == [50_000] * 2

    def test_a_queue_of_long_events_can_be_dropped(self, layer: BaseChannelLayer, events: list[Envelope]) -> None:
        """Nothing of it is left."""
        layer.write(events)
        layer.drop_queue("conformance.a")
        assert drained(layer, "conformance.a") == []
        assert layer.find_lost(events) == events

    def test_long_replies_keep_their_order(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """Between short ones, to a reply channel and to a group."""
        inbox = layer.inbox(KIND)
        channel = inbox.new_channel()
        layer.group_add("sizes", channel)
        texts = ["x" * size for size in SIZES]
        peer.write([peer.message(channel, {"text": text}) for text in texts])
        for text in texts:
            peer.send_group("sizes", {"text": text})
        found = [len(content["text"]) for _, content in self.read_messages(inbox, 2 * len(SIZES))]
        assert found == [*SIZES, *SIZES]
