"""What lets a WebSocket in and what refuses it, the same for every interface server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from channel_layers.envelope import LOST, RAISED, RETURNED, UNACCEPTED, UNDECIDED, UNROUTED

REFUSALS: Final[Mapping[int, tuple[int, str]]] = {
    RAISED: (500, "its connect consumer raised"),
    UNROUTED: (404, "no route matches"),
    LOST: (503, "the worker that had it died"),
    UNACCEPTED: (403, 'connect() of its class consumer returned without sending {"accept": True} or calling super()'),
}
"""HTTP status and reason by the outcome of the connect event, where no consumer has decided."""


def refuses(content: Mapping[str, Any]) -> bool:
    """Return whether a reply to a connect refuses it: by ``accept`` False, or by closing what was never let in."""
    if content.get("accept") is False:
        return True
    return bool(content.get("close")) and not has_data(content) and not content.get("accept")


def accepts(content: Mapping[str, Any]) -> bool:
    """Return whether a reply to a connect lets it in now: by ``accept``, or by data and a ``close`` behind them."""
    return not refuses(content) and bool(content.get("accept") or content.get("close"))


def has_data(content: Mapping[str, Any]) -> bool:
    """Return whether a reply has something for the client to read."""
    return bool(content.get("text") or content.get("bytes"))


def only_adds_headers(content: Mapping[str, Any]) -> bool:
    """Return whether a reply to a connect decides nothing, and has headers for the response: cookies, as a rule."""
    return bool(content.get("headers")) and not (refuses(content) or accepts(content) or has_data(content))


def accepts_in_the_end(outcome: int, answered: bool) -> bool:
    """Return whether an undecided connect is let in now that its consumer has ended with ``outcome``.

    One that returned has let it in; where that alone does not (1.1.8's rule), data that it has sent do (``answered``).
    """
    return outcome == RETURNED or (outcome in (UNDECIDED, UNACCEPTED) and answered)
