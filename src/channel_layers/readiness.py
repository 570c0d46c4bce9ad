"""The start of a process that is nothing without its layer: wait for a layer that is away, end for one that is unfit.

Supervisors start things in any order, so a layer that does not answer yet is waited for. What waiting does not mend,
such as a wrong password, is an error at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from channel_layers.base import BaseChannelLayer
from channel_layers.exceptions import LayerUnusable
from channel_layers.problems import Kind, Problem

INTERVAL: Final = 0.5
"""Seconds between two looks for a layer that is away."""


def wait_until_usable(
    layer: BaseChannelLayer, say: Callable[[str], object], pause: Callable[[float], object] = time.sleep
) -> None:
    """Return once ``layer`` can be used; raise :exc:`LayerUnusable` for what waiting does not mend.

    ``say(text)`` is called once when there is something to wait for, once when that is over, and for each risk.
    """
    begun = time.monotonic()
    found, has_waited = layer.problems(), False
    while away := _first(found, Kind.AWAY):
        if not has_waited:
            say(f"waiting for the channel layer: {away}")
        has_waited = True
        pause(INTERVAL)
        found = layer.problems()
    if unusable := _first(found, Kind.UNUSABLE):
        raise LayerUnusable(str(unusable))
    if has_waited:
        say(f"the channel layer is there after {time.monotonic() - begun:.1f} s")
    for risk in found:
        say(str(risk))


def _first(found: list[Problem], kind: Kind) -> Problem | None:
    return next((problem for problem in found if problem.kind is kind), None)
