"""Turns of the Redis layer: the script does what the in-memory layer does, and uses keys of one slot."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import drained
from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.redis import RedisChannelLayer
from channel_layers.redis.keys import Keys
from channel_layers.redis.writer import Writer
from channel_layers.turns import END, FREE, RENEW, RETURN, SKIP, TAKE, Outcome, Step
from tests.channel_layers.redis import clock
from tests.channel_layers.redis.server import RedisServer

ACTIONS = st.sampled_from([TAKE, TAKE, TAKE, END, END, RETURN, RENEW, SKIP, FREE])
STEPS = st.lists(st.tuples(ACTIONS, st.integers(0, 5), st.integers(0, 20)), max_size=30)
CHANNELS = (f"tests.reply.x!{n}" for n in count())


def test_the_keys_of_a_connection_share_a_slot() -> None:
    """One script touches all of them."""
    assert {name.partition("}")[0] for name in Keys("channels:").turns("x!1")} == {"channels:{turns:x!1"}


@given(STEPS, st.booleans())
@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_both_layers_have_the_same_turns(
    server: RedisServer, new_layer: Callable[..., RedisChannelLayer], steps: list[tuple[str, int, int]], slight: bool
) -> None:
    """Whatever is asked in whatever order, and however much time passes between two steps."""
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        now, channel = [0.0], next(CHANNELS)
        model = MemoryChannelLayer(clock=lambda: now[0])
        layer = new_layer(clock=lambda: time.time() + now[0])
        for action, order, seconds in steps:
            now[0] += seconds
            clock.move(server, now[0])
            found = [done(each, action, channel, order, slight) for each in (model, layer)]
            assert found[0] == found[1]
        clock.move(server, 0)


def done(layer: BaseChannelLayer, action: str, channel: str, order: int, slight: bool) -> tuple[Any, ...]:
    """Return what a step does; waits in seconds, as no time passes in the model between two steps."""
    outcome = layer.turn(Step(action, channel, order, slight, layer.message("work", {"order": order})))
    wait = None if outcome.wait is None else round(outcome.wait)
    return outcome.verdict, wait, outcome.skipped, sorted(content["order"] for _, content in drained(layer, "work"))


def test_what_cannot_be_sent_on_is_counted(layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A held message that was let go while the layer went away is a loss like any other."""
    layer.turn(Step(TAKE, "x!1", 1, message=layer.message("work", {})))

    def write(*arguments: object) -> Any:
        raise LayerUnavailable("gone")
        yield

    monkeypatch.setattr(Writer, "write", write)
    with pytest.raises(LayerUnavailable):
        layer.turn(Step(FREE, "x!1"))
    assert layer.losses.counts == {"turn lost": 1}
    assert layer.turn(Step(FREE, "x!1")) == Outcome()


def test_turns_are_forgotten(layer: RedisChannelLayer, server: RedisServer) -> None:
    """Of a connection of which nothing comes, all keys end by themselves."""
    layer.turn(Step(TAKE, "x!1", 1, message=layer.message("work", {})))
    assert all(int(server.ask("TTL", key).strip()[1:]) > 0 for key in layer.keys.turns("x!1"))
