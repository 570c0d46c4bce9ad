"""Who is let in: connections by number and address, handshakes in the order of their arrival."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daphne.admission import Connections, Handshakes, Refusal
from daphne.config import Config
from daphne.source import Address

CLIENT: Address = ("192.0.2.7", 1234)


def transport() -> asyncio.BaseTransport:
    """Return the transport of a connection."""
    return asyncio.BaseTransport()


def test_connections_are_limited_in_all() -> None:
    """One that is refused does not count; one that leaves makes room."""
    connections = Connections(Config(max_connections=2))
    first, second = transport(), transport()
    assert connections.enter(first, CLIENT) is connections.enter(second, None) is None
    refusal = Refusal(503, "2 connections are open already (max_connections)")
    assert connections.enter(transport(), CLIENT) == connections.enter(transport(), CLIENT) == refusal
    connections.leave(first)
    assert connections.enter(transport(), CLIENT) is None
    assert connections.count == 2


def test_connections_of_one_address_are_limited() -> None:
    """Others are not affected, nor are Unix sockets, which have no address."""
    connections = Connections(Config(max_connections_per_address=2))
    client = ("2001:db8::1", 1234)
    mine = [transport() for _ in range(2)]
    assert [connections.enter(each, client) for each in mine] == [None, None]
    expected = Refusal(429, "2001:db8::1 has 2 connections already (max_connections_per_address)")
    assert connections.enter(transport(), client) == expected
    others = {transport(): ("192.0.2.9", 1234), **{transport(): None for _ in range(5)}}
    assert [connections.enter(each, other) for each, other in others.items()] == [None] * 6
    connections.leave(mine[0])
    assert connections.enter(mine[0], client) is None
    for each in (*mine, *others):
        connections.leave(each)
    assert (connections.count, connections._by_address, connections._addresses) == (0, {}, {})


def test_a_connection_of_a_proxy_is_that_of_the_client_it_serves() -> None:
    """One client after another, and none in between; what it was charged for ends with it in any case."""
    connections = Connections(Config(max_connections_per_address=1))
    proxy, other = transport(), transport()
    assert connections.enter(proxy, None) is connections.enter(other, None) is None
    assert connections.charge(proxy, CLIENT) is None
    assert connections.charge(other, CLIENT) == Refusal(
        429, "192.0.2.7 has 1 connections already (max_connections_per_address)"
    )
    connections.discharge(proxy)
    connections.discharge(proxy)
    assert connections.charge(other, CLIENT) is connections.charge(proxy, ("192.0.2.9", 1)) is None
    connections.leave(proxy)
    connections.leave(other)
    assert (connections.count, connections._by_address, connections._addresses) == (0, {}, {})


def test_without_limits_everybody_is_let_in() -> None:
    """And no address is remembered."""
    connections = Connections(Config())
    assert [connections.enter(transport(), CLIENT) for _ in range(1000)] == [None] * 1000
    assert connections._addresses == {}


class Guest:
    """A handshake that writes down when its turn comes."""

    def __init__(self, name: int, came: list[int]) -> None:
        self.name = name
        self._came = came

    def proceed(self) -> None:
        self._came.append(self.name)


def test_handshakes_wait_in_order() -> None:
    """So many proceed at once, as many may wait, and one more is told what limits there are."""
    came: list[int] = []
    handshakes = Handshakes(Config(max_handshakes=2, max_waiting_handshakes=2))
    guests = [Guest(number, came) for number in range(5)]
    answers = [handshakes.enter(guest) for guest in guests]
    limits = "2 handshakes wait for a decision already (max_handshakes), 2 for their turn (max_waiting_handshakes)"
    assert answers == ["", "", "", "", limits]
    handshakes.leave(guests[4])
    assert (came, len(handshakes)) == ([0, 1], 4)
    handshakes.leave(guests[2])
    handshakes.leave(guests[1])
    assert (came, len(handshakes)) == ([0, 1, 3], 2)


@given(st.lists(st.integers(0, 30)), st.integers(1, 4), st.integers(0, 10))
def test_no_turn_is_lost(steps: list[int], limit: int, waiting: int) -> None:
    """Whoever comes and goes: never more than the limit proceed, in order, and nobody waits while there is room."""
    came: list[int] = []
    present: list[Guest] = []
    handshakes = Handshakes(Config(max_handshakes=limit, max_waiting_handshakes=waiting))
    for number, step in enumerate(steps):
        guest: Any = Guest(number, came)
        if step < 20 and not handshakes.enter(guest):
            present.append(guest)
        elif present:
            handshakes.leave(present.pop(step % len(present)))
        active = [guest for guest in present if guest.name in came]
        assert len(active) == min(limit, len(present))
        assert len(handshakes) == len(present)
    assert came == sorted(came)
