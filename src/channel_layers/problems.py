"""What keeps a layer from working, or lets it lose messages: found by asking it, before anything depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a problem means for a process that wants to use the layer."""

    AWAY = auto()
    """Nothing answers, or not yet: it may be there in a moment."""
    UNUSABLE = auto()
    """Waiting does not mend it."""
    RISK = auto()
    """The layer works; some day it will not, or will lose messages."""


@dataclass(frozen=True)
class Problem:
    """``text`` says what is so, ``hint`` what to do about it; both are sentences without their first capital."""

    kind: Kind
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.text}; {self.hint}"
