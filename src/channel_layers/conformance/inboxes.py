"""Conformance of reply channels and inboxes: names, order, limits, and what ends with a connection."""

from __future__ import annotations

import re
from functools import partial

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import KIND, Harness, NewLayer, drained, event, messages
from channel_layers.envelope import DONE, GAP, GROUP, MESSAGE, RAISED, done, read_done
from channel_layers.inbox import Inbox


class InboxConformance(Harness):
    """Reply channels, and the inboxes of the process that holds the connections."""

    # -- names -----------------------------------------------------------------------------------------------------

    def test_a_reply_channel_names_its_inbox(self, layer: BaseChannelLayer) -> None:
        """1.x's pattern gives ``<kind>.<process>!<key>``, and everything up to ``!`` names the inbox."""
        channel = layer.new_channel("conformance.reply!")
        assert re.fullmatch(r"conformance\.reply\.[a-zA-Z0-9\-_]+![a-zA-Z0-9\-_.]{16,}", channel)
        assert channel.startswith(layer.inbox("conformance.reply").name)

    def test_no_two_reply_channels_are_alike(self, layer: BaseChannelLayer) -> None:
        """Keys never repeat and differ by more than a counter, also when threads ask at once."""
        made = self.together(*[lambda: [layer.new_channel("conformance.reply!") for _ in range(50)]] * 4)
        channels = [channel for share in made for channel in share]
        assert len(set(channels)) == 200
        assert len({channel[-16:] for channel in channels}) == 200
        assert len({channel.partition("!")[0] for channel in channels}) == 1

    def test_peers_have_inboxes_of_their_own(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """Two servers never share a name, also where one process runs both."""
        assert layer.open_inbox("conformance.twin").name != peer.open_inbox("conformance.twin").name

    @pytest.mark.parametrize("pattern", ["a", "", "!", "?", "a!b", "a!?", "a b!", "ä!", "x" * 46 + "!", None])
    def test_bad_patterns(self, layer: BaseChannelLayer, pattern: str) -> None:
        """A pattern ends in its marker and leaves room for what completes it."""
        with pytest.raises(layer.InvalidName, match="pattern"):
            layer.new_channel(pattern)

    @pytest.mark.parametrize("marker", ["!", "?"])
    def test_the_longest_pattern_gives_a_name_that_can_be_sent_to(self, layer: BaseChannelLayer, marker: str) -> None:
        """What ``new_channel`` returns is a good name."""
        layer.send(layer.new_channel("x" * 45 + marker), {})

    # -- messages --------------------------------------------------------------------------------------------------

    def test_an_inbox_is_received_from_by_its_name(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """Receive on the part up to ``!`` gives the messages of all its channels, under their full names."""
        one, other = layer.new_channel("conformance.reply!"), layer.new_channel("conformance.reply!")
        peer.send(one, {"n": 1})
        peer.send(other, {"n": 2})
        name = layer.inbox("conformance.reply").name
        assert [self.receive(layer, name) for _ in range(2)] == [(one, {"n": 1}), (other, {"n": 2})]
        assert layer.receive([name]) == (None, None)

    def test_only_its_own_process_receives_from_an_inbox(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """The name of somebody else's inbox is refused, and so is an inbox among other channels."""
        with pytest.raises(layer.InvalidName, match="no inbox of this process"):
            layer.receive(["conformance.reply.elsewhere!"])
        with pytest.raises(layer.InvalidName, match="alone"):
            layer.receive([inbox.name, "conformance.a"])

    def test_an_entry_is_delivered_with_its_channel(self, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """The inbox's reader gets the reply channel and the envelope, in the order of sending."""
        one, other = inbox.new_channel(), inbox.new_channel()
        peer.send_many([(one, {"n": 0}), (other, {"n": 1}), (one, {"n": 2})])
        deliveries = self.read(inbox, 3)
        assert messages(deliveries) == [(one, {"n": 0}), (other, {"n": 1}), (one, {"n": 2})]
        assert {envelope.kind for _, envelope in deliveries} == {MESSAGE}
        assert inbox.receive(0) == []

    def test_a_waiting_reader_is_woken(self, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """A receive that waits on an inbox returns when another thread sends."""
        channel = inbox.new_channel()
        received, _ = self.together(lambda: self.read_messages(inbox), lambda: peer.send(channel, {"n": 1}))
        assert received == [(channel, {"n": 1})]

    def test_a_reader_gives_up_after_its_timeout(self, inbox: Inbox) -> None:
        """A receive on an empty inbox returns nothing in the end."""
        assert inbox.receive(0.01) == []

    def test_each_sender_keeps_its_order(self, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """Messages of one thread to one reply channel arrive in its order, whoever else sends."""
        channel = inbox.new_channel()

        def send(sender: int) -> None:
            for n in range(25):
                peer.send(channel, {"sender": sender, "n": n})

        self.together(*[partial(send, sender) for sender in range(4)])
        received = [(content["sender"], content["n"]) for _, content in self.read_messages(inbox, 100)]
        assert all([n for i, n in received if i == sender] == list(range(25)) for sender in range(4))

    def test_inboxes_of_two_kinds_are_apart(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """What is sent to one inbox is not in the other."""
        layer.send(layer.new_channel("conformance.other!"), {})
        assert inbox.receive(0) == []

    def test_a_message_for_nobody_is_discarded(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """Sending to a process that never was, or with a key that was never given out, is no error."""
        layer.send("conformance.reply.gone!1abc", {})
        layer.send(f"{inbox.name}1abc", {})
        assert inbox.receive(0) == []

    def test_a_connection_that_is_forgotten_gets_nothing_more(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox
    ) -> None:
        """Messages for it are discarded, those on their way too, and its name is never given out again."""
        channel, other = inbox.new_channel(), inbox.new_channel()
        peer.send(channel, {"n": 1})
        inbox.forget(channel)
        peer.send(channel, {"n": 2})
        peer.send(other, {"n": 3})
        assert self.read_messages(inbox) == [(other, {"n": 3})]
        assert channel not in {inbox.new_channel() for _ in range(50)}
        inbox.forget(channel)

    def test_what_was_read_before_is_discarded_with_its_connection(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """Receive, which returns one message a call, does not return one for a connection that has gone since."""
        one, other = inbox.new_channel(), inbox.new_channel()
        layer.send_many([(one, {"n": 0}), (other, {"n": 1}), (one, {"n": 2})])
        assert self.receive(layer, inbox.name) == (one, {"n": 0})
        inbox.forget(other)
        assert drained(layer, inbox.name) == [(one, {"n": 2})]

    def test_a_connection_that_is_retired_can_be_sent_to(self, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """What settles its last events still arrives."""
        channel = inbox.new_channel()
        inbox.retire(channel)
        peer.send(channel, {"n": 1})
        assert self.read_messages(inbox) == [(channel, {"n": 1})]

    def test_messages_for_an_inbox_that_was_closed_are_discarded(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer
    ) -> None:
        """Sending to a process that has ended is no error, and its inbox can be opened anew under another key."""
        inbox = layer.inbox(KIND)
        channel = inbox.new_channel()
        inbox.close()
        peer.send(channel, {})
        again = layer.inbox(KIND)
        assert again is not inbox
        assert again.receive(0) == []

    # -- events settled --------------------------------------------------------------------------------------------

    def test_done_reaches_the_owner_of_the_event(self, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """What settles an event carries its token, its outcome and the session, if that has changed."""
        owner = inbox.new_channel()
        peer.write([done(owner, 3), done(owner, 4, RAISED, 2, b"session")])
        plain, full = self.read(inbox, 2)
        assert [list(plain.channels), list(full.channels)] == [[owner], [owner]]
        assert (plain.envelope.kind, plain.envelope.token, plain.envelope.session) == (DONE, 3, None)
        assert (full.envelope.kind, full.envelope.token, full.envelope.session) == (DONE, 4, b"session")
        assert (read_done(full.envelope).outcome, read_done(full.envelope).handled) == (RAISED, 2)

    def test_done_follows_the_messages_of_its_run(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox
    ) -> None:
        """What a consumer sent to its connection arrives before the event counts as done."""
        owner = inbox.new_channel()
        layer.write([event("conformance.a", owner)])
        with peer.open_slot() as slot:
            self.take(slot, "conformance.a")
            refused = slot.settle([peer.message(owner, {"n": 1}), peer.message(owner, {"n": 2}), done(owner, 1)])
        assert refused == []
        assert [envelope.kind for _, envelope in self.read(inbox, 3)] == [MESSAGE, MESSAGE, DONE]

    def test_a_message_can_carry_a_done(self, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """A reply with a token is delivered as it was sent, with the token and the session."""
        owner = inbox.new_channel()
        reply = peer.message(owner, {"n": 1})
        reply.token, reply.session = 3, b"session"
        peer.write([reply])
        (delivery,) = self.read(inbox)
        assert messages([delivery]) == [(owner, {"n": 1})]
        assert (delivery.envelope.token, delivery.envelope.session) == (3, b"session")

    def test_no_content_settles_an_event(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """Content that looks like an envelope, or a received message sent on, is a message like any other."""
        owner = inbox.new_channel()
        layer.send(owner, {"kind": DONE, "token": 1, "session": b"", "owner": owner})
        ((_, envelope),) = self.read(inbox)
        assert (envelope.kind, envelope.token, envelope.session) == (MESSAGE, 0, None)

    # -- full inboxes ----------------------------------------------------------------------------------------------

    def test_a_direct_send_to_a_full_inbox_raises_in_the_end(self, new_layer: NewLayer) -> None:
        """ChannelFull names the inbox, its depth and its limit; what it holds is not touched."""
        layer = new_layer(inbox_capacity=2, send_timeout=0)
        inbox = layer.inbox(KIND)
        channel = inbox.new_channel()
        for n in range(2):  # what one write sends may count as one entry
            layer.send(channel, {"n": n})
        with pytest.raises(layer.ChannelFull) as refused:
            layer.send(channel, {"n": 2})
        error = refused.value
        assert (error.channel, error.depth, error.capacity) == (inbox.name, 2, 2)
        assert self.read_messages(inbox) == [(channel, {"n": 0}), (channel, {"n": 1})]
        layer.send(channel, {"n": 3})
        assert self.read_messages(inbox) == [(channel, {"n": 3})]

    def test_a_direct_send_waits_for_room(self, new_layer: NewLayer) -> None:
        """Messages for a full inbox leave as its reader makes room, in their order, sent one by one or at once."""
        layer = new_layer(inbox_capacity=1, send_timeout=self.patience)
        inbox = layer.inbox(KIND)
        channel = inbox.new_channel()

        def send() -> None:
            for n in range(5):
                layer.send(channel, {"n": n})
            layer.send_many((channel, {"n": n}) for n in range(5, 10))

        _, received = self.together(send, lambda: self.read_messages(inbox, 10))
        assert received == [(channel, {"n": n}) for n in range(10)]

    def test_a_done_arrives_though_the_message_that_carried_it_is_refused(self, new_layer: NewLayer) -> None:
        """A send that does not fit never holds up the lane of its connection."""
        layer = new_layer(inbox_capacity=1, send_timeout=0)
        inbox = layer.inbox(KIND)
        owner = inbox.new_channel()
        layer.send(owner, {"n": 0})
        reply = layer.message(owner, {"n": 1})
        reply.token, reply.session = 3, b"session"
        (refused,) = layer.write([reply])
        assert isinstance(refused.error, layer.ChannelFull)
        first, second = self.read(inbox, 2)
        assert (first.envelope.kind, first.envelope.token) == (MESSAGE, 0)
        assert (second.envelope.kind, second.envelope.token, second.envelope.session) == (DONE, 3, b"session")

    def test_a_full_inbox_delays_nobody_else(self, new_layer: NewLayer) -> None:
        """What the same write sends elsewhere arrives, and only what did not fit is refused."""
        layer = new_layer(inbox_capacity=1, send_timeout=0)
        full, free = layer.inbox(KIND), layer.inbox("conformance.free")
        slow, quick = full.new_channel(), free.new_channel()
        layer.send(slow, {"n": 0})
        with pytest.raises(layer.ChannelFull) as refused:
            layer.send_many([(slow, {"n": 1}), (quick, {"n": 2}), ("conformance.a", {"n": 3})])
        assert refused.value.channel == full.name
        assert self.read_messages(free) == [(quick, {"n": 2})]
        assert self.receive(layer, "conformance.a")[1] == {"n": 3}

    def test_what_must_arrive_enters_a_full_inbox(self, new_layer: NewLayer) -> None:
        """Joins, leaves and done are never refused for want of room."""
        layer = new_layer(inbox_capacity=1, send_timeout=0)
        inbox = layer.inbox(KIND)
        channel = inbox.new_channel()
        layer.send(channel, {})
        layer.group_add("conformance", channel)
        assert layer.write([done(channel, 1)]) == []
        assert [envelope.kind for _, envelope in self.read(inbox, 2)] == [MESSAGE, DONE]
        assert inbox.members("conformance") == (channel,)

    def test_a_group_send_skips_a_full_inbox_and_marks_the_gap(self, new_layer: NewLayer) -> None:
        """The members learn once that they missed something, and again when it happens again; each is counted."""
        layer = new_layer(inbox_capacity=2, send_timeout=0)
        inbox = layer.inbox(KIND)
        channel = inbox.new_channel()
        layer.group_add("conformance", channel)
        assert inbox.receive(0) == []
        for _ in range(2):
            for n in range(5):
                layer.send_group("conformance", {"n": n})
            deliveries = self.read(inbox, 3)
            assert [envelope.kind for _, envelope in deliveries] == [GROUP, GROUP, GAP]
            assert [list(channels) for channels, _ in deliveries] == [[channel]] * 3
        assert layer.losses.counts.total() == 6
