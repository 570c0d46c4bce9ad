"""Conformance of notes: what is kept of a connection beside the queues. Skipped for layers without that extension."""

from __future__ import annotations

import asyncio

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import KIND, Harness
from channel_layers.envelope import DONE, NOTE, done
from channel_layers.exceptions import InvalidName
from channel_layers.inbox import Inbox
from channel_layers.notes import EXTENSION, HANDSHAKE, SESSION


class NoteConformance(Harness):
    """Notes, their versions and their end."""

    @pytest.fixture
    def noting(self, layer: BaseChannelLayer) -> BaseChannelLayer:
        """:meth:`layer`, if it keeps notes."""
        if EXTENSION not in layer.extensions:
            pytest.skip("this layer keeps no notes")
        return layer

    def test_a_layer_says_whether_it_keeps_notes(self, layer: BaseChannelLayer, inbox: Inbox) -> None:
        """One that has not the extension refuses, in place of forgetting."""
        channel = inbox.new_channel()
        if EXTENSION in layer.extensions:
            assert layer.keep_note(channel, SESSION, b"1:")
            return
        for call in (lambda: layer.keep_note(channel, SESSION, b"1:"), lambda: layer.read_note(channel, SESSION)):
            with pytest.raises(NotImplementedError, match="keeps no notes"):
                call()

    def test_a_note_is_read_by_all(self, noting: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """Under its own name and for its own connection."""
        channel, other = inbox.new_channel(), inbox.new_channel()
        assert peer.keep_note(channel, SESSION, b"1:\x00red")
        assert noting.keep_note(channel, HANDSHAKE, b"1:path")
        assert (noting.read_note(channel, SESSION), peer.read_note(channel, HANDSHAKE)) == (b"1:\x00red", b"1:path")
        assert (peer.read_note(other, SESSION), peer.read_note(other, HANDSHAKE)) == (None, None)

    def test_a_newer_note_wins(self, noting: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """Whoever writes first: an older one is refused, and so is another of the same version; the same is not."""
        channel = inbox.new_channel()
        assert peer.keep_note(channel, SESSION, b"9:nine")
        assert not noting.keep_note(channel, SESSION, b"8:eight")
        assert not noting.keep_note(channel, SESSION, b"9:other")
        assert noting.keep_note(channel, SESSION, b"9:nine")
        assert noting.keep_note(channel, SESSION, b"10:ten")
        assert not peer.keep_note(channel, SESSION, b"no version")
        assert peer.read_note(channel, SESSION) == b"10:ten"

    def test_one_of_many_writers_wins(self, noting: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """Of all that have read the same version, exactly one is told that its note was kept."""
        channel = inbox.new_channel()
        notes = [b"1:%d" % n for n in range(8)]
        layers = [noting, peer] * 4
        writers = [
            lambda layer=layer, note=note: layer.keep_note(channel, SESSION, note)
            for layer, note in zip(layers, notes, strict=True)
        ]
        (kept,) = (note for note, won in zip(notes, self.together(*writers), strict=True) if won)
        assert noting.read_note(channel, SESSION) == kept

    def test_the_holder_hears_of_sessions_in_order(
        self, noting: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox
    ) -> None:
        """Of those that were kept, among its other entries; of other notes it hears that there are some."""
        channel = inbox.new_channel()
        peer.keep_note(channel, SESSION, b"2:two")
        peer.keep_note(channel, SESSION, b"1:one")
        peer.keep_note(channel, HANDSHAKE, b"1:path")
        peer.write([done(channel, 1)])
        heard = [(envelope.kind, envelope.session) for _, envelope in self.read(inbox, 3)]
        assert heard == [(NOTE, b"2:two"), (NOTE, None), (DONE, None)]

    def test_a_session_at_the_end_of_an_event_is_kept(
        self, noting: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox
    ) -> None:
        """Also one that rides with the last reply; what comes too late arrives all the same, and is counted."""
        channel, other = inbox.new_channel(), inbox.new_channel()
        reply = peer.message(other, {})
        reply.token, reply.session = 1, b"1:with a reply"
        assert peer.write([reply, done(channel, 1, session=b"3:three")]) == []
        assert noting.read_note(channel, SESSION) == b"3:three"
        assert noting.read_note(other, SESSION) == b"1:with a reply"
        assert peer.write([done(channel, 2, session=b"2:two"), done(other, 2, session=b"2:done")]) == []
        assert noting.read_note(channel, SESSION) == b"3:three"
        assert noting.read_note(other, SESSION) == b"2:done"
        assert peer.losses.counts["session change lost"] == 1
        assert [(e.target, e.session) for _, e in self.read(inbox, 4)] == [
            (other, b"1:with a reply"),
            (channel, b"3:three"),
            (channel, b"2:two"),
            (other, b"2:done"),
        ]

    def test_notes_end_with_their_connection(
        self, noting: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox
    ) -> None:
        """Also those that are written later; the notes of others stay."""
        gone, stays = inbox.new_channel(), inbox.new_channel()
        for channel in (gone, stays):
            peer.keep_note(channel, SESSION, b"1:")
            peer.keep_note(channel, HANDSHAKE, b"1:")
        self.read(inbox, 4)
        inbox.forget(gone)
        inbox.beat()
        assert [peer.read_note(gone, name) for name in (SESSION, HANDSHAKE)] == [None, None]
        peer.keep_note(gone, SESSION, b"2:")
        peer.write([done(gone, 1, session=b"3:"), done(stays, 1)])
        self.read(inbox)
        inbox.beat()
        assert peer.read_note(gone, SESSION) is None
        assert peer.read_note(stays, HANDSHAKE) == b"1:"

    def test_notes_end_with_their_inbox(self, noting: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """A process that has ended leaves none, and nothing is kept for it any more, which is no loss."""
        channel = inbox.new_channel()
        peer.keep_note(channel, SESSION, b"1:")
        inbox.close()
        assert peer.read_note(channel, SESSION) is None
        assert peer.keep_note(channel, SESSION, b"2:")
        assert peer.read_note(channel, SESSION) is None
        assert not peer.losses.counts

    def test_sessions_outlive_the_memory_of_the_layer(
        self, noting: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox
    ) -> None:
        """The process that holds the connections has them kept again."""
        channel, other = inbox.new_channel(), inbox.new_channel()
        peer.keep_note(channel, SESSION, b"2:two")
        peer.keep_note(other, HANDSHAKE, b"1:path")
        self.read(inbox, 2)
        noting.flush()
        inbox.reannounce()
        assert peer.read_note(channel, SESSION) == b"2:two"
        peer.keep_note(channel, SESSION, b"3:three")
        inbox.reannounce()
        assert peer.read_note(channel, SESSION) == b"3:three"

    def test_only_connections_have_notes(self, noting: BaseChannelLayer) -> None:
        """A queue has none."""
        with pytest.raises(InvalidName, match="no reply channel"):
            noting.keep_note("queue", SESSION, b"1:")
        with pytest.raises(InvalidName, match="no reply channel"):
            noting.read_note("queue", SESSION)

    def test_coroutines_keep_and_read(self, noting: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """The twins do the same."""
        channel = noting.inbox(KIND).new_channel()

        async def main() -> None:
            assert await peer.akeep_note(channel, SESSION, b"2:two")
            assert not await peer.akeep_note(channel, SESSION, b"1:one")
            assert await noting.aread_note(channel, SESSION) == b"2:two"

        asyncio.run(asyncio.wait_for(main(), self.patience))
