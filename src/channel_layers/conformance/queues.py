"""Conformance of queues: order, capacity, expiry, fairness."""

from __future__ import annotations

import re
from functools import partial

import pytest

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import KIND, Harness, NewLayer, drained, event
from channel_layers.envelope import DONE, EVENT, Envelope, read_done


class QueueConformance(Harness):
    """Work queues: ``send``, ``send_many``, ``receive``."""

    def test_a_sent_message_is_received(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """Receive returns the channel and the content that another process has sent."""
        peer.send("conformance.a", {"text": "hello"})
        assert self.receive(layer, "conformance.a") == ("conformance.a", {"text": "hello"})

    def test_a_message_is_received_once(self, layer: BaseChannelLayer) -> None:
        """A message that was received is not received again."""
        layer.send("conformance.a", {})
        assert len(drained(layer, "conformance.a")) == 1
        assert layer.receive(["conformance.a"]) == (None, None)

    def test_receive_returns_at_once_when_nothing_waits(self, layer: BaseChannelLayer) -> None:
        """Without ``block`` an empty queue gives ``(None, None)``, and so does an empty list of channels."""
        assert layer.receive(["conformance.a"]) == (None, None)
        assert layer.receive([], block=True) == (None, None)

    def test_blocking_receive_gives_up_after_its_timeout(self, layer: BaseChannelLayer) -> None:
        """With ``block`` and ``timeout`` an empty queue gives ``(None, None)`` in the end."""
        assert layer.receive(["conformance.a"], block=True, timeout=0.01) == (None, None)

    def test_blocking_receive_is_woken_by_a_send(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """A receive that waits returns when another thread sends."""
        received, _ = self.together(
            lambda: self.receive(layer, "conformance.a", "conformance.b"),
            lambda: peer.send("conformance.b", {"n": 1}),
        )
        assert received == ("conformance.b", {"n": 1})

    def test_a_queue_is_first_in_first_out(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """Messages of one sender are received in the order they were sent in, whatever other queues hold."""
        for n in range(3):
            peer.send("conformance.a", {"n": n})
        peer.send("conformance.b", {"n": 3})
        assert [content["n"] for _, content in drained(layer, "conformance.a")] == [0, 1, 2]
        assert self.receive(layer, "conformance.a", "conformance.b") == ("conformance.b", {"n": 3})

    def test_send_many_keeps_the_order(self, layer: BaseChannelLayer) -> None:
        """The messages of one write arrive in the order given."""
        layer.send_many([("conformance.a", {"n": n}) for n in range(20)])
        assert [content["n"] for _, content in drained(layer, "conformance.a")] == list(range(20))

    def test_competing_readers_get_each_message_once(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """However many threads read a queue, a message goes to exactly one of them."""
        peer.send_many(("conformance.a", {"n": n}) for n in range(80))
        shares = self.together(*[lambda: drained(layer, "conformance.a")] * 4)
        assert sorted(content["n"] for share in shares for _, content in share) == list(range(80))

    def test_many_threads_at_once(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """Senders and readers in threads of their own lose nothing, double nothing and keep each sender's order."""

        def send(sender: int) -> None:
            for n in range(25):
                peer.send("conformance.a", {"sender": sender, "n": n})

        def read() -> list[tuple[int, int]]:
            found = [self.receive(layer, "conformance.a")[1] for _ in range(25)]
            return [(content["sender"], content["n"]) for content in found]

        shares = self.together(*[partial(send, sender) for sender in range(4)], *[read] * 4)[4:]
        assert sorted(pair for share in shares for pair in share) == [(i, n) for i in range(4) for n in range(25)]
        for share in shares:
            for sender in range(4):
                numbers = [n for i, n in share if i == sender]
                assert numbers == sorted(numbers)

    def test_changing_a_sent_message_changes_nothing(self, layer: BaseChannelLayer) -> None:
        """The queue holds what the content was when it was sent."""
        content = {"list": [1]}
        layer.send("conformance.a", content)
        content["list"].append(2)
        assert self.receive(layer, "conformance.a")[1] == {"list": [1]}

    def test_a_channel_with_one_reader(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """``new_channel("…?")`` names a queue of its own that anybody can send to."""
        one, other = layer.new_channel("conformance.body?"), layer.new_channel("conformance.body?")
        assert one != other
        assert re.fullmatch(r"conformance\.body\?[a-zA-Z0-9\-_.]{16,}", one)
        peer.send(one, {"n": 1})
        assert layer.receive([other]) == (None, None)
        assert self.receive(layer, other, one) == (one, {"n": 1})

    def test_depth_counts_what_waits(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """``depth`` is the number of messages that wait in a queue."""
        peer.send_many([("conformance.a", {}), ("conformance.a", {}), ("conformance.b", {})])
        assert (layer.depth("conformance.a"), layer.depth("conformance.b"), layer.depth("conformance.c")) == (
            2,
            1,
            0,
        )

    def test_flush_deletes_messages(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """After a flush no client finds a message, in a queue, in an inbox or among what it had read."""
        inbox = layer.inbox(KIND)
        channel = inbox.new_channel()
        peer.send_many([("conformance.a", {}), (channel, {"n": 1}), (channel, {"n": 2})])
        assert self.receive(layer, inbox.name) == (channel, {"n": 1})
        peer.send(channel, {"n": 3})
        layer.flush()
        assert peer.receive(["conformance.a"]) == (None, None)
        assert layer.receive([inbox.name]) == (None, None)
        peer.send(channel, {"n": 4})
        assert self.receive(layer, inbox.name) == (channel, {"n": 4})

    # -- fairness --------------------------------------------------------------------------------------------------

    def test_receive_serves_a_quiet_channel_beside_a_busy_one(self, new_layer: NewLayer) -> None:
        """A message on a quiet channel is received although another never runs empty, in whichever order listed."""
        layer = new_layer(capacity=100)
        for busy, quiet in (("conformance.a", "conformance.b"), ("conformance.b", "conformance.a")):
            for channels in ([busy, quiet], [quiet, busy]):
                layer.send_many((busy, {}) for _ in range(60))
                layer.send(quiet, {})
                assert quiet in {layer.receive(channels)[0] for _ in range(60)}
                layer.flush()

    # -- capacity --------------------------------------------------------------------------------------------------

    def test_a_full_queue_refuses_and_says_why(self, new_layer: NewLayer) -> None:
        """A message beyond the capacity raises ChannelFull with channel, depth, limit and setting."""
        layer = new_layer(capacity=3)
        for _ in range(3):
            layer.send("conformance.a", {})
        with pytest.raises(layer.ChannelFull, match=r"'conformance\.a' is full") as refused:
            layer.send("conformance.a", {})
        error = refused.value
        assert (error.channel, error.depth, error.capacity) == ("conformance.a", 3, 3)
        assert error.oldest >= 0
        assert "channel_capacity" in error.setting

    def test_a_full_queue_holds_what_it_held(self, new_layer: NewLayer) -> None:
        """A refused message is not in the queue, others are, and one received makes room for one."""
        layer = new_layer(capacity=2)
        layer.send_many([("conformance.a", {"n": 0}), ("conformance.a", {"n": 1})])
        with pytest.raises(layer.ChannelFull):
            layer.send("conformance.a", {"n": 2})
        assert self.receive(layer, "conformance.a")[1] == {"n": 0}
        layer.send("conformance.a", {"n": 3})
        assert [content["n"] for _, content in drained(layer, "conformance.a")] == [1, 3]

    def test_capacity_by_channel(self, new_layer: NewLayer) -> None:
        """Names, globs and compiled patterns set the capacity of single channels, the first that matches wins."""
        overrides = {"conformance.exact": 1, "conformance.e*": 2, re.compile(r"conformance\.[st]"): 3}
        layer = new_layer(capacity=5, channel_capacity=overrides)
        expected = {"conformance.exact": 1, "conformance.echo": 2, "conformance.sms": 3, "conformance.a": 5}
        for channel, capacity in expected.items():
            layer.send_many([(channel, {})] * capacity)
            with pytest.raises(layer.ChannelFull) as refused:
                layer.send(channel, {})
            assert refused.value.capacity == capacity

    def test_capacity_of_channels_with_keys(self, new_layer: NewLayer) -> None:
        """Channels that differ in their key have the same capacity, each to itself."""
        layer = new_layer(channel_capacity={"conformance.body?*": 1})
        one, other = layer.new_channel("conformance.body?"), layer.new_channel("conformance.body?")
        layer.send(one, {})
        layer.send(other, {})
        with pytest.raises(layer.ChannelFull):
            layer.send(one, {})

    def test_a_refused_message_does_not_hold_back_others(self, new_layer: NewLayer) -> None:
        """``send_many`` sends all that can be sent and then raises the first refusal, saying how many there were."""
        layer = new_layer(capacity=1)
        layer.send("conformance.a", {"n": 0})
        with pytest.raises(layer.ChannelFull) as refused:
            layer.send_many([("conformance.a", {"n": 1}), ("conformance.a", {"n": 2}), ("conformance.b", {"n": 3})])
        assert "2 messages" in refused.value.__notes__[0]
        assert drained(layer, "conformance.b") == [("conformance.b", {"n": 3})]

    # -- expiry ----------------------------------------------------------------------------------------------------

    def test_a_message_expires(self, new_layer: NewLayer) -> None:
        """A message is not received after the layer's expiry, and until then it is."""
        layer = new_layer(expiry=60)
        layer.send("conformance.a", {"n": 0})
        self.advance(30)
        layer.send("conformance.a", {"n": 1})
        self.advance(31)
        assert drained(layer, "conformance.a") == [("conformance.a", {"n": 1})]

    def test_expired_messages_take_no_room(self, new_layer: NewLayer) -> None:
        """A queue that is full of expired messages accepts new ones."""
        layer = new_layer(expiry=60, capacity=2)
        layer.send_many([("conformance.a", {"n": 0})] * 2)
        self.advance(61)
        layer.send("conformance.a", {"n": 1})
        assert drained(layer, "conformance.a") == [("conformance.a", {"n": 1})]

    # -- events ----------------------------------------------------------------------------------------------------

    def test_events_are_never_refused(self, new_layer: NewLayer) -> None:
        """An event is accepted by a full queue: its connection bounds it."""
        layer = new_layer(capacity=1)
        owner = layer.inbox(KIND).new_channel()
        layer.send("conformance.a", {})
        assert layer.write([event("conformance.a", owner, token) for token in range(1, 4)]) == []
        assert len(drained(layer, "conformance.a")) == 4

    def test_events_never_expire(self, new_layer: NewLayer) -> None:
        """An event waits as long as its connection lives."""
        layer = new_layer(expiry=60)
        layer.write([event("conformance.a", layer.inbox(KIND).new_channel(), n=1)])
        self.advance(3600)
        assert drained(layer, "conformance.a") == [("conformance.a", {"n": 1})]

    def test_an_event_of_several_contents_is_received_one_by_one(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer
    ) -> None:
        """Receive hands out the contents in their order, and tells the owner once that the event is done."""
        inbox = peer.inbox(KIND)
        owner = inbox.new_channel()
        contents = codec.join([codec.encode({"n": n}) for n in range(3)])
        peer.write([Envelope(EVENT, "conformance.a", contents, owner, 7)])
        assert [content["n"] for _, content in drained(layer, "conformance.a")] == [0, 1, 2]
        ((channels, envelope),) = self.read(inbox)
        assert (list(channels), envelope.kind, envelope.token) == ([owner], DONE, 7)
        assert read_done(envelope).outcome == 0
