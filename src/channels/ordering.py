"""The order of the messages of one connection, as ``enforce_ordering`` keeps it.

With a lane nothing is left to do. A message that came without one asks the layer for its turn; where the layer keeps no
turns, the number of the next message is in the channel session, and one that comes too early asks to come again later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from channel_layers.turns import END, EXTENSION, HELD, NOW, RETURN, TAKE, Outcome, Step
from channels import conf
from channels.decorators import Scope
from channels.exceptions import ConsumeLater, DenyConnection
from channels.layers import ChannelLayerWrapper
from channels.pending import running
from channels.turns import count_skipped, keeper

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase

    from channel_layers.base import BaseChannelLayer
    from channels.message import Message

MAX_ORDER: Final = 2**53
"""Numbers from here on are not exact in every store."""
NEXT_ORDER: Final = "__channels_next_order"
"""Where a channel session has the number of the next message, as in 1.x."""
MAX_ATTEMPTS: Final = 6
"""How often a message asks to come again, over two seconds, before what is missing is skipped."""


class OrderScope(Scope):
    """Lets a message through when it is its turn. ``session_of`` returns the channel session of a message."""

    def __init__(self, slight: bool, session_of: Callable[[Message], SessionBase]) -> None:
        self._slight = slight
        self._session_of = session_of

    def admits(self, message: Message) -> bool:
        """Return whether it is the turn of ``message``; if not, it comes again by itself, or its turn is over.

        Raises :exc:`ValueError` for a message without reply channel, without ``order``, or with one that is no number.
        """
        turn = self._turn_of(message)
        return turn is None or self._has(message, turn, turn.take())

    async def aadmits(self, message: Message) -> bool:
        """As :meth:`admits`."""
        turn = self._turn_of(message)
        return turn is None or self._has(message, turn, await turn.atake())

    def leave(self, message: Message, error: BaseException | None) -> None:
        """It is the turn of the next message, unless this one is to come again."""
        turn = message.turn
        if turn is not None and turn.scope is self:
            message.turn = None
            try:
                _let_go(error)
            finally:
                turn.end(isinstance(error, ConsumeLater))

    async def aleave(self, message: Message, error: BaseException | None) -> None:
        """As :meth:`leave`."""
        turn = message.turn
        if turn is not None and turn.scope is self:
            message.turn = None
            try:
                await _alet_go(error)
            finally:
                await turn.aend(isinstance(error, ConsumeLater))

    def _turn_of(self, message: Message) -> Turn | None:
        """Return the turn to be taken, ``None`` if the lane or another decorator of this consumer has seen to it."""
        order = order_of(message)
        if message.lane is not None or message.turn is not None:
            return None
        layer = message.channel_layer
        raw = layer.channel_layer if isinstance(layer, ChannelLayerWrapper) else layer
        if EXTENSION in raw.extensions:
            return LayerTurn(self, message, order, self._slight, raw)
        return SessionTurn(self, message, order, self._slight, raw, self._session_of(message))

    def _has(self, message: Message, turn: Turn, is_its: bool) -> bool:
        if is_its:
            message.turn = turn
        return is_its


class Turn(ABC):
    """The turn of one message; ``scope`` is the decorator that ends it."""

    def __init__(self, scope: OrderScope, message: Message, order: int, slight: bool, layer: BaseChannelLayer) -> None:
        self.scope = scope
        self.message = message
        self.channel: str = message["reply_channel"]
        self.order = order
        self.slight = slight
        self.layer = layer

    @abstractmethod
    def take(self) -> bool:
        """Return whether the message may be handled now."""

    @abstractmethod
    def end(self, comes_again: bool) -> None:
        """It was handled, or ``comes_again``."""

    @abstractmethod
    async def atake(self) -> bool:
        """As :meth:`take`."""

    @abstractmethod
    async def aend(self, comes_again: bool) -> None:
        """As :meth:`end`."""

    def count_past(self) -> None:
        """Count a message that is not handled."""
        detail = (
            f"the message {self.order} of {self.channel!r} on {self.message.channel_name!r} was not "
            "handled: its turn is over, because it came too late, or because another one has its 'order'"
        )
        self.layer.losses.count("order passed", detail)


class LayerTurn(Turn):
    """A turn that the layer keeps: one step to take it, one to end it."""

    def take(self) -> bool:
        """Return whether the message may be handled now; if not, the layer may hold it."""
        return self._took(self.layer.turn(self._taking()))

    async def atake(self) -> bool:
        """As :meth:`take`."""
        return self._took(await self.layer.aturn(self._taking()))

    def end(self, comes_again: bool) -> None:
        """Let the next message have its turn."""
        keeper.end(self.layer, self._step(TAKE))
        self.layer.turn(self._step(RETURN if comes_again else END))

    async def aend(self, comes_again: bool) -> None:
        """As :meth:`end`."""
        keeper.end(self.layer, self._step(TAKE))
        await self.layer.aturn(self._step(RETURN if comes_again else END))

    def _step(self, action: str) -> Step:
        return Step(action, self.channel, self.order, self.slight, patience=conf.order_timeout())

    def _taking(self) -> Step:
        held = self.layer.message(self.message.channel_name, self.message.content)
        held.attempt = self.message.attempt
        return self._step(TAKE)._replace(message=held)

    def _took(self, outcome: Outcome) -> bool:
        step = self._step(TAKE)
        count_skipped(self.layer, step, outcome.skipped)
        if outcome.verdict == NOW:
            keeper.begin(self.layer, step)
        elif outcome.verdict == HELD:
            keeper.look_after(self.layer, step, outcome.wait or step.patience)
        else:
            self.count_past()
        return outcome.verdict == NOW


class SessionTurn(Turn):
    """A turn by the number in the channel session, as in 1.x; for layers that keep none."""

    def __init__(
        self,
        scope: OrderScope,
        message: Message,
        order: int,
        slight: bool,
        layer: BaseChannelLayer,
        session: SessionBase,
    ) -> None:
        super().__init__(scope, message, order, slight, layer)
        self.session = session

    def take(self) -> bool:
        """Return whether the message may be handled now; raise :exc:`~channels.exceptions.ConsumeLater` if not yet."""
        missing = self.order - self.session.get(NEXT_ORDER, 0)
        if self.slight and missing < self.order:
            return True
        assert isinstance(missing, int)
        if missing < 0:
            self.count_past()
        elif missing and self.message.attempt < MAX_ATTEMPTS:
            raise ConsumeLater(f"the message {self.order} waits for {missing} before it")
        elif missing:
            count_skipped(self.layer, Step(TAKE, self.channel, patience=2.0), missing)
        return missing >= 0

    async def atake(self) -> bool:
        """As :meth:`take`."""
        await self.session.akeys()  # read where that does not block the loop
        return self.take()

    def end(self, comes_again: bool) -> None:
        """Let the next message have its turn."""
        if self._goes_on(comes_again):
            self.session.save()

    async def aend(self, comes_again: bool) -> None:
        """As :meth:`end`."""
        if self._goes_on(comes_again):
            await self.session.asave()

    def _goes_on(self, comes_again: bool) -> bool:
        following = 1 if self.slight else self.order + 1
        if comes_again or self.session.get(NEXT_ORDER, 0) >= following:
            return False
        self.session[NEXT_ORDER] = following
        return True


def order_of(message: Message) -> int:
    """Return the number of ``message`` within its connection; raise :exc:`ValueError` naming what is wrong with it."""
    name = message.channel_name
    if not message.content.get("reply_channel"):
        raise ValueError(
            f"the message on {name!r} has no reply channel, so it has no place in the order of a connection"
        )
    if "order" not in message.content:
        raise ValueError(f"the message on {name!r} has no 'order': enforce_ordering is for events of a connection")
    order = message.content["order"]
    if type(order) is not int or not 0 <= order < MAX_ORDER:
        raise ValueError(
            f"the 'order' of a message is a whole number from 0 on, the message on {name!r} has {order!r:.80}"
        )
    return order


def _let_go(error: BaseException | None) -> None:
    """Let what the consumer has sent leave before the next message has its turn, unless it is to be discarded."""
    pending = running()
    if pending is not None and not isinstance(error, ConsumeLater | DenyConnection):
        pending.flush()


async def _alet_go(error: BaseException | None) -> None:
    pending = running()
    if pending is not None and not isinstance(error, ConsumeLater | DenyConnection):
        await pending.aflush()
