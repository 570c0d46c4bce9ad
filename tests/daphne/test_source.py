"""What a request is called."""

from __future__ import annotations

import pytest

from daphne.source import REQUEST_ID, Headers, Source, identified

HOST = (b"host", b"a")


def ids(headers: Headers) -> list[bytes]:
    """Return the ids among the headers."""
    return [value for name, value in headers if name == REQUEST_ID]


@pytest.mark.parametrize("brought", [b"3f9a", b"a" * 128, b"0194b-7c2e:A/1+2=.@_"])
def test_an_id_that_is_brought_along_is_kept(brought: bytes) -> None:
    """Where it is to be believed; the headers are what they were."""
    source, headers = Source(None), [HOST, (REQUEST_ID, brought)]
    assert identified(headers, source, believed=True) is headers
    assert source.request_id == brought.decode()


@pytest.mark.parametrize("brought", [[b""], [b"a" * 129], [b"a b"], [b'a"'], [b"\xe9"], [b"a", b"b"], [b"a", b"a"], []])
def test_an_id_that_is_none_is_replaced(brought: list[bytes]) -> None:
    """Too long, of other characters, or not one: the application sees the new one alone."""
    source = Source(None)
    headers = identified([HOST, *((REQUEST_ID, value) for value in brought)], source, believed=True)
    assert ids(headers) == [source.request_id.encode()]
    assert len(source.request_id) == 32
    assert headers[0] == HOST


def test_an_id_of_a_stranger_is_replaced() -> None:
    """It would be found in the log beside those of others."""
    source = Source(None)
    headers = identified([(REQUEST_ID, b"3f9a")], source, believed=False)
    assert ids(headers) == [source.request_id.encode()] != [b"3f9a"]


def test_no_two_requests_are_called_the_same() -> None:
    """Whatever else they have in common."""
    sources = [Source(None) for _ in range(100)]
    for source in sources:
        identified([HOST], source, believed=True)
    assert len({source.request_id for source in sources}) == 100


def test_what_a_connection_knows_is_copied_for_each_request() -> None:
    """Where it comes from, not what the one before it was called."""
    source = Source(("192.0.2.7", 1), ("192.0.2.1", 2), True, "3f9a", "/app")
    assert source.copy() == Source(("192.0.2.7", 1), ("192.0.2.1", 2), True, root_path="/app")
