"""Who is in a group, asked of other processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from channel_layers.inbox import Inbox
from channel_layers.redis import RedisChannelLayer, census
from channel_layers.redis.protocol import pack

PATIENCE = 10.0
NewLayer = Callable[..., RedisChannelLayer]


def test_processes_are_asked_for_their_members(layer: RedisChannelLayer, new_layer: NewLayer) -> None:
    """Members here, members of two processes elsewhere, and queues; joins that nobody has read are known too."""
    inboxes = [layer.inbox("test.reply"), *(new_layer().inbox("test.reply") for _ in range(2))]
    channels = [inbox.new_channel() for inbox in inboxes]
    for channel in [*channels, "a"]:
        layer.group_add("g", channel)
    answered = threading.Event()

    def read(inbox: Inbox) -> None:
        while not answered.is_set():
            inbox.receive(0.05)

    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read, inbox) for inbox in inboxes[1:]]
        members = layer.group_channels("g")
        answered.set()
        for future in reading:
            future.result(PATIENCE)
    assert sorted(members) == sorted([*channels, "a"])


def test_coroutines_ask_too(layer: RedisChannelLayer, new_layer: NewLayer) -> None:
    """The process that is asked answers from its loop."""
    inbox = new_layer().inbox("test.reply")
    channel = inbox.new_channel()

    async def read(inbox: Inbox) -> None:
        while True:
            await inbox.areceive()

    async def main() -> list[str]:
        reading = asyncio.create_task(read(inbox))
        await layer.agroup_add("g", channel)
        members = await layer.agroup_channels("g")
        reading.cancel()
        return members

    assert asyncio.run(main()) == [channel]


def test_a_process_that_does_not_answer_is_left_out(
    layer: RedisChannelLayer, new_layer: NewLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while; and that it was left out is counted."""
    monkeypatch.setattr(census, "ANSWER_TIMEOUT", 0.05)
    layer.group_add("g", new_layer().inbox("test.reply").new_channel())
    layer.group_add("g", "a")
    assert layer.group_channels("g") == ["a"]
    assert layer.losses.counts == {"no answer": 1}


def test_a_dead_process_is_not_waited_for(layer: RedisChannelLayer, new_layer: NewLayer) -> None:
    """Its registration is swept when it is asked."""
    dead = new_layer().inbox("test.reply")
    layer.group_add("g", dead.new_channel())
    layer.say([pack("UNLINK", layer.keys.stream(dead.name))])
    assert layer.group_channels("g") == []
    assert layer.losses.counts == {}
    assert layer.say([pack("EXISTS", layer.keys.group("g"))]) == [0]


def test_an_answer_that_came_too_late_is_deleted(layer: RedisChannelLayer) -> None:
    """Nobody takes it."""
    layer.say(census.answering("test_late", ["x!1"]))
    (lifetime, _) = layer.say([pack("TTL", "test_late"), pack("DEL", "test_late")])
    assert 0 < lifetime <= census.ANSWER_LIFETIME
