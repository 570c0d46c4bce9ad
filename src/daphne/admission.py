"""Who is let in: connections, in all and by address, and handshakes, so many of them at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple, Protocol

from daphne.config import Config
from daphne.source import Address


class Refusal(NamedTuple):
    """Why a connection is not served: ``status`` to answer with, and a sentence for the log."""

    status: int
    reason: str


class Connections:
    """Counts the connections of one server, and those of each client. ``count`` are those that were admitted."""

    def __init__(self, config: Config) -> None:
        self.count = 0
        self._max = config.max_connections
        self._max_of_address = config.max_connections_per_address
        self._by_address: Counter[str] = Counter()
        self._addresses: dict[asyncio.BaseTransport, str] = {}

    def enter(self, transport: asyncio.BaseTransport, client: Address) -> Refusal | None:
        """Admit a connection of ``client``, or say why not; one that is refused must not leave."""
        if self._max and self.count >= self._max:
            return Refusal(503, f"{self.count} connections are open already (max_connections)")
        refusal = self.charge(transport, client)
        if refusal is None:
            self.count += 1
        return refusal

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """An admitted connection has ended."""
        self.count -= 1
        self.discharge(transport)

    def charge(self, transport: asyncio.BaseTransport, client: Address) -> Refusal | None:
        """Count a connection for ``client``, or say why not: a proxy's is that of the client it serves at present."""
        if client is None or not self._max_of_address:
            return None
        address = client[0]
        if self._by_address[address] >= self._max_of_address:
            held = f"{address} has {self._by_address[address]} connections already"
            return Refusal(429, f"{held} (max_connections_per_address)")
        self._by_address[address] += 1
        self._addresses[transport] = address
        return None

    def discharge(self, transport: asyncio.BaseTransport) -> None:
        """A connection is no client's any more."""
        address = self._addresses.pop(transport, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class Waiting(Protocol):
    """A handshake that waits for its turn."""

    def proceed(self) -> None:
        """It is its turn."""


class Handshakes:
    """Undecided handshakes: of so many the application has been asked, the others wait for their turn in order."""

    def __init__(self, config: Config) -> None:
        self._max = config.max_handshakes
        self._max_waiting = config.max_waiting_handshakes
        self._in_flight: set[Waiting] = set()
        self._waiting: dict[Waiting, None] = {}

    def __len__(self) -> int:
        return len(self._in_flight) + len(self._waiting)

    def enter(self, handshake: Waiting) -> str:
        """Let a handshake proceed, now or when others have ended; return why neither is possible, or ``""``."""
        if len(self._in_flight) < self._max:
            self._proceed(handshake)
        elif len(self._waiting) < self._max_waiting:
            self._waiting[handshake] = None
        else:
            return (
                f"{self._max} handshakes wait for a decision already (max_handshakes), "
                f"{self._max_waiting} for their turn (max_waiting_handshakes)"
            )
        return ""

    def leave(self, handshake: Waiting) -> None:
        """A handshake has ended, whatever it waited for; another may proceed."""
        self._waiting.pop(handshake, None)
        self._in_flight.discard(handshake)
        while self._waiting and len(self._in_flight) < self._max:
            following = next(iter(self._waiting))
            del self._waiting[following]
            self._proceed(following)

    def _proceed(self, handshake: Waiting) -> None:
        self._in_flight.add(handshake)
        handshake.proceed()
