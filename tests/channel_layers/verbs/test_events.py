from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from channel_layers.envelope import EVENT, Envelope
from channel_layers.verbs.events import EventVerbs


class Events(EventVerbs):
    """Has lost everything, and remembers which threads have asked."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def find_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        self.threads.add(threading.get_ident())
        return list(envelopes)

    def retract(self, envelope: Envelope) -> bool:
        self.threads.add(threading.get_ident())
        return envelope.token == 1


def test_twins_take_a_thread() -> None:
    """A backend whose verbs wait for its store holds up no event loop."""
    events, first, second = Events(), Envelope(EVENT, "a", token=1), Envelope(EVENT, "a", token=2)

    async def main() -> tuple[list[Envelope], bool, bool]:
        return await events.afind_lost([first]), await events.aretract(first), await events.aretract(second)

    assert asyncio.run(main()) == ([first], True, False)
    assert threading.get_ident() not in events.threads
