"""Group messages: frames that are made once, and what each group's policy is."""

from __future__ import annotations

import pytest

from daphne.broadcast import CLOSE, COALESCE, DROP_OLDEST, MAX_SHARE_SIZE, Broadcast, Share, WritePolicies, data_frame
from daphne.compression import Deflater

LONG = "hello " * 100


class Counting(Deflater):
    calls = 0

    def deflate(self, payload: bytes) -> bytes | None:
        self.calls += 1
        return super().deflate(payload)


def test_data_become_a_frame() -> None:
    """Text or bytes, as they are or compressed; a message with neither has no frame."""
    deflater = Deflater(12, 1, 256)
    assert data_frame({"text": "é"}) == data_frame({"text": "é"}, deflater) == b"\x81\x02\xc3\xa9"
    assert data_frame({"bytes": b"\0"}) == data_frame({"bytes": b"\0"}, deflater) == b"\x82\x01\0"
    assert data_frame({"close": True}) is None
    compressed = data_frame({"text": LONG}, deflater)
    assert compressed is not None
    assert (compressed[0], len(compressed) < 100) == (0xC1, True)
    binary = data_frame({"bytes": LONG.encode()}, deflater)
    assert binary is not None
    assert (binary[0], binary[1:]) == (0xC2, compressed[1:])


def test_a_message_is_compressed_once_for_all_members_of_a_window() -> None:
    """However many ask for it."""
    small, large = Counting(9, 1, 0), Counting(15, 1, 0)
    broadcast = Broadcast("all", {"text": LONG}, data_frame({"text": LONG}))
    frames = {broadcast.deflated(deflater) for deflater in (small, large) for _ in range(50)}
    assert (small.calls, large.calls) == (1, 1)
    assert all(frame is not None and frame[0] == 0xC1 for frame in frames)


def test_a_message_without_data_has_no_frame_for_anybody() -> None:
    """A group message may do nothing but close."""
    broadcast = Broadcast("all", {"close": True}, None)
    assert broadcast.deflated(Deflater(12, 1, 0)) is None


def sent_to_all(**content: object) -> Broadcast:
    """Return a message to the group ``all``."""
    return Broadcast("all", content, data_frame(content))


def test_a_share_is_all_frames_in_order_made_once() -> None:
    """As they are, and compressed for each window."""
    one, two = sent_to_all(text=LONG), sent_to_all(bytes=b"two")
    share, deflater = Share((one, two)), Counting(12, 1, 16)
    plain = share.frames(None)
    assert plain == (one.frame or b"") + b"\x82\x03two"
    assert share.frames(None) is plain
    compressed = share.frames(deflater)
    assert compressed == (one.deflated(deflater) or b"") + b"\x82\x03two"
    assert share.frames(deflater) is compressed
    assert len(compressed) < len(plain)
    assert deflater.calls == len(share.broadcasts)


@pytest.mark.parametrize(
    "other",
    [sent_to_all(text="bye", close=4000), sent_to_all(close=True), sent_to_all(bytes=bytes(MAX_SHARE_SIZE))],
    ids=["closes and has data", "closes", "long"],
)
def test_what_has_to_be_written_alone_is_in_no_piece_with_others(other: Broadcast) -> None:
    """A message that closes is acted on in its turn; a long one would be copied, and could not be dropped any more."""
    assert Share((sent_to_all(text="hello"), other)).frames(None) == b""


def test_the_first_policy_that_matches_counts() -> None:
    """Patterns are shell globs for the whole name, case as written."""
    policies = WritePolicies([("prices-*", COALESCE), ("prices-eur", CLOSE), ("cursor-[ab]", DROP_OLDEST)])
    groups = ("prices-eur", "cursor-a", "cursor-c", "Prices-eur", "a prices-eur", "cursor-a2", "prices-\n")
    expected = (COALESCE, DROP_OLDEST, CLOSE, CLOSE, CLOSE, CLOSE, COALESCE)
    assert tuple(map(policies.of, groups)) == expected
    assert WritePolicies().of("any") == CLOSE


def test_a_policy_that_does_not_exist_is_refused() -> None:
    """The error names those that do."""
    with pytest.raises(ValueError, match="a write policy is close, drop-oldest, coalesce; there is no 'drop'"):
        WritePolicies([("a", "drop")])
