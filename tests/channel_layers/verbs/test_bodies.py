from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from channel_layers.body import BodyWriter
from channel_layers.envelope import Piece
from channel_layers.verbs.bodies import BodyVerbs


class Bodies(BodyVerbs):
    """Remembers what it was asked, and by which thread."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Sequence[Piece], int]] = []

    def open_body(self, channel: str) -> BodyWriter:
        raise NotImplementedError

    def fetch_piece(self, channel: str, piece: Piece) -> bytes | None:
        self.asked.append((channel, [piece], threading.get_ident()))
        return b"fetched"

    def close_body(self, channel: str, unread: Sequence[Piece] = ()) -> None:
        self.asked.append((channel, unread, threading.get_ident()))


def test_twins_take_a_thread() -> None:
    """A backend whose verbs wait for its store holds up no event loop."""
    bodies, piece = Bodies(), Piece("1", 7)

    async def main() -> bytes | None:
        await bodies.aclose_body("x!2", [piece])
        return await bodies.afetch_piece("x!1", piece)

    assert asyncio.run(main()) == b"fetched"
    assert [(channel, pieces) for channel, pieces, _ in bodies.asked] == [("x!2", [piece]), ("x!1", [piece])]
    assert threading.get_ident() not in {thread for _, _, thread in bodies.asked}
