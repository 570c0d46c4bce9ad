from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from channel_layers.envelope import MESSAGE, Envelope
from channel_layers.exceptions import LayerUnavailable
from channel_layers.slot import Refused
from channel_layers.verbs.writing import WriteVerbs


class Writing(WriteVerbs):
    """Refuses what is for ``full``, fails with what is for ``away``; the first write waits until it may go on."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.may_go_on = threading.Event()

    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        assert self.may_go_on.wait(10)
        self.written += [envelope.target for envelope in envelopes]
        if self.written[-1] == "away":
            raise LayerUnavailable
        return [Refused(envelope, ValueError()) for envelope in envelopes if envelope.target == "full"]


@pytest.fixture
def writing() -> Writing:
    """Verbs whose writes wait for a thread."""
    return Writing()


def told(writing: Writing, *targets: str) -> list[tuple[list[str], type[Exception] | None]]:
    """Start a write for each of ``targets`` at once, in a loop of their own; return what was told of each, in order."""
    outcomes: list[tuple[list[str], type[Exception] | None]] = []

    async def main() -> None:
        all_told = asyncio.Event()

        def written(refused: list[Refused], error: Exception | None) -> None:
            outcomes.append(([each.envelope.target for each in refused], type(error) if error else None))
            if len(outcomes) == len(targets):
                all_told.set()

        for target in targets:
            writing.start_write([Envelope(MESSAGE, target)], written)
        writing.may_go_on.set()
        async with asyncio.timeout(10):
            await all_told.wait()

    asyncio.run(main())
    return outcomes


def test_writes_that_nobody_waits_for_keep_their_order(writing: Writing) -> None:
    """Each has a thread, and yet none passes the one before; a refusal or an error is told, and holds up no other."""
    assert told(writing, "a", "full", "away", "b") == [([], None), (["full"], None), ([], LayerUnavailable), ([], None)]
    assert writing.written == ["a", "full", "away", "b"]


def test_a_write_waits_for_none_of_another_loop(writing: Writing) -> None:
    """What was started in a loop that has ended is over, however it ended."""
    assert told(writing, "a") == told(writing, "b") == [([], None)]
    assert writing.written == ["a", "b"]
