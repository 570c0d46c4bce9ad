"""Conformance of turns: messages of a connection that no lane keeps in order. Skipped without that extension."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import Harness, drained
from channel_layers.turns import (
    END,
    EXTENSION,
    FREE,
    HELD,
    LEASE,
    MAX_HELD,
    NOW,
    PAST,
    RENEW,
    RETURN,
    SKIP,
    TAKE,
    Outcome,
    Step,
)

CHANNEL = "conformance.reply.elsewhere!1"
PATIENCE = 5.0


class TurnConformance(Harness):
    """Whose turn it is, who waits, and what is skipped."""

    @pytest.fixture
    def turns(self, layer: BaseChannelLayer) -> BaseChannelLayer:
        """:meth:`layer`, if it keeps turns."""
        if EXTENSION not in layer.extensions:
            pytest.skip("this layer keeps no turns")
        return layer

    def test_a_layer_says_whether_it_keeps_turns(self, layer: BaseChannelLayer) -> None:
        """One that has not the extension refuses, in place of letting everything pass."""
        if EXTENSION in layer.extensions:
            assert took(layer, 0) == NOW
            return
        with pytest.raises(NotImplementedError, match="keeps no turns"):
            took(layer, 0)

    def test_messages_have_their_turn_one_after_the_other(
        self, turns: BaseChannelLayer, peer: BaseChannelLayer
    ) -> None:
        """What comes too early is held, and sent again when those before it are done."""
        assert [took(turns, 2), took(peer, 1), took(turns, 0)] == [HELD, HELD, NOW]
        assert sent_again(turns) == []
        end(turns, 0)
        assert sent_again(turns) == [1]
        assert took(peer, 1) == NOW
        end(peer, 1)
        assert sent_again(peer) == [2]
        assert took(turns, 2) == NOW
        end(turns, 2)
        assert took(turns, 3) == NOW

    def test_connections_have_turns_of_their_own(self, turns: BaseChannelLayer) -> None:
        """One that waits keeps no other waiting."""
        assert took(turns, 1) == HELD
        assert took(turns, 0, channel=CHANNEL + "2") == NOW
        end(turns, 0, channel=CHANNEL + "2")
        assert sent_again(turns) == []

    def test_a_message_is_handled_once(self, turns: BaseChannelLayer) -> None:
        """A second one with its number, or one whose turn is over, has no turn."""
        assert [took(turns, 0), took(turns, 0), took(turns, 1), took(turns, 1)] == [NOW, PAST, HELD, PAST]
        end(turns, 0)
        assert sent_again(turns) == [1]
        assert took(turns, 0) == PAST

    def test_what_wants_to_come_again_has_its_turn_then(self, turns: BaseChannelLayer) -> None:
        """Nothing behind it is let go before."""
        assert [took(turns, 0), took(turns, 1)] == [NOW, HELD]
        turns.turn(Step(RETURN, CHANNEL, 0))
        assert sent_again(turns) == []
        assert took(turns, 0) == NOW

    def test_with_slight_order_all_but_the_first_go_together(self, turns: BaseChannelLayer) -> None:
        """They wait for message 0 alone."""
        assert [took(turns, n, slight=True) for n in (2, 1, 0)] == [HELD, HELD, NOW]
        end(turns, 0, slight=True)
        assert sorted(sent_again(turns)) == [1, 2]
        assert [took(turns, n, slight=True) for n in (2, 7, 0)] == [NOW, NOW, NOW]

    def test_what_is_missing_is_skipped_in_time(self, turns: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """A dropped message keeps nobody waiting for ever; if it comes at last its turn is over."""
        assert took(turns, 3) == HELD
        assert 0 < (skip(turns).wait or 0) <= PATIENCE
        self.advance(PATIENCE)
        assert skip(peer) == Outcome(skipped=3)
        assert sent_again(turns) == [3]
        assert [took(turns, 3), took(turns, 1)] == [NOW, PAST]
        end(turns, 3)
        assert took(turns, 4) == NOW

    def test_with_slight_order_a_missing_first_is_skipped_for_all(self, turns: BaseChannelLayer) -> None:
        """Its absence is waited for once."""
        assert [took(turns, n, slight=True) for n in (1, 2)] == [HELD, HELD]
        self.advance(PATIENCE)
        assert skip(turns, slight=True) == Outcome(skipped=1)
        assert sorted(sent_again(turns)) == [1, 2]
        assert took(turns, 3, slight=True) == NOW

    def test_the_next_message_skips_what_is_missing_too(self, turns: BaseChannelLayer) -> None:
        """Whoever would have done it may have died."""
        assert took(turns, 2) == HELD
        self.advance(PATIENCE)
        assert turns.turn(step(turns, TAKE, 5)) == Outcome(HELD, PATIENCE, skipped=2)
        assert sent_again(turns) == [2]

    def test_progress_is_not_held_against_those_who_wait(self, turns: BaseChannelLayer) -> None:
        """The time for what is missing begins when nothing else is to be waited for."""
        assert [took(turns, 0), took(turns, 2)] == [NOW, HELD]
        self.advance(PATIENCE)
        assert skip(turns).wait == PATIENCE
        end(turns, 0)
        assert 0 < (skip(turns).wait or 0) <= PATIENCE
        assert sent_again(turns) == []

    def test_a_turn_that_is_neither_ended_nor_renewed_is_over(self, turns: BaseChannelLayer) -> None:
        """Its worker has died; one that takes long says that it lives."""
        assert [took(turns, 0), took(turns, 1)] == [NOW, HELD]
        self.advance(LEASE - 1)
        turns.turn(Step(RENEW, CHANNEL, 0))
        self.advance(LEASE - 1)
        assert (skip(turns).wait, sent_again(turns)) == (PATIENCE, [])
        self.advance(1)
        assert skip(turns) == Outcome(skipped=1)
        assert sent_again(turns) == [1]
        assert took(turns, 1) == NOW
        end(turns, 0)  # the one that was taken for dead
        turns.turn(Step(RENEW, CHANNEL, 0))
        assert took(turns, 2) == HELD

    def test_one_skip_is_enough(self, turns: BaseChannelLayer) -> None:
        """Of several that look after the same messages, the first goes on, and the others wait with the rest."""
        assert [took(turns, n) for n in (2, 5)] == [HELD, HELD]
        self.advance(PATIENCE)
        assert skip(turns) == Outcome(wait=PATIENCE, skipped=2)
        again = skip(turns)
        assert (0 < (again.wait or 0) <= PATIENCE, again.skipped) == (True, 0)
        assert sent_again(turns) == [2]

    def test_nobody_waits_with_nothing_held(self, turns: BaseChannelLayer) -> None:
        """There is nothing to look after."""
        assert skip(turns) == Outcome()
        assert took(turns, 0) == NOW
        assert skip(turns) == Outcome()

    def test_too_many_are_not_held(self, turns: BaseChannelLayer) -> None:
        """With more than a bounded number what is missing is skipped at once."""
        outcomes = [turns.turn(step(turns, TAKE, n)) for n in range(1, MAX_HELD + 2)]
        assert {outcome.verdict for outcome in outcomes} == {HELD}
        assert [outcome.skipped for outcome in outcomes] == [0] * MAX_HELD + [1]
        assert sent_again(turns) == [1]

    def test_what_is_held_can_be_freed(self, turns: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """A worker that ends leaves it to others, who will hold it again."""
        assert [took(turns, n) for n in (2, 1)] == [HELD, HELD]
        assert turns.turn(Step(FREE, CHANNEL)) == Outcome()
        assert sorted(sent_again(peer)) == [1, 2]
        assert [took(peer, 2), took(peer, 0)] == [HELD, NOW]

    def test_a_full_queue_takes_what_was_held(self, turns: BaseChannelLayer) -> None:
        """It has been accepted once."""
        assert took(turns, 1) == HELD
        turns.send_many([("work", {"order": 100})] * turns.capacity)
        assert took(turns, 0) == NOW
        end(turns, 0)
        assert sent_again(turns)[-1] == 1

    def test_of_all_that_come_at_once_one_has_its_turn(self, turns: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """However many workers ask at the same time."""
        verdicts = self.together(*(lambda i=i: took((turns, peer)[i % 2], i // 2) for i in range(8)))
        assert sorted(verdicts) == [HELD] * 3 + [NOW] + [PAST] * 4

    def test_a_flush_forgets_turns(self, turns: BaseChannelLayer) -> None:
        """With everything else."""
        assert [took(turns, 0), took(turns, 1)] == [NOW, HELD]
        turns.flush()
        assert took(turns, 0) == NOW

    def test_coroutines_have_turns(self, turns: BaseChannelLayer) -> None:
        """The twin does the same."""

        async def main() -> None:
            assert (await turns.aturn(step(turns, TAKE, 1))).verdict == HELD
            assert (await turns.aturn(step(turns, TAKE, 0))).verdict == NOW
            await turns.aturn(Step(END, CHANNEL, 0))

        asyncio.run(asyncio.wait_for(main(), self.patience))
        assert sent_again(turns) == [1]


def step(layer: BaseChannelLayer, action: str, order: int, slight: bool = False, channel: str = CHANNEL) -> Step:
    """Return a step with a message that knows its number."""
    return Step(action, channel, order, slight, layer.message("work", {"order": order}), PATIENCE)


def took(layer: BaseChannelLayer, order: int, slight: bool = False, channel: str = CHANNEL) -> str:
    """Return whether it is the turn of the message ``order``."""
    return layer.turn(step(layer, TAKE, order, slight, channel)).verdict


def end(layer: BaseChannelLayer, order: int, slight: bool = False, channel: str = CHANNEL) -> None:
    """The message was handled."""
    layer.turn(Step(END, channel, order, slight))


def skip(layer: BaseChannelLayer, slight: bool = False) -> Outcome:
    """Look after what is held."""
    return layer.turn(Step(SKIP, CHANNEL, slight=slight, patience=PATIENCE))


def sent_again(layer: BaseChannelLayer) -> list[int]:
    """Return the numbers of the messages that were sent to their queue."""
    contents: Iterable[dict[str, int]] = (content for _, content in drained(layer, "work"))
    return [content["order"] for content in contents]
