"""Conformance of bodies: pieces beside the inbox, a bounded number of bytes at a time."""

from __future__ import annotations

import asyncio

import pytest

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.body import PIECE_SIZE, ROOM
from channel_layers.conformance.harness import KIND, Harness, NewLayer, event
from channel_layers.envelope import MESSAGE, PIECE, Piece, read_piece
from channel_layers.exceptions import ChannelFull, ReaderGone
from channel_layers.inbox import Inbox


class BodyConformance(Harness):
    """Bodies that go round an inbox."""

    @pytest.fixture
    def reply(self, inbox: Inbox) -> str:
        """The reply channel of a request."""
        return inbox.new_channel()

    def pieces(self, inbox: Inbox, n: int) -> list[Piece]:
        """Return the next ``n`` pieces that are named in ``inbox``."""
        return [read_piece(envelope) for _, envelope in self.read(inbox, n) if envelope.kind == PIECE]

    def test_pieces_arrive_in_order_with_the_messages(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox, reply: str
    ) -> None:
        """Between the beginning and what follows; each is fetched once."""
        peer.send(reply, {"n": 1})
        body = peer.open_body(reply)
        body.write(b"one", True, self.patience)
        body.write(b"two", False, self.patience)
        peer.send(reply, {"n": 2})
        first, one, two, last = (envelope for _, envelope in self.read(inbox, 4))
        assert [codec.decode(e.content) for e in (first, last) if e.kind == MESSAGE] == [{"n": 1}, {"n": 2}]
        named = [read_piece(one), read_piece(two)]
        assert [(piece.size, piece.more_content) for piece in named] == [(3, True), (3, False)]
        assert [layer.fetch_piece(reply, piece) for piece in named] == [b"one", b"two"]
        assert layer.fetch_piece(reply, named[0]) is None

    def test_envelopes_leave_with_the_piece_behind_them(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox, reply: str
    ) -> None:
        """Messages to this channel, long ones too, and to groups and queues: in order, and the piece is the last."""
        peer.group_add("conformance", reply)
        body = peer.open_body(reply)
        beginning = peer.message(reply, {"n": bytes(64 * 1024)})
        before = [beginning, peer.group_message("conformance", {"n": 2}), peer.message("conformance.a", {"n": 3})]
        assert body.write(b"four", False, self.patience, before) == []
        first, second, last = (envelope for _, envelope in self.read(inbox, 3))
        assert [codec.decode(envelope.content)["n"] for envelope in (first, second)] == [bytes(64 * 1024), 2]
        assert layer.fetch_piece(reply, read_piece(last)) == b"four"
        assert self.receive(layer, "conformance.a") == ("conformance.a", {"n": 3})

    def test_refusals_are_returned_and_hold_up_nothing(self, new_layer: NewLayer) -> None:
        """Neither what else goes before the piece, nor the piece."""
        layer = new_layer(capacity=1)
        inbox = layer.open_inbox(KIND)
        reply = inbox.new_channel()
        before = [layer.message("conformance.a", {"n": 1}), layer.message("conformance.a", {"n": 2})]
        (refusal,) = layer.open_body(reply).write(b"x", False, self.patience, before)
        assert refusal.envelope is before[1]
        assert isinstance(refusal.error, ChannelFull)
        assert [layer.fetch_piece(reply, piece) for piece in self.pieces(inbox, 1)] == [b"x"]

    def test_a_piece_is_never_refused(self, new_layer: NewLayer) -> None:
        """Its room is beside the inbox: a full one refuses the message before it after its time, and not its name."""
        layer = new_layer(inbox_capacity=1, send_timeout=0)
        inbox = layer.open_inbox(KIND)
        reply = inbox.new_channel()
        layer.send(reply, {"n": 1})
        (refusal,) = layer.open_body(reply).write(b"x", True, 0, [layer.message(reply, {"n": 2})])
        assert refusal.envelope.kind == MESSAGE
        assert isinstance(refusal.error, ChannelFull)
        assert [envelope.kind for _, envelope in self.read(inbox, 2)] == [MESSAGE, PIECE]

    def test_a_writer_can_look_for_room(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox, reply: str
    ) -> None:
        """Without waiting, and without writing anything; where nobody reads on there is nothing to wait for."""
        body = peer.open_body(reply)
        body.wait_for_room(ROOM, 0)
        body.write(bytes(ROOM), True, 0)
        with pytest.raises(TimeoutError, match="no room for a piece"):
            body.wait_for_room(1, 0)
        (piece,) = self.pieces(inbox, 1)
        layer.fetch_piece(reply, piece)
        body.wait_for_room(ROOM, 0)
        body.write(bytes(ROOM), True, 0)
        layer.close_body(reply, self.pieces(inbox, 1))
        body.wait_for_room(1, 0)
        with pytest.raises(ReaderGone):
            body.write(b"x", True, 0)

    def test_what_goes_before_is_sent_also_for_a_client_that_has_gone(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox, reply: str
    ) -> None:
        """It may be for others; each of the pieces is dropped."""
        body = peer.open_body(reply)
        body.write(b"x", True, self.patience)
        layer.close_body(reply, self.pieces(inbox, 1))
        for n in range(2):
            with pytest.raises(ReaderGone):
                body.write(b"x", True, self.patience, [peer.message("conformance.a", {"n": n})])
            assert self.receive(layer, "conformance.a") == ("conformance.a", {"n": n})

    def test_a_writer_waits_for_room(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox, reply: str
    ) -> None:
        """No more than a bounded number of bytes waits, and everything arrives."""
        data = [bytes([n]) * PIECE_SIZE for n in range(3 * ROOM // PIECE_SIZE)]
        most = 0

        def write() -> None:
            body = peer.open_body(reply)
            for n, piece in enumerate(data, 1):
                body.write(piece, n < len(data), self.patience)

        def fetch() -> list[bytes | None]:
            nonlocal most
            found: list[bytes | None] = []
            while len(found) < len(data):
                waiting = self.pieces(inbox, 1)
                most = max(most, sum(piece.size for piece in waiting))
                found += [layer.fetch_piece(reply, piece) for piece in waiting]
            return found

        _, found = self.together(write, fetch)
        assert found == data
        assert most <= ROOM

    def test_a_writer_gives_up_without_room(self, peer: BaseChannelLayer, inbox: Inbox, reply: str) -> None:
        """After its time; a piece larger than all of the room is sent if nothing else waits."""
        body = peer.open_body(reply)
        body.write(bytes(2 * ROOM), True, 0.01)
        with pytest.raises(TimeoutError, match="no room for a piece"):
            body.write(b"x", False, 0.01)

    def test_a_writer_learns_that_nobody_reads(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox, reply: str
    ) -> None:
        """With its next piece, or while it waits for room."""
        body = peer.open_body(reply)
        body.write(bytes(ROOM), True, self.patience)

        def write() -> None:
            with pytest.raises(ReaderGone):
                body.write(b"x", True, self.patience)

        def close() -> None:
            (piece,) = self.pieces(inbox, 1)
            layer.close_body(reply, [piece])
            assert layer.fetch_piece(reply, piece) is None

        self.together(write, close)

    def test_coroutines_write_and_fetch(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox, reply: str
    ) -> None:
        """The twins do the same."""

        async def main() -> None:
            body = peer.open_body(reply)
            await body.awrite(b"one", True, self.patience)
            message = peer.message("conformance.a", {"n": 1})
            assert await body.awrite(b"two", True, self.patience, [message]) == []
            assert await layer.areceive(["conformance.a"], block=True) == ("conformance.a", {"n": 1})
            named = [read_piece(envelope) for _, envelope in await inbox.areceive()]
            while len(named) < 2:
                named += [read_piece(envelope) for _, envelope in await inbox.areceive()]
            assert await layer.afetch_piece(reply, named[0]) == b"one"
            await layer.aclose_body(reply, named[1:])
            with pytest.raises(ReaderGone):
                await body.awrite(bytes(ROOM), True, self.patience)

        asyncio.run(asyncio.wait_for(main(), self.patience))

    def test_a_writer_for_a_connection_that_is_gone_learns_it(
        self, peer: BaseChannelLayer, inbox: Inbox, reply: str
    ) -> None:
        """Though its first piece was on its way already: whoever reads the inbox refuses it."""
        body = peer.open_body(reply)
        body.write(bytes(ROOM), True, self.patience)
        inbox.forget(reply)
        assert inbox.receive(0) == []
        with pytest.raises(ReaderGone):
            body.write(b"x", False, self.patience)

    def test_a_queue_can_be_dropped(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """With all that waits in it, and it can be used again."""
        layer.write([event("conformance.a?1", "conformance.reply.x!1", n) for n in range(3)])
        peer.drop_queue("conformance.a?1")
        assert layer.depth("conformance.a?1") == 0
        layer.send("conformance.a?1", {"n": 1})
        assert self.receive(peer, "conformance.a?1")[1] == {"n": 1}
        asyncio.run(peer.adrop_queue("conformance.b"))
