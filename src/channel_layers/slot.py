"""The taking end of a worker: messages it holds and has not finished are known to the layer."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from channel_layers.envelope import Envelope


class Refused(NamedTuple):
    """An envelope of a write that was not accepted, and why; the others of the write were."""

    envelope: Envelope
    error: Exception


class Custody(ABC):
    """Claims that slots have handed over: each ends by itself, in any order. Thread-safe.

    Every method can be called again after it has raised
    :exc:`~channel_layers.exceptions.LayerUnavailable`; only :meth:`settle` may then write twice.
    """

    @abstractmethod
    def settle(self, ended: Sequence[Envelope], envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` and end the claims of ``ended``, in one step.

        If the answer is lost, the claims end with the next call.
        """

    async def asettle(self, ended: Sequence[Envelope], envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`settle`."""
        return await asyncio.to_thread(self.settle, ended, envelopes)

    @abstractmethod
    def send_back(self, envelope: Envelope, replacement: Envelope) -> None:
        """End the claim of ``envelope`` and put ``replacement`` at the end of its queue, in one step; never refused."""

    def put_back(self, envelopes: Sequence[Envelope]) -> None:
        """End claims of messages that nobody has touched, and return these to their queues; to the heads, if it can."""
        for envelope in envelopes:
            self.send_back(envelope, envelope)

    @abstractmethod
    def bury(self, envelope: Envelope, reason: str) -> None:
        """End the claim of ``envelope`` and set it aside, in one step; ``reason`` is for those who look at it there."""

    @abstractmethod
    def close(self) -> None:
        """Give the custody up. What it holds is lost, and counted, or delivered again."""


class Slot(ABC):
    """One worker loop's claim. Used by one thread at a time; :meth:`interrupt` by any."""

    @abstractmethod
    def take(self, wants: Mapping[str, int], limit: int, timeout: float | None = None) -> list[Envelope]:
        """Claim up to ``wants[channel]`` messages of each channel and ``limit`` in all, oldest first.

        Channels are served in rotating order, so a busy one never starves a quiet one. Waits up to ``timeout``
        seconds (``None``: for ever) for a first message; may return nothing early.
        """

    async def atake(self, wants: Mapping[str, int], limit: int, timeout: float | None = None) -> list[Envelope]:
        """As :meth:`take`; a call that is cancelled takes nothing."""
        taking = asyncio.ensure_future(asyncio.to_thread(self.take, wants, limit, timeout))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            self.interrupt()
            self.put_back(await taking)
            raise

    @abstractmethod
    def settle(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` and end every claim, in one step."""

    async def asettle(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`settle`."""
        return await asyncio.to_thread(self.settle, envelopes)

    def settle_before_take(
        self, envelopes: Sequence[Envelope], wants: Mapping[str, int], limit: int, timeout: float | None = None
    ) -> list[Refused]:
        """As :meth:`settle`, where a :meth:`take` follows: what it asks for leaves in the same write, if the layer can.

        That take then goes by these ``wants`` and this ``limit``. How long it waits it says itself; ``timeout`` is what
        it is expected to say, counted from now, so that it need not ask again.
        """
        return self.settle(envelopes)

    @abstractmethod
    def put_back(self, envelopes: Sequence[Envelope]) -> None:
        """Return claimed messages that were not touched to the head of their queues."""

    @abstractmethod
    def hand_over(self, envelopes: Sequence[Envelope], custody: Custody) -> None:
        """Let ``custody`` hold the claims of ``envelopes`` from here on; may be repeated where that is not certain."""

    @abstractmethod
    def interrupt(self) -> None:
        """Make a :meth:`take` that waits, or else the next one, return at once."""

    @abstractmethod
    def close(self) -> None:
        """Give the slot up. What it had claimed and not settled is lost, and counted, or delivered again."""

    async def aclose(self) -> None:
        """As :meth:`close`."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
