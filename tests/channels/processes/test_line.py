"""The line between a process and its parent."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.processes import line
from channels.processes.line import Parent

PATIENCE = 10.0

words = st.from_regex(r"[a-z]+", fullmatch=True)
details = st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1)).map(" ".join)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Parent]]:
    """Both ends: the parent's, and what the child has of it."""
    ours, theirs = socket.socketpair()
    parent = Parent(theirs.detach())
    yield ours, parent
    ours.close()
    parent.close()


@given(word=words, detail=details)
def test_what_is_said_is_heard(word: str, detail: str) -> None:
    """A word, and a text of one line."""
    said = line.encode(word, detail)
    assert said.count(b"\n") == 1
    assert line.decode(said) == (word, detail)


def test_a_line_is_one_line() -> None:
    """Whatever is in the detail; bytes of a path that are no UTF-8 survive."""
    assert line.encode("changed", "one\ntwo\r\n three") == b"changed one two three\n"
    assert line.decode(line.encode("changed", os.fsdecode(b"/srv/\xff.py"))) == ("changed", "/srv/\udcff.py")
    assert line.decode(b"ready\n") == ("ready", "")


def test_a_child_speaks(ends: tuple[socket.socket, Parent]) -> None:
    """Its parent hears it."""
    ours, parent = ends
    parent.say(line.READY, "w1")
    assert ours.recv(64) == b"ready w1\n"


def test_nobody_has_to_listen(ends: tuple[socket.socket, Parent]) -> None:
    """A child that outlives its parent has no error from that."""
    ours, parent = ends
    ours.close()
    for _ in range(3):
        parent.say(line.READY)


def test_a_child_learns_that_its_parent_has_gone(ends: tuple[socket.socket, Parent]) -> None:
    """From the end of the line, not from what is said on it."""
    ours, parent = ends
    ended = threading.Event()
    parent.watch(ended.set)
    ours.send(b"hello")
    assert not ended.is_set()
    ours.close()
    assert ended.wait(PATIENCE)


def test_a_line_that_was_given_up_says_nothing(ends: tuple[socket.socket, Parent]) -> None:
    """The end of the parent is not heard of then."""
    _, parent = ends
    ended = threading.Event()
    parent.watch(ended.set)
    [waiting] = [thread for thread in threading.enumerate() if thread.name == "channels-parent"]
    parent.close()
    waiting.join(PATIENCE)
    assert (waiting.is_alive(), ended.is_set()) == (False, False)


def test_grandchildren_do_not_keep_the_line_open(ends: tuple[socket.socket, Parent]) -> None:
    """What a consumer starts does not inherit it."""
    ours, theirs = socket.socketpair()
    os.set_inheritable(theirs.fileno(), True)
    descriptor = theirs.detach()
    parent = Parent(descriptor)
    assert not os.get_inheritable(descriptor)
    parent.close()
    ours.close()


def test_the_end_of_the_parent_is_a_request_to_end() -> None:
    """The same as a supervisor's."""
    received: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        line.end_this_process()
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert received == [signal.SIGTERM]
