from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daphne.grammar import is_token, length_of, show


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"X-Case_1", True), (b"!#$%&'*+-.^_`|~", True), (b"", False), (b"a b", False), (b"a:", False), (b"\xe9", False)],
)
def test_what_a_token_is(value: bytes, expected: bool) -> None:
    """At least one letter, digit or mark of those that separate nothing."""
    assert is_token(value) is expected


@given(st.integers(0, 10**18 - 1))
def test_a_length_is_a_number(length: int) -> None:
    """In decimal digits, however many zeros stand before it."""
    assert length_of(b"%d" % length) == length
    assert length_of(b"%018d" % length) == length


@pytest.mark.parametrize("value", [b"", b"+1", b"-1", b"1 ", b"1,1", b"0x1", b"1_0", "²".encode(), b"1" * 19])
def test_what_is_no_length_is_refused(value: bytes) -> None:
    """Another parser might read it, and another number."""
    with pytest.raises(ValueError, match=r"^Content-Length .* is not one number of up to 18 digits\.$"):
        length_of(value)


@given(st.binary())
def test_show_is_short_and_printable(value: bytes) -> None:
    """What a client has sent can neither flood nor forge a log line."""
    assert show(value).isprintable()
    assert len(show(value)) <= 2 + 4 * 64
