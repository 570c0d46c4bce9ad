"""``manage.py channels``: who is there, does a message arrive, how long does it take."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from io import StringIO
from threading import Event
from typing import Any, ClassVar

import pytest
from django.core.management import CommandError, call_command

from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.registry import Announcement
from channels import route
from channels.layers import ChannelLayerWrapper, channel_layers
from channels.message import Message
from tests.channels.workers import PATIENCE, layer_of, taken, working

NOW = 1_000_000.0
SERVER = Announcement("s1", connections=3, host="web", pid=12)
WORKER = Announcement("w1", ("http.request", "work"), slots=4, host="box", pid=345)


class Crossing(MemoryChannelLayer):
    crosses_processes: ClassVar[bool] = True


class Unreachable(Crossing):
    def processes(self) -> list[Announcement]:
        raise LayerUnavailable("no layer at localhost:6379 in 5 s")


@pytest.fixture
def use() -> Iterator[Callable[[ChannelLayerWrapper], ChannelLayerWrapper]]:
    """Make a layer the default, until the test ends."""
    previous = channel_layers.set("default", None)

    def use(layer: ChannelLayerWrapper) -> ChannelLayerWrapper:
        channel_layers.set("default", layer)
        return layer

    yield use
    channel_layers.set("default", previous)


Use = Callable[[ChannelLayerWrapper], ChannelLayerWrapper]


def run(*arguments: str, **options: Any) -> tuple[str, str]:
    """Run the command; return what it printed, and what of that was for standard error."""
    out, err = StringIO(), StringIO()
    call_command("channels", *arguments, stdout=out, stderr=err, no_color=True, **options)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize("arguments", [["status"], ["send", "work", "{}"], ["ping"]])
def test_layer_within_one_process_is_refused(use: Use, arguments: list[str]) -> None:
    """There is nothing on it that this process could see."""
    use(layer_of())
    with pytest.raises(CommandError, match="reaches no other process"):
        run(*arguments)


def test_layer_that_does_not_answer(use: Use) -> None:
    """Is named, with what was tried."""
    use(layer_of(layer=Unreachable()))
    with pytest.raises(CommandError, match=r"Unreachable\) does not answer: no layer at localhost:6379 in 5 s$"):
        run("status")


def test_layer_by_alias() -> None:
    """Any entry of the setting."""
    with pytest.raises(CommandError, match=r"^CHANNEL_LAYERS has no 'other'"):
        run("status", "--layer", "other")


def test_subcommand_is_needed() -> None:
    """Which one, is not guessed."""
    with pytest.raises(CommandError, match=r"required: status \| send \| ping"):
        run()


# -- status ------------------------------------------------------------------------------------------------------------


def test_status(use: Use) -> None:
    """A line for each process; the age is that of its heartbeat."""
    time = NOW - 2.5
    layer = use(layer_of(layer=Crossing(clock=lambda: time)))
    layer.announce(WORKER)
    time = NOW
    layer.announce(SERVER)
    assert run("status")[0].splitlines() == [
        "role    pid  host  slots  connections  age  channels",
        "server  12   web   0      3            0.0",
        "worker  345  box   4      0            2.5  http.request, work",
    ]


def test_status_as_json(use: Use) -> None:
    """For programs."""
    layer = use(layer_of(layer=Crossing(clock=lambda: NOW)))
    layer.announce(SERVER)
    layer.announce(WORKER)
    server, worker = json.loads(run("status", "--json")[0])
    assert server == {
        "role": "server",
        "process": "s1",
        "pid": 12,
        "host": "web",
        "slots": 0,
        "connections": 3,
        "age": 0.0,
        "channels": [],
    }
    assert worker | {"role": "worker", "slots": 4, "channels": ["http.request", "work"]} == worker


def test_status_of_nobody(use: Use) -> None:
    """A sentence, and as JSON a list that is empty."""
    layer = use(layer_of(layer=Crossing()))
    assert run("status")[0] == f"No process is alive on the channel layer {layer}.\n"
    assert json.loads(run("status", as_json=True)[0]) == []


# -- send --------------------------------------------------------------------------------------------------------------


def test_send(use: Use) -> None:
    """The message is on the channel, which somebody reads."""
    layer = use(layer_of(layer=Crossing()))
    layer.announce(WORKER)
    assert run("send", "work", '{"text": "hé", "n": [1, null]}') == ("Sent to work.\n", "")
    assert taken(layer, "work") == [{"text": "hé", "n": [1, None]}]


def test_send_to_nobody(use: Use) -> None:
    """The message waits; what may have been meant is said."""
    layer = use(layer_of(layer=Crossing(expiry=30)))
    layer.announce(WORKER)
    out, err = run("send", "wrk", "{}")
    assert (out, err) == (
        "Sent to wrk.\n",
        "No worker reads 'wrk' now; the message waits for 30 s. Did you mean 'work'?\n",
    )
    assert layer.depth("wrk") == 1


@pytest.mark.parametrize("pattern", ["websocket.send!", "answers?"])
def test_send_to_one_reader(use: Use, pattern: str) -> None:
    """A reply channel, or another with one reader, is read by no worker and needs none."""
    layer = use(layer_of(layer=Crossing()))
    channel = layer.new_channel(pattern)
    assert run("send", channel, '{"text": "hello"}') == (f"Sent to {channel}.\n", "")


@pytest.mark.parametrize(
    ("channel", "content", "expected"),
    [
        ("work", "{'a': 1}", "the message is not JSON: Expecting property name .*: \"{'a': 1}\"$"),
        ("work", "[1]", r"^a message is a dict, not list: \[1\]; "),
        ("wörk", "{}", "^a channel name is made of .* not 'wörk'$"),
        ("work", '{"a": 18446744073709551616}', "64 bits"),
        ("full", "{}", "^channel 'full' is full"),
        ("work", '{"a": "' + "x" * 200 + '"}', "is 205 bytes, the limit is 100"),
    ],
)
def test_messages_that_are_refused(use: Use, channel: str, content: str, expected: str) -> None:
    """What the layer says of them is passed on."""
    layer = use(layer_of(layer=Crossing(channel_capacity={"full": 1}, max_message_size=100)))
    layer.send("full", {})
    with pytest.raises(CommandError, match=expected):
        run("send", channel, content)
    assert layer.depth("work") == 0


# -- ping --------------------------------------------------------------------------------------------------------------


def test_ping(use: Use) -> None:
    """Every channel that is read has its round trips, and no consumer hears of them."""
    called: list[Message] = []
    layer = use(layer_of(route("work", called.append), route("websocket.connect", called.append), layer=Crossing()))
    with working(layer):
        head, *lines = run("ping")[0].splitlines()
    times = r"\d+\.\d\d, \d+\.\d\d, \d+\.\d\d ms"
    assert head == "From here into the queue of a channel, to a worker that reads it, and back:"
    assert re.fullmatch(rf"websocket\.connect: {times}\nwork: {times}", "\n".join(lines))
    assert called == []
    assert layer.losses.counts.total() == 0


def test_ping_of_some_channels(use: Use) -> None:
    """As many round trips as are wanted."""
    layer = use(layer_of(route("work", print), layer=Crossing()))
    with working(layer):
        [_, line] = run("ping", "work", "--count", "1")[0].splitlines()
    assert re.fullmatch(r"work: \d+\.\d\d ms", line)


def test_ping_without_answer(use: Use) -> None:
    """The only worker is busy: the ping is taken back, what waited there before stays."""
    started, released = Event(), Event()

    def consumer(message: Message) -> None:
        started.set()
        assert released.wait(PATIENCE)

    layer = use(layer_of(route("work", consumer), layer=Crossing()))
    with working(layer):
        layer.send("work", {})
        assert started.wait(PATIENCE)
        layer.send("work", {})
        try:
            with pytest.raises(CommandError, match=r"^work: no answer in 0\.01 s; 1 messages wait there\."):
                run("ping", "work", "--timeout", "0.01")
        finally:
            released.set()


def test_ping_leaves_nothing_behind(use: Use) -> None:
    """Its inbox is given up, so a second one has its own."""
    layer = use(layer_of(route("work", print), layer=Crossing()))
    with working(layer):
        for _ in range(2):
            run("ping", "work")
            assert not any(name.startswith("channels.ping") for name in layer.inboxes)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["wrok"], r"^no worker reads 'wrok'\. Did you mean 'work'\?$"),
        (["--count", "0"], r"^--count is 1 or more, not 0$"),
    ],
)
def test_pings_that_are_refused(use: Use, arguments: list[str], expected: str) -> None:
    """Before anything is sent."""
    use(layer_of(layer=Crossing())).announce(WORKER)
    with pytest.raises(CommandError, match=expected):
        run("ping", *arguments)


def test_ping_without_workers(use: Use) -> None:
    """The error has the command that starts one."""
    use(layer_of(layer=Crossing())).announce(SERVER)
    with pytest.raises(CommandError, match=r"no worker is alive on the channel layer .*: manage\.py runworker$"):
        run("ping")


# -- what was set aside ------------------------------------------------------------------------------------------------


def set_aside(layer: ChannelLayerWrapper, *channels: str) -> list[str]:
    """Set a message of each channel aside, and return their keys."""
    for channel in channels:
        layer.send(channel, {"n": 1})
        with layer.open_slot({channel: 0}) as slot:
            slot.take({channel: 1}, 1, timeout=0)
    return [letter.key for letter in layer.dead_letters()]


def test_nothing_is_set_aside(use: Use) -> None:
    """A sentence, not an empty table."""
    use(layer_of(layer=Crossing()))
    assert run("dead")[0] == "Nothing is set aside.\n"


def test_what_was_set_aside_is_listed(use: Use) -> None:
    """With why; contents only where they are asked for."""
    layer = use(layer_of(layer=Crossing(clock=lambda: NOW)))
    keys = set_aside(layer, "jobs", "thumbnails")
    text = run("dead")[0]
    assert text.splitlines()[0].split() == ["key", "channel", "age", "runs", "reason"]
    assert text.splitlines()[1].split()[:4] == [keys[0], "jobs", "0.0", "1"]
    assert "the processes that had taken it have ended" in text
    (row,) = json.loads(run("dead", "--json", "--channel", "thumbnails")[0])
    assert (row["channel"], row["content"]) == ("thumbnails", {"n": 1})


def test_what_was_set_aside_can_be_sent_again_or_dropped(use: Use) -> None:
    """All, those of a channel, or those that are named."""
    layer = use(layer_of(layer=Crossing()))
    keys = set_aside(layer, "jobs", "jobs", "thumbnails")
    assert run("dead", keys[0], "--resend")[0] == "1 message sent again.\n"
    assert taken(layer, "jobs") == [{"n": 1}]
    assert run("dead", "--drop", "--channel", "thumbnails")[0] == "1 message dropped.\n"
    assert run("dead", "--resend")[0] == "1 message sent again.\n"
    with pytest.raises(CommandError, match=f"has the key {keys[0]}; see channels dead"):
        run("dead", keys[0])


def test_a_full_queue_is_said(use: Use) -> None:
    """With how many went before."""
    layer = use(layer_of(layer=Crossing(capacity=1)))
    set_aside(layer, "jobs", "jobs")
    with pytest.raises(CommandError, match=r"^1 message sent again, then: channel 'jobs' is full"):
        run("dead", "--resend")


def test_long_reasons_are_cut_in_the_list(use: Use) -> None:
    """The whole is in the JSON."""
    layer = use(layer_of(layer=Crossing()))
    layer.send("jobs", {})
    custody = layer.open_custody()
    with layer.open_slot() as slot:
        (held,) = slot.take({"jobs": 1}, 1, timeout=0)
        slot.hand_over([held], custody)
    custody.bury(held, "why " * 50)
    assert run("dead")[0].splitlines()[1].endswith("why …")
    assert json.loads(run("dead", "--json")[0])[0]["reason"] == "why " * 50
