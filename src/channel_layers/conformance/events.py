"""Conformance of events under way: their server knows where they are, and can have them back."""

from __future__ import annotations

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import KIND, Harness, event
from channel_layers.envelope import MESSAGE, Envelope
from channel_layers.slot import Slot


class EventConformance(Harness):
    """Finding events that were lost, and retracting others."""

    def test_find_lost_knows_where_events_are(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, owner: str
    ) -> None:
        """An event is not lost while it is queued or claimed; it is once its slot is closed or the layer flushed."""
        queued, claimed = event("conformance.a", owner, 1), event("conformance.b", owner, 2)
        layer.write([queued, claimed])
        slot = peer.open_slot()
        self.take(slot, "conformance.b")
        assert layer.find_lost([queued, claimed]) == []
        slot.close()
        assert layer.find_lost([queued, claimed]) == [claimed]
        layer.flush()
        assert layer.find_lost([queued, claimed]) == [queued, claimed]

    def test_a_request_is_looked_after_as_an_event_is(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, owner: str
    ) -> None:
        """It is no event, since it may be refused and may expire, but its server finds it all the same."""
        queued, claimed = (Envelope(MESSAGE, f"conformance.{'ab'[n]}", b"\x80", owner, n + 1) for n in range(2))
        layer.write([queued, claimed])
        slot = peer.open_slot()
        self.take(slot, "conformance.b")
        assert layer.find_lost([queued, claimed]) == []
        slot.close()
        assert layer.find_lost([queued, claimed]) == [claimed]
        assert [layer.retract(queued), layer.retract(queued)] == [True, False]
        assert layer.find_lost([queued]) == [queued]

    def test_an_event_can_be_retracted_until_it_is_taken(self, layer: BaseChannelLayer, slot: Slot, owner: str) -> None:
        """Retract takes the one event out of its queue, once; what a worker has is the worker's."""
        first, second, third = (event("conformance.a", owner, token) for token in (1, 2, 3))
        namesake = event("conformance.a", layer.inbox(KIND).new_channel(), 2)
        layer.write([first, second, third])
        assert [layer.retract(namesake), layer.retract(second), layer.retract(second)] == [False, True, False]
        assert [envelope.token for envelope in self.take(slot, "conformance.a", limit=3)] == [1, 3]
        assert layer.retract(first) is False

    def test_an_event_goes_either_to_its_server_or_to_a_worker(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, owner: str
    ) -> None:
        """While one retracts and one takes, each event comes to exactly one of them."""
        events = [event("conformance.a", owner, token) for token in range(1, 81)]
        layer.write(events)

        def retract() -> list[int]:
            return [envelope.token for envelope in reversed(events) if layer.retract(envelope)]

        def work() -> list[int]:
            found = []
            with peer.open_slot() as slot:
                while taken := slot.take({"conformance.a": 1}, 1, 0):
                    found.append(taken[0].token)
                    slot.settle([])
            return found

        retracted, taken = self.together(retract, work)
        assert sorted(retracted + taken) == list(range(1, 81))
