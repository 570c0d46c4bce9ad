"""Conformance of groups: membership, order, and what the layer forgets by itself."""

from __future__ import annotations

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import Harness, NewLayer, drained, messages
from channel_layers.inbox import VACANCY, Inbox

GROUP_NAME = "conformance"


class GroupConformance(Harness):
    """Groups of reply channels and queues."""

    def test_a_group_reaches_its_members(self, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """A group message comes to every member, in one entry, and to nobody who has been discarded."""
        one, other, discarded = (inbox.new_channel() for _ in range(3))
        for channel in (one, other, discarded):
            peer.group_add(GROUP_NAME, channel)
        peer.group_discard(GROUP_NAME, discarded)
        peer.send_group(GROUP_NAME, {"n": 1})
        (delivery,) = self.read(inbox)
        assert set(delivery.channels) == {one, other}
        assert dict(messages([delivery]))[one] == {"n": 1}

    def test_adding_and_discarding_twice_is_no_error(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """A member is one however often it was added, and none however often it was discarded."""
        channel = inbox.new_channel()
        for _ in range(2):
            layer.group_add(GROUP_NAME, channel)
        layer.send_group(GROUP_NAME, {})
        assert messages(self.read(inbox)) == [(channel, {})]
        for _ in range(2):
            layer.group_discard(GROUP_NAME, channel)
        layer.send_group(GROUP_NAME, {})
        assert inbox.receive(0) == []

    def test_an_unknown_group_has_no_members(self, layer: BaseChannelLayer) -> None:
        """Sending to a group nobody is in, and discarding from it, is no error."""
        layer.send_group(GROUP_NAME, {})
        layer.group_discard(GROUP_NAME, "conformance.a")
        layer.group_discard(GROUP_NAME, layer.new_channel("conformance.reply!"))
        assert layer.group_channels(GROUP_NAME) == []

    def test_queues_may_be_members(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """A queue that is a member gets a copy like any message, until it is discarded."""
        peer.group_add(GROUP_NAME, "conformance.a")
        peer.group_add(GROUP_NAME, "conformance.b")
        layer.send_group(GROUP_NAME, {"n": 1})
        peer.group_discard(GROUP_NAME, "conformance.b")
        layer.send_group(GROUP_NAME, {"n": 2})
        assert [content["n"] for _, content in drained(layer, "conformance.a")] == [1, 2]
        assert [content["n"] for _, content in drained(layer, "conformance.b")] == [1]

    def test_a_group_message_wakes_a_blocking_receive(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """A reader that waits on a member's queue is woken by a message to the group."""
        layer.group_add(GROUP_NAME, "conformance.a")
        received, _ = self.together(
            lambda: self.receive(layer, "conformance.a"), lambda: peer.send_group(GROUP_NAME, {"n": 1})
        )
        assert received == ("conformance.a", {"n": 1})

    def test_a_full_member_is_skipped(self, new_layer: NewLayer) -> None:
        """A group send never raises ChannelFull: the full queue is left out and counted, the others are not."""
        layer = new_layer(capacity=1)
        layer.group_add(GROUP_NAME, "conformance.a")
        layer.group_add(GROUP_NAME, "conformance.b")
        layer.send("conformance.a", {"n": 0})
        layer.send_group(GROUP_NAME, {"n": 1})
        assert drained(layer, "conformance.a") == [("conformance.a", {"n": 0})]
        assert drained(layer, "conformance.b") == [("conformance.b", {"n": 1})]
        assert layer.losses.counts.total() == 1

    def test_members_can_be_left_out(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """``without`` names members, of either sort, that one message does not go to."""
        one, other = inbox.new_channel(), inbox.new_channel()
        for channel in (one, other, "conformance.a"):
            layer.group_add(GROUP_NAME, channel)
        layer.send_group(GROUP_NAME, {"n": 1}, without=[one, "conformance.a"])
        assert messages(self.read(inbox)) == [(other, {"n": 1})]
        assert layer.receive(["conformance.a"]) == (None, None)
        layer.send_group(GROUP_NAME, {"n": 2}, without=[one, other])
        assert inbox.receive(0) == []

    def test_members_in_several_inboxes(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """Each inbox delivers to its own members."""
        beside = layer.inbox("conformance.beside")
        one, other = inbox.new_channel(), beside.new_channel()
        layer.group_add(GROUP_NAME, one)
        layer.group_add(GROUP_NAME, other)
        layer.send_group(GROUP_NAME, {})
        assert messages(self.read(inbox)) == [(one, {})]
        assert messages(self.read(beside)) == [(other, {})]

    def test_group_channels_lists_the_members(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox
    ) -> None:
        """An add or discard that has returned shows, whether its inbox was read since or not."""
        one, other = inbox.new_channel(), inbox.new_channel()
        for channel in (one, other, "conformance.a"):
            peer.group_add(GROUP_NAME, channel)
        assert set(layer.group_channels(GROUP_NAME)) == {one, other, "conformance.a"}
        inbox.receive(0)
        assert set(layer.group_channels(GROUP_NAME)) == {one, other, "conformance.a"}
        peer.group_discard(GROUP_NAME, one)
        peer.group_discard(GROUP_NAME, "conformance.a")
        assert layer.group_channels(GROUP_NAME) == [other]

    def test_group_channels_is_right_while_the_inbox_is_read(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """A member does not vanish for a moment when its join passes from the inbox to its process."""
        channels = [inbox.new_channel() for _ in range(100)]

        def add() -> list[str]:
            return [channel for channel in channels if not is_listed_after_add(channel)]

        def is_listed_after_add(channel: str) -> bool:
            layer.group_add(GROUP_NAME, channel)
            return channel in layer.group_channels(GROUP_NAME)

        def read() -> None:
            while len(inbox.members(GROUP_NAME)) < len(channels):
                inbox.receive(0)

        missed, _ = self.together(add, read)
        assert missed == []

    # -- order -----------------------------------------------------------------------------------------------------

    def test_a_join_is_not_overtaken(self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """Whoever knows of an add reaches the new member, however the reader of its inbox is doing."""
        channel = inbox.new_channel()

        def join_and_send() -> None:
            for n in range(50):
                peer.group_add(f"conformance {n}", channel)
                layer.send_group(f"conformance {n}", {"n": n})

        _, received = self.together(join_and_send, lambda: self.read_messages(inbox, 50))
        assert received == [(channel, {"n": n}) for n in range(50)]

    def test_direct_and_group_messages_keep_their_order(self, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """A member gets what one sender sent to it and to its group in the order of sending."""
        channel = inbox.new_channel()
        peer.group_add(GROUP_NAME, channel)
        for n in range(0, 20, 2):
            peer.send(channel, {"n": n})
            peer.send_group(GROUP_NAME, {"n": n + 1})
        assert self.read_messages(inbox, 20) == [(channel, {"n": n}) for n in range(20)]

    # -- what ends -------------------------------------------------------------------------------------------------

    def test_memberships_end_with_the_connection(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """A connection that is forgotten or retired is in no group, also not by a join that arrives later."""
        for end in (inbox.forget, inbox.retire):
            channel, late = inbox.new_channel(), inbox.new_channel()
            layer.group_add(GROUP_NAME, channel)
            assert inbox.receive(0) == []
            assert inbox.members(GROUP_NAME) == (channel,)
            layer.group_add(GROUP_NAME, late)
            end(channel)
            end(late)
            layer.send_group(GROUP_NAME, {})
            assert inbox.receive(0) == []
            assert layer.group_channels(GROUP_NAME) == []

    def test_dead_inboxes_are_swept(self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """The members of a process that has ended are gone; the others get their messages."""
        dead, channel = peer.open_inbox("conformance.dead"), inbox.new_channel()
        layer.group_add(GROUP_NAME, dead.new_channel())
        layer.group_add(GROUP_NAME, channel)
        dead.close()
        layer.send_group(GROUP_NAME, {})
        assert messages(self.read(inbox)) == [(channel, {})]
        assert layer.group_channels(GROUP_NAME) == [channel]

    def test_flush_deletes_groups(self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """After a flush a group reaches nobody, until the processes that hold its members register it again."""
        channel = inbox.new_channel()
        peer.group_add(GROUP_NAME, channel)
        peer.group_add(GROUP_NAME, "conformance.a")
        assert inbox.receive(0) == []
        peer.flush()
        layer.send_group(GROUP_NAME, {})
        assert inbox.receive(0) == []
        assert layer.receive(["conformance.a"]) == (None, None)
        inbox.reannounce()
        peer.send_group(GROUP_NAME, {"n": 1})
        assert messages(self.read(inbox)) == [(channel, {"n": 1})]

    # -- what the layer knows of groups nobody is in -----------------------------------------------------------------

    def test_a_vacant_group_is_withdrawn_after_a_while(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """A process without members of a group is sent its messages until the group was vacant for some seconds."""
        channel = inbox.new_channel()
        layer.group_add(GROUP_NAME, channel)
        layer.group_discard(GROUP_NAME, channel)
        assert inbox.receive(0) == []
        self.advance(VACANCY - 1)
        inbox.beat()
        assert self._is_registered(layer, inbox)
        self.advance(VACANCY)
        inbox.beat()
        assert not self._is_registered(layer, inbox)

    def test_a_group_that_was_joined_again_is_not_withdrawn(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """Members who came back in time, and a join that has not been read yet, keep the registration."""
        one, other = inbox.new_channel(), inbox.new_channel()
        for channel, is_read in ((one, True), (other, False)):
            layer.group_add(GROUP_NAME, channel)
            inbox.receive(0)
            layer.group_discard(GROUP_NAME, channel)
            inbox.receive(0)
            layer.group_add(GROUP_NAME, channel)
            if is_read:
                inbox.receive(0)
            self.advance(VACANCY + 1)
            inbox.beat()
            layer.send_group(GROUP_NAME, {})
            assert messages(self.read(inbox)) == [(channel, {})]
            inbox.forget(channel)

    def test_a_withdrawn_group_can_be_joined_again(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """After a withdrawal everything is as before the first join."""
        self.test_a_vacant_group_is_withdrawn_after_a_while(layer, inbox)
        channel = inbox.new_channel()
        layer.group_add(GROUP_NAME, channel)
        layer.send_group(GROUP_NAME, {"n": 1})
        assert messages(self.read(inbox)) == [(channel, {"n": 1})]

    def test_a_join_that_came_too_late_leaves_nothing_behind(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """The registration that came with it is withdrawn, also when the group had been vacant before."""
        channel, late = inbox.new_channel(), inbox.new_channel()
        layer.group_add(GROUP_NAME, channel)
        inbox.receive(0)
        inbox.forget(channel)
        self.advance(VACANCY / 2)
        layer.group_add(GROUP_NAME, late)
        inbox.forget(late)
        assert inbox.receive(0) == []
        for _ in range(2):
            self.advance(VACANCY)
            inbox.beat()
        assert not self._is_registered(layer, inbox)

    def test_a_message_for_nobody_starts_a_withdrawal(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """A registration whose join was lost ends once a message has come by it."""
        channel = inbox.new_channel()
        layer.group_add(GROUP_NAME, channel)
        inbox._read(0)  # lost before it was resolved
        layer.send_group(GROUP_NAME, {})
        assert inbox.receive(0) == []
        self.advance(VACANCY + 1)
        inbox.beat()
        assert not self._is_registered(layer, inbox)

    def _is_registered(self, layer: BaseChannelLayer, inbox: Inbox) -> bool:
        """Return whether messages of the group are still sent to ``inbox``, where nobody is a member."""
        layer.send_group(GROUP_NAME, {})
        return bool(inbox._read(0))
