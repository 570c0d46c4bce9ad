"""What the load sends and understands, with ``websockets`` as the second opinion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from benchmarks import profiles
from benchmarks.load import frames, http
from benchmarks.load.control import LoadError
from benchmarks.load.spec import Spec, Watch
from benchmarks.redis_client import count


@given(st.binary(max_size=70_000))
def test_frames_of_the_load_are_those_of_a_client(payload: bytes) -> None:
    """A server reads what was sent."""
    server = Protocol(Side.SERVER, max_size=None)
    server.receive_data(frames.masked(frames.BINARY, payload))
    assert [event.data for event in server.events_received() if isinstance(event, Frame)] == [payload]


@given(st.lists(st.binary(max_size=300)), st.integers(0, 20))
def test_frames_of_a_server_are_split(payloads: list[bytes], cut: int) -> None:
    """Whole frames are found, and what is left of the last one."""
    data = b"".join(Frame(Opcode.BINARY, payload).serialize(mask=False) for payload in payloads)
    whole, rest = frames.split(data[: len(data) - cut])
    again, nothing = frames.split(rest + data[len(data) - cut :] if cut else rest)
    assert [payload for _, payload in whole + again] == payloads
    assert nothing == b""
    assert [frames.unmasked(opcode, payload) for opcode, payload in whole + again] == [
        Frame(Opcode.BINARY, payload).serialize(mask=False) for payload in payloads
    ]


def test_fragments_are_refused() -> None:
    """A frame that is not the whole message would be counted as one."""
    with pytest.raises(ValueError, match="fragment"):
        frames.split(Frame(Opcode.TEXT, b"x", fin=False).serialize(mask=False))


def test_a_response_is_complete_when_its_length_has_come() -> None:
    """In parts, chunked or not; the next one of the same length is known at once."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    response = http.Response(5)
    assert [response.feed(whole[:10]), response.feed(whole[10:]), response.feed(whole)] == [False, True, True]
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    assert http.Response(5).feed(chunked)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "closed a connection"),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "answered HTTP/1.1 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell", "another response was expected"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no length"),
    ],
)
def test_any_other_response_is_an_error(data: bytes, reason: str) -> None:
    """A figure counts only if everybody was given what was asked for."""
    with pytest.raises(LoadError, match=reason):
        http.Response(5).feed(data)


def test_a_load_is_described_in_json() -> None:
    """What the harness writes is what a process reads."""
    spec, watch = Spec(mode="echo", ports=(1, 2), rate=2.5), Watch(cores=(0, 1), roles={"server": [7]})
    assert Spec.loads(spec.dumps()) == spec
    assert Watch.loads(watch.dumps()) == watch


def test_commands_of_scripts_are_told_from_those_that_were_sent() -> None:
    """Lines of MONITOR, of which one was given by a script."""
    lines = [
        b'+1700000000.000001 [0 127.0.0.1:50000] "EVALSHA" "abc" "1"',
        b'+1700000000.000002 [0 lua] "lpush" "key" "value"',
        b'+1700000000.000003 [0 unix:/tmp/redis.sock] "evalsha" "abc"',
        b'+1700000000.000004 [0 127.0.0.1:50001] "ECHO" "end of the window"',
    ]
    assert count(lines) == {"evalsha": 2}


def test_samples_are_counted_by_function() -> None:
    """Lines of a function are one function; one that is on a stack twice counts once."""
    lines = ["main (m.py:1);f (m.py:5);f (m.py:6) 3", "main (m.py:2) 1"]
    text = profiles.report(lines)
    assert "4 samples" in text
    assert "75.0%  f (m.py)" in text
    assert "100.0%  main (m.py)" in text
