"""Commands as bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from channel_layers.redis.protocol import PORTION, pack, pack_value, portions


@given(st.text(), st.binary(), st.integers(1, 10**9))
def test_a_long_value_is_packed_as_any_command(key: str, value: bytes, lifetime: int) -> None:
    """Byte by byte."""
    assert pack_value(key, value, lifetime) == pack("SET", key, value, "EX", lifetime)


@given(st.lists(st.integers(1, PORTION * 2), max_size=20))
def test_portions_are_all_that_is_said(sizes: list[int]) -> None:
    """In order, none empty, and none larger than it takes to be one."""
    commands = [bytes([number]) * size for number, size in enumerate(sizes)]
    written = list(portions(commands))
    assert b"".join(written) == b"".join(commands)
    assert all(0 < len(portion) < PORTION + max(sizes) for portion in written)


def test_little_is_written_at_once() -> None:
    """However many commands it is."""
    assert list(portions([b"a", b"b", b"c"])) == [b"abc"]
