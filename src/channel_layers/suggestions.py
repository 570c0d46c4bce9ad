"""The one home of "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SIMILARITY = 0.6
"""Least likeness of a suggestion, from 0 to 1 (:meth:`difflib.SequenceMatcher.ratio`)."""


def closest(word: str, known: Iterable[str], similarity: float = SIMILARITY) -> str | None:
    """Return the name in ``known`` that is most like ``word``, letter case aside, or ``None``."""
    names = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), names, n=1, cutoff=similarity)
    return names[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str], similarity: float = SIMILARITY) -> str:
    """Return `` Did you mean '…'?`` to end a message with, leading space included, or nothing. Never ``word``."""
    near = closest(word, known, similarity)
    return f" Did you mean {near!r}?" if near and near != word else ""
