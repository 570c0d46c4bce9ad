"""Conformance of readers: one queue, in order, to its end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import Harness, drained, event
from channel_layers.reader import AHEAD, Reader

QUEUE = "conformance.a?1"


class ReaderConformance(Harness):
    """Readers of a queue that is theirs alone."""

    @pytest.fixture
    def reader(self, layer: BaseChannelLayer) -> Iterator[Reader]:
        """A reader up to the message that says it is the last."""
        reader = layer.open_reader(QUEUE, lambda content: "last" in content)
        yield reader
        reader.close()

    def next(self, reader: Reader) -> dict[str, Any]:
        """Return the next message of ``reader``."""
        return self._until(lambda: reader.receive(self._wait))

    def test_a_reader_reads_in_order(self, peer: BaseChannelLayer, reader: Reader, owner: str) -> None:
        """Whatever waits and whatever comes, and each is settled for its owner."""
        sent = [event(QUEUE, owner, token, n=token) for token in range(1, 3 * AHEAD)]
        peer.write(sent[:AHEAD])
        found = [self.next(reader)["n"]]
        for behind in sent[AHEAD:]:
            peer.write([behind])
            found.append(self.next(reader)["n"])
        while len(found) < len(sent):
            found.append(self.next(reader)["n"])
        assert found == [envelope.token for envelope in sent]
        assert peer.find_lost(sent) == sent
        assert peer.losses.counts.total() == 0

    def test_a_reader_waits(self, peer: BaseChannelLayer, reader: Reader) -> None:
        """For the first message and for each that follows, and as long as it may."""
        assert self.together(partial(reader.receive, 0)) == [None]
        for n in range(3):
            content, _ = self.together(partial(self.next, reader), partial(peer.send, QUEUE, {"n": n}))
            assert content == {"n": n}
            assert self.together(partial(reader.receive, 0.01)) == [None]

    def test_a_reader_that_is_closed_leaves_no_more_than_was_there(
        self, layer: BaseChannelLayer, reader: Reader
    ) -> None:
        """What it has asked for is settled, and not put where nobody reads; to close it twice is no error."""
        layer.send_many([(QUEUE, {"n": n}) for n in range(3 * AHEAD)])
        assert self.next(reader) == {"n": 0}
        reader.close()
        reader.close()
        assert [content["n"] for _, content in drained(layer, QUEUE)] == list(range(2 * AHEAD, 3 * AHEAD))
        assert layer.losses.counts.total() == 0

    def test_a_reader_of_a_queue_that_was_dropped_leaves_nothing(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, reader: Reader
    ) -> None:
        """As of a request that was answered before its body was read."""
        layer.send_many([(QUEUE, {"n": n}) for n in range(3 * AHEAD)])
        assert self.next(reader) == {"n": 0}
        peer.drop_queue(QUEUE)
        reader.close()
        assert peer.depth(QUEUE) == 0

    def test_a_reader_asks_for_nothing_behind_the_end(self, layer: BaseChannelLayer, reader: Reader) -> None:
        """What comes there is somebody else's."""
        layer.send(QUEUE, {"last": True})
        assert self.next(reader) == {"last": True}
        layer.send(QUEUE, {"n": 1})
        assert [content for _, content in drained(layer, QUEUE)] == [{"n": 1}]
