"""Which slots of a worker take what: some are kept free of what could fill all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from channels.handling import BACKGROUND, HTTP, WEBSOCKET

FOREGROUND: Final = "foreground"
"""What somebody waits for: HTTP and WebSockets."""
SHARES: Final[Mapping[str, tuple[str, ...]]] = {
    FOREGROUND: (HTTP, WEBSOCKET),
    HTTP: (HTTP,),
    WEBSOCKET: (WEBSOCKET,),
    BACKGROUND: (BACKGROUND,),
}
"""What slots can be reserved for, and the classes of traffic that such a slot takes."""
SHOWN: Final = 3
"""Channels that a sentence names at most."""


def parse(words: Iterable[str]) -> dict[str, int]:
    """Return what ``NAME=N`` or ``N`` ask for, slots by what they are reserved for; ``N`` is for the foreground.

    Raises :exc:`ValueError`.
    """
    reserve: dict[str, int] = {}
    for word in words:
        name, _, number = word.rpartition("=")
        name = name or FOREGROUND
        if name not in SHARES or not number.isdecimal():
            raise ValueError(f"--reserve is a number, or {'|'.join(SHARES)}=NUMBER, not {word!r}")
        reserve[name] = int(number)
    return reserve


class Reservation:
    """The channels of each slot. ``traffic`` is the class of each channel, ``reserve`` how many slots are for what.

    Without ``reserve`` the last of several slots never takes background work. Raises :exc:`ValueError` if there are
    too few slots, or if one channel would be left without any.
    """

    def __init__(self, traffic: Mapping[str, str], slots: int, reserve: Mapping[str, int] | None = None) -> None:
        self._traffic = traffic
        self._slots = slots
        self._is_free = reserve is not None and not any(reserve.values())
        self._reserve = self._default() if reserve is None else {name: n for name, n in reserve.items() if n}
        reserved = sum(self._reserve.values())
        if reserved > slots:
            raise ValueError(f"--reserve asks for {reserved} slots, and there are {slots} (--threads)")
        self.channels: list[list[str]] = [list(traffic)] * (slots - reserved)
        """For each slot what it takes; those that are reserved come last."""
        for name, n in self._reserve.items():
            self.channels += [[channel for channel in traffic if traffic[channel] in SHARES[name]]] * n
        missing = traffic.keys() - {channel for channels in self.channels for channel in channels}
        if slots and missing:
            raise ValueError(f"--reserve leaves no slot for {_listed(missing)}; raise --threads")

    def limited(self, awaited: Collection[str]) -> list[str]:
        """Return which channels with ``async def`` consumers may not have all of what such consumers may have.

        That is those of the background, if there are others among ``awaited``, unless all is free by request.
        """
        background = [channel for channel in self._of(BACKGROUND) if channel in awaited]
        has_others = any(traffic != BACKGROUND for channel, traffic in self._traffic.items() if channel in awaited)
        return background if has_others and not self._is_free else []

    @property
    def text(self) -> str:
        """What a person should know of it, or nothing."""
        if self._reserve:
            return "Reserved: " + ", ".join(f"{n} for {name}" for name, n in self._reserve.items()) + "."
        background = self._of(BACKGROUND)
        if self._slots != 1 or not background or len(background) == len(self._traffic):
            return ""
        return (
            f"With one slot none can be reserved: HTTP and WebSockets wait while {_listed(background)} is worked on. "
            "Use --threads 2 or more."
        )

    def _default(self) -> dict[str, int]:
        background = self._of(BACKGROUND)
        return {FOREGROUND: 1} if self._slots > 1 and 0 < len(background) < len(self._traffic) else {}

    def _of(self, traffic: str) -> list[str]:
        return [channel for channel, each in self._traffic.items() if each == traffic]


def _listed(channels: Iterable[str]) -> str:
    names = sorted(channels)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
