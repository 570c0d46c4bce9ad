"""Slots of the Redis layer.

A take is one script. Where it found nothing, and behind what settles the last messages, the slot blocks: it sends a
wait for the bells of its channels and the same script behind it in one write. The server carries out both without a
further word from here, so a message is claimed in the moment it wakes a slot, whichever of many channels it came by,
and a slot that is killed while it waits takes nothing with it. A token on a list of its own ends the wait: unlike
``CLIENT UNBLOCK``, it works also if it arrives before the wait begins.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from channel_layers.dead import count_orphans
from channel_layers.envelope import Envelope
from channel_layers.exceptions import AnswerLost, LayerDeclined, LayerUnavailable, may_have_arrived
from channel_layers.redis import aside, dead, entries
from channel_layers.redis.connection import Connection
from channel_layers.redis.custody import RedisCustody, putting_back
from channel_layers.redis.exchange import REST, Exchange, Request, Rest, arun, run
from channel_layers.redis.own_connections import OwnConnections
from channel_layers.redis.scripts import HAND_OVER
from channel_layers.redis.slot_commands import SlotCommands, end_of
from channel_layers.redis.writer import Claim
from channel_layers.slot import Custody, Refused, Slot

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer
    from channel_layers.redis.loop_connection import LoopConnection

logger = logging.getLogger("channel_layers")


class Begun(NamedTuple):
    """A take that was begun: its channels, and when the server ends its wait."""

    channels: list[str]
    until: float | None


class RedisSlot(Slot):
    """A slot of the Redis layer."""

    def __init__(self, layer: RedisChannelLayer, name: str, retries: Mapping[str, int]) -> None:
        self._layer = layer
        self._name = name
        self._commands = SlotCommands(layer, name, retries)
        self._claimed: list[tuple[Envelope, bytes]] = []
        self._ended: list[tuple[Envelope, bytes]] = []  # by the last settle
        self._has_long = False  # whether contents were fetched that are aside until their claims end
        self._unconfirmed: list[tuple[Envelope, bytes]] = []  # were settled, and the server may still hold them
        self._found_nothing = False  # when it looked last
        self._is_unheard = False  # whether the server may hold claims of which no answer has told
        self._interrupted = threading.Event()
        self._waiting = False
        self._begun: Begun | None = None
        self._connections = OwnConnections(layer.connections, self._prepare)

    def take(self, wants: Mapping[str, int], limit: int, timeout: float | None = None) -> list[Envelope]:
        """Claim messages; see :meth:`channel_layers.slot.Slot.take`. Outlasts an outage of the layer."""
        return run(self._taking(wants, limit, timeout), self._connections.blocking().ask)

    async def atake(self, wants: Mapping[str, int], limit: int, timeout: float | None = None) -> list[Envelope]:
        """As :meth:`take`; a call that is cancelled takes nothing."""
        if self._begun is not None:
            raise RuntimeError("settle_before_take() has begun a take in this thread: call take(), and not atake()")
        connection = self._connections.of_loop()
        taking = asyncio.ensure_future(arun(self._taking(wants, limit, timeout), connection.say))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            with suppress(LayerUnavailable):
                await self._layer.connections.arun(self._interrupting())
            with suppress(LayerUnavailable):
                if taken := await taking:
                    await arun(self._putting_back(taken), connection.say)
            raise

    def settle(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` and end every claim, in one write."""
        if not envelopes and not self._claimed:
            return []
        return run(self._settling(envelopes), self._connections.blocking().ask)

    async def asettle(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`settle`."""
        if not envelopes and not self._claimed:
            return []
        return await arun(self._settling(envelopes), self._connections.of_loop().say)

    def settle_before_take(
        self, envelopes: Sequence[Envelope], wants: Mapping[str, int], limit: int, timeout: float | None = None
    ) -> list[Refused]:
        """As :meth:`settle`, and begin the next take in the same write."""
        return run(self._settling_before_take(envelopes, wants, limit, timeout), self._connections.blocking().ask)

    def put_back(self, envelopes: Sequence[Envelope]) -> None:
        """Return claimed messages to the head of their queues, in their old order."""
        if envelopes:
            run(self._putting_back(envelopes), self._connections.blocking().ask)

    def hand_over(self, envelopes: Sequence[Envelope], custody: Custody) -> None:
        """Let ``custody`` hold the claims of ``envelopes``."""
        assert isinstance(custody, RedisCustody)
        run(self._handing_over(envelopes, custody), self._connections.blocking().ask)

    def interrupt(self) -> None:
        """Make a take that waits, or else the next one, return at once."""
        self._interrupted.set()
        if self._waiting:
            self._ring()

    def close(self) -> None:
        """Give the slot up; what it had claimed and not settled is lost, and counted, or delivered again."""
        try:
            if self._may_hold_claims:
                run(self._closing(), self._connections.blocking().ask)
        except LayerUnavailable:
            self._leave_claims()
        self._forget()

    async def aclose(self) -> None:
        """As :meth:`close`; a call that is cancelled is carried out by itself."""
        if self._begun is not None:  # by a thread
            await asyncio.to_thread(self.close)
        elif self._may_hold_claims:
            await asyncio.shield(self._aclosing())
        else:
            self._forget()

    async def _aclosing(self) -> None:
        try:
            await arun(self._closing(), self._connections.of_loop().say)
        except LayerUnavailable:
            self._leave_claims()
        self._forget()

    @property
    def _may_hold_claims(self) -> bool:
        return bool(self._claimed or self._unconfirmed or self._begun is not None or self._is_unheard)

    def _forget(self) -> None:
        self._claimed, self._unconfirmed, self._begun, self._is_unheard = [], [], None, False
        self._connections.give_back()

    def _leave_claims(self) -> None:
        """Count them as lost; they end when this process is found dead."""
        logger.warning("slot %s could not give up its claims: the layer is away", self._name)
        lost = sum(not entries.is_kept(element) for _, element in self._claimed)
        count_orphans(self._layer.losses, lost, 0, 0)

    # -- taking ----------------------------------------------------------------------------------------------------

    def _taking(self, wants: Mapping[str, int], limit: int, timeout: float | None) -> Exchange[list[Envelope]]:
        deadline = None if timeout is None else time.monotonic() + timeout
        self._waiting = True  # before the interrupt is looked at, so that one of both sides sees the other
        try:
            taken = (yield from self._take_begun(self._begun, deadline)) if self._begun is not None else None
            if taken is None:
                # Where the last look found nothing, the bells tell of what has come since.
                waiting = self._found_nothing and self._goes_on(deadline)
                taken = yield from self._look(wants, limit, deadline, waiting=waiting)
            while not taken and self._goes_on(deadline):
                taken = yield from self._look(wants, limit, deadline, waiting=self._found_nothing)
        finally:
            self._waiting = False
        if not taken:
            self._interrupted.clear()
        return taken

    def _look(
        self, wants: Mapping[str, int], limit: int, deadline: float | None, *, waiting: bool
    ) -> Exchange[list[Envelope]]:
        """Return what could be claimed, after waiting for the bells or at once."""
        channels, script = self._script(wants, limit)
        self._found_nothing = False
        at_once = not waiting or self._unconfirmed
        request = Request([script]) if at_once else self._wait(channels, script, deadline)
        was_unheard, self._is_unheard = self._is_unheard, True
        try:
            *_, reply = yield request
            was_unheard = True  # until all that was claimed is known
            return (yield from self._claim(channels, reply))
        except LayerDeclined:
            self._is_unheard = was_unheard or not at_once  # a wait may be declined and the take behind it not
            raise
        except LayerUnavailable as error:
            self._is_unheard = was_unheard or may_have_arrived(error)
            if self._goes_on(deadline) or self._interrupted.is_set():
                return []
            raise

    def _take_begun(self, begun: Begun, deadline: float | None) -> Exchange[list[Envelope] | None]:
        """Return what a take that was begun finds, without much waiting if that would be longer than to ``deadline``.

        ``None`` if its answer was lost: what it has claimed comes with the next look, which is not to wait.
        """
        self._begun, self._found_nothing, self._is_unheard = None, False, True
        wait = None if begun.until is None else max(begun.until - time.monotonic(), 0)
        if deadline is not None and (begun.until is None or begun.until > deadline):
            self._ring()
            wait = 0.0
        try:
            *_, reply = yield Request(REST, wait)
            return (yield from self._claim(begun.channels, reply))
        except LayerDeclined:
            raise
        except LayerUnavailable:
            return None

    def _script(self, wants: Mapping[str, int], limit: int) -> tuple[list[str], bytes]:
        known = 0 if self._unconfirmed else len(self._claimed)
        return self._commands.take(wants, limit, known)

    def _wait(self, channels: Sequence[str], script: bytes, deadline: float | None) -> Request:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        return Request([self._commands.wait(channels, left), script], left)

    def _claim(self, channels: Sequence[str], reply: list[Any]) -> Exchange[list[Envelope]]:
        """Note what was claimed and return it, but for what was sent in an earlier run of the server."""
        expired, elements = reply
        for place, n in zip(expired[::2], expired[1::2], strict=True):
            self._layer.count_expired(channels[place - 1], n)
        if self._unconfirmed:
            elements = yield from self._confirm(elements)
        try:
            taken = list(map(entries.read_element, elements))
        except entries.UNREADABLE:
            elements = yield from dead.readable(elements, self._commands.claims, self._name, self._layer)
            taken = list(map(entries.read_element, elements))
        self._found_nothing = not taken
        run = self._connections.run
        if {envelope.run for envelope in taken} <= {run, ""}:
            self._claimed += zip(taken, elements, strict=True)
            self._is_unheard = False
            return taken
        gone = yield from aside.fetching(taken, self._layer)
        self._has_long, self._is_unheard = True, False
        self._claimed += zip(taken, elements, strict=True)
        fresh = self._fresh(taken, gone, run)
        if not fresh and len(self._claimed) == len(taken):
            yield Request([self._commands.release(len(taken))])
            self._claimed.clear()
        return fresh

    def _fresh(self, taken: Sequence[Envelope], gone: Collection[int], run: str) -> list[Envelope]:
        """Return what of ``taken`` can be run, and count the rest."""
        old = [envelope for envelope in taken if envelope.run not in (run, "")]
        if old:
            text = "events of an earlier run of the layer were not run: they may have run before it failed over"
            self._layer.losses.count("earlier run", text, len(old))
        if gone:
            text = "events were not run: what they contain is gone, and so is whoever looked after them"
            self._layer.losses.count("content gone", text, len(gone))
        return [envelope for envelope in taken if envelope.run in (run, "") and id(envelope) not in gone]

    def _confirm(self, elements: list[bytes]) -> Exchange[list[bytes]]:
        """End what was settled without an answer and is still claimed; return the rest of what is."""
        settled = {element for _, element in self._unconfirmed}
        old = sum(element in settled for element in elements)
        if old:  # they stand before all that was claimed since
            yield Request([self._commands.release(old)])
        self._unconfirmed.clear()
        return elements[old:]

    def _goes_on(self, deadline: float | None) -> bool:
        return not self._interrupted.is_set() and (deadline is None or time.monotonic() < deadline)

    # -- ending claims ---------------------------------------------------------------------------------------------

    def _settling(self, envelopes: Sequence[Envelope]) -> Exchange[list[Refused]]:
        return (yield from self._written(envelopes, self._ending()))

    def _settling_before_take(
        self, envelopes: Sequence[Envelope], wants: Mapping[str, int], limit: int, timeout: float | None
    ) -> Exchange[list[Refused]]:
        is_sure = not self._unconfirmed
        claim = self._ending()
        channels, script = self._script(wants, limit)
        self._waiting = True  # before the interrupt is looked at, as in a take
        if is_sure and not self._interrupted.is_set():
            claim.rest = Rest([self._commands.wait(channels, timeout), script], self._ring)
        try:
            refused = yield from self._written(envelopes, claim)
            if claim.rest is not None:
                self._begun = Begun(channels, None if timeout is None else time.monotonic() + timeout)
        finally:
            self._waiting = self._begun is not None
        return refused

    def _ending(self) -> Claim:
        forget = aside.deleting((envelope for envelope, _ in self._claimed), self._layer) if self._has_long else []
        self._has_long = False
        self._ended, self._claimed = self._claimed, []
        self._unconfirmed += self._ended
        return Claim(self._commands.release(len(self._ended)), partial(self._commands.restore, self._ended), forget)

    def _written(self, envelopes: Sequence[Envelope], claim: Claim) -> Exchange[list[Refused]]:
        try:
            refused = yield from self._layer.writer.write(envelopes, claim)
        except LayerUnavailable as error:
            if not may_have_arrived(error):
                self._claimed, self._has_long = self._ended, True
                del self._unconfirmed[len(self._unconfirmed) - len(self._ended) :]
            raise
        self._unconfirmed.clear()
        return refused

    def _putting_back(self, envelopes: Sequence[Envelope]) -> Exchange[None]:
        returned = {id(envelope) for envelope in envelopes}
        claimed = [claim for claim in self._claimed if id(claim[0]) in returned]
        yield Request([putting_back(claimed, self._commands.claims, self._layer.keys)])
        self._claimed = [claim for claim in self._claimed if id(claim[0]) not in returned]

    def _handing_over(self, envelopes: Sequence[Envelope], custody: RedisCustody) -> Exchange[None]:
        moved = {id(envelope) for envelope in envelopes}
        claimed = [claim for claim in self._claimed if id(claim[0]) in moved]
        keys = [self._commands.claims, custody.claims, self._layer.keys.slots]
        yield Request([HAND_OVER.call(keys, self._name, custody.name, *(element for _, element in claimed))])
        self._claimed = [claim for claim in self._claimed if id(claim[0]) not in moved]
        custody.hold(claimed)

    def _closing(self) -> Exchange[None]:
        known = len(self._claimed)  # by who has run them
        if self._begun is not None:
            yield from self._take_begun(self._begun, time.monotonic())
        if self._is_unheard:
            yield from self._looking_once()
        if untouched := [envelope for envelope, _ in self._claimed[known:]]:
            yield from self._putting_back(untouched)
        if self._unconfirmed:  # what has ended is not to be delivered again
            yield from self._looking_once()
        yield from dead.giving_up(self._name, self._layer)

    def _looking_once(self) -> Exchange[None]:
        """Note what is claimed, as far as that can be heard."""
        with suppress(AnswerLost):
            yield from self._look({}, 0, time.monotonic(), waiting=False)

    def _interrupting(self) -> Exchange[None]:
        self._interrupted.set()
        yield Request(self._commands.ring())

    def _ring(self) -> None:
        """End the wait for the bells."""
        self._layer.say_if_possible(self._commands.ring())

    def _prepare(self, connection: Connection | LoopConnection) -> None:
        connection.welcome = lambda link: end_of(connection.lost, link)
        if isinstance(connection, Connection):
            connection.pause = self._interrupted.wait
