import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from channel_layers import codec
from channel_layers.exceptions import ChannelFull, InvalidContent, InvalidName, MessageTooLarge
from channel_layers.memory import MemoryChannelLayer
from channels.channel import Channel, Group
from channels.exceptions import ConsumeLater, DenyConnection
from channels.layers import ChannelLayerWrapper, InvalidChannelLayerError, channel_layers
from channels.routing import route
from tests.channels.workers import Bench, Socket, consume, layer_of, taken, texts


@pytest.fixture
def layer() -> ChannelLayerWrapper:
    """A layer of its own."""
    return layer_of()


@pytest.fixture
def socket(layer: ChannelLayerWrapper) -> Socket:
    """A connection on :func:`layer`."""
    return Socket(layer)


# -- names and layers --------------------------------------------------------------------------------------------------


def test_names_may_be_bytes(layer: ChannelLayerWrapper) -> None:
    """1.x took names as bytes; they are ASCII."""
    channel, group = Channel(b"jobs", channel_layer=layer), Group(b"all", channel_layer=layer)
    assert (channel.name, group.name) == ("jobs", "all")
    assert (str(channel), repr(channel), repr(group)) == ("jobs", "Channel('jobs')", "Group('all')")


def test_default_layer_is_the_default() -> None:
    """Without alias and layer it is the entry 'default' of the setting."""
    assert Channel("jobs").channel_layer is channel_layers["default"]
    assert Group("all").channel_layer is channel_layers["default"]


def test_alias_names_a_layer(layer: ChannelLayerWrapper) -> None:
    """Another alias is another layer; a layer given goes before it."""
    previous = channel_layers.set("other", layer)
    try:
        assert Channel("jobs", "other").channel_layer is layer
        assert Channel("jobs", "default", layer).channel_layer is layer
    finally:
        channel_layers.set("other", previous)


def test_unknown_alias_is_refused() -> None:
    """The error is that of the registry."""
    with pytest.raises(InvalidChannelLayerError, match="CHANNEL_LAYERS has no 'defualt'"):
        Channel("jobs", "defualt")


def test_raw_layer_is_taken() -> None:
    """A layer without a wrapper does as well."""
    raw = MemoryChannelLayer()
    Channel("jobs", channel_layer=raw).send({"n": 1})
    assert raw.receive(["jobs"]) == ("jobs", {"n": 1})


# -- outside consumers -------------------------------------------------------------------------------------------------


def test_send_leaves_at_once(layer: ChannelLayerWrapper) -> None:
    """Outside a consumer a verb that returned has been acknowledged."""
    Channel("jobs", channel_layer=layer).send({"n": 1})
    assert taken(layer, "jobs") == [{"n": 1}]


def test_group_reaches_its_members(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """A member is one from add() to discard(), given as a channel or by name."""
    other = socket.inbox.new_channel()
    group = Group("all", channel_layer=layer)
    group.add(Channel(socket.name, channel_layer=layer))
    group.add(other)
    group.add(other)
    assert sorted(group.channels()) == sorted([socket.name, other])
    group.discard(Channel(other, channel_layer=layer))
    group.discard(other)
    group.send({"text": "hello"})
    assert group.channels() == [socket.name]
    assert texts(socket.received()) == ["hello"]


def test_without_leaves_members_out(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """Those given, as channels or names, get nothing; all others do."""
    names = [socket.name, socket.inbox.new_channel(), socket.inbox.new_channel()]
    group = Group("all", channel_layer=layer)
    for name in names:
        group.add(name)
    group.send({"text": "hello"}, without=[Channel(names[0], channel_layer=layer), names[2]])
    (delivery,) = socket.inbox.receive(timeout=0)
    assert list(delivery.channels) == [names[1]]


def test_without_is_several_names(layer: ChannelLayerWrapper) -> None:
    """A single name would be read as its letters."""
    with pytest.raises(InvalidName, match=r"expected several channel names, not one; give it as \['jobs'\]"):
        Group("all", channel_layer=layer).send({"text": "hello"}, without="jobs")


def test_full_channel_raises(layer: ChannelLayerWrapper) -> None:
    """The error of the layer names channel and limit."""
    small = layer_of(capacity=1)
    Channel("jobs", channel_layer=small).send({})
    with pytest.raises(ChannelFull, match="'jobs' is full: 1 messages wait, the limit is 1"):
        Channel("jobs", channel_layer=small).send({})


def test_async_twins_leave_at_once(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """Each twin does what its verb does."""

    async def run() -> None:
        group = Group("all", channel_layer=layer)
        await group.aadd(socket.name)
        await group.asend({"text": "to all"})
        await group.asend({"text": "to others"}, without=[socket.name])
        await group.adiscard(socket.name)
        await group.asend({"text": "to nobody"})
        await Channel(socket.name, channel_layer=layer).asend({"text": "to one"})

    asyncio.run(run())
    assert texts(socket.received()) == ["to all", "to one"]


def test_async_twins_raise() -> None:
    """What the layer refuses is raised."""
    small = layer_of(capacity=1)

    async def run() -> None:
        await Channel("jobs", channel_layer=small).asend({})
        await Channel("jobs", channel_layer=small).asend({})

    with pytest.raises(ChannelFull, match="'jobs' is full"):
        asyncio.run(run())


# -- what cannot be sent -----------------------------------------------------------------------------------------------

Sender = Callable[[ChannelLayerWrapper, Socket], Any]

REFUSALS: list[tuple[Sender, type[Exception], str]] = [
    (lambda layer, _: Channel("jobs", channel_layer=layer).send([1]), TypeError, r"a message is a dict, not list"),  # type: ignore[arg-type]  # that is the fault
    (lambda layer, _: Group("all", channel_layer=layer).send("x"), ValueError, r"a message is a dict, not str"),  # type: ignore[arg-type]  # that is the fault
    (
        lambda layer, _: Channel("jobs", channel_layer=layer).send({"user": {"tags": {1}}}),
        InvalidContent,
        r"message\['user'\]\['tags'\]: set cannot travel",
    ),
    (
        lambda layer, socket: Channel(socket.name, channel_layer=layer).send({"txet": "hi"}),
        InvalidContent,
        r"no key 'txet': did you mean 'text'\?",
    ),
    (
        lambda layer, socket: Channel(socket.name, channel_layer=layer).send({"text": {}}),
        InvalidContent,
        r"'text' in a reply is str or None, not dict",
    ),
    (lambda layer, _: Channel("job queue", channel_layer=layer).send({}), InvalidName, "'job queue'"),
    (lambda layer, _: Group("", channel_layer=layer).send({}), InvalidName, "1 to 255 bytes"),
    (lambda layer, _: Group("all", channel_layer=layer).add("no name"), InvalidName, "'no name'"),
    (
        lambda layer, _: Channel("jobs", channel_layer=layer).send({"blob": b"x" * 3_000_000}),
        MessageTooLarge,
        "message for 'jobs' is 30000",
    ),
]


@pytest.mark.parametrize(("sender", "error", "text"), REFUSALS)
@pytest.mark.parametrize("inside", [False, True])
def test_fault_is_raised_at_send(
    layer: ChannelLayerWrapper, socket: Socket, sender: Sender, error: type[Exception], text: str, inside: bool
) -> None:
    """What cannot travel is refused where it is sent, in a consumer too, and nothing of it leaves."""

    def attempt(*args: object) -> None:
        with pytest.raises(error, match=text):
            sender(layer, socket)

    if inside:
        consume(attempt, layer)
    else:
        attempt()
    assert (taken(layer, "jobs"), socket.received()) == ([], [])


def test_member_of_another_layer_is_refused(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """A group reaches channels of its own layer only; the error names both layers and the way out."""
    other = layer_of(alias="other")
    group, channel = Group("all", channel_layer=other), Channel(socket.name, channel_layer=layer)
    for verb in (group.add, group.discard):
        with pytest.raises(ValueError, match=r"channel of layer default \(.*\), group 'all' is on other \(.*\): use "):
            verb(channel)


# -- inside consumers --------------------------------------------------------------------------------------------------


def test_sends_leave_in_order_when_the_consumer_returns(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """Nothing leaves before; then all of it does, to channels and groups, in the order of the calls."""
    group, reply = Group("all", channel_layer=layer), Channel(socket.name, channel_layer=layer)
    group.add(reply)

    def consumer(message: object) -> None:
        reply.send({"text": "1"})
        group.send({"text": "2"})
        reply.send({"text": "3"})
        Channel("jobs", channel_layer=layer).send({"n": 4})
        assert (socket.received(), layer.depth("jobs")) == ([], 0)

    consume(consumer, layer)
    assert texts(socket.received()) == ["1", "2", "3"]
    assert taken(layer, "jobs") == [{"n": 4}]


def test_sends_leave_when_the_consumer_raises(layer: ChannelLayerWrapper) -> None:
    """What a consumer said before its error is said."""

    def consumer(message: object) -> None:
        Channel("jobs", channel_layer=layer).send({"n": 1})
        raise LookupError("after the send")

    consume(consumer, layer)
    assert taken(layer, "jobs") == [{"n": 1}]


def test_immediately_takes_along_what_was_gathered(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """An immediate send leaves behind the sends before it, so their order is kept."""
    reply = Channel(socket.name, channel_layer=layer)

    def consumer(message: object) -> None:
        reply.send({"text": "1"})
        reply.send({"text": "2"}, immediately=True)
        assert texts(socket.received()) == ["1", "2"]
        reply.send({"text": "3"})
        assert socket.received() == []

    consume(consumer, layer)
    assert texts(socket.received()) == ["3"]


def test_group_send_can_be_immediate(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """As a channel's."""
    group = Group("all", channel_layer=layer)
    group.add(socket.name)

    def consumer(message: object) -> None:
        group.send({"text": "now"}, immediately=True)
        assert texts(socket.received()) == ["now"]

    consume(consumer, layer)
    assert socket.received() == []


def test_memberships_change_at_once(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """add() and discard() are not put off, and what was sent before them is sent first."""
    group = Group("all", channel_layer=layer)

    def consumer(message: object) -> None:
        group.send({"text": "before"})
        group.add(socket.name)
        assert group.channels() == [socket.name]
        group.send({"text": "member"})
        group.discard(socket.name)
        group.send({"text": "after"})
        assert group.channels() == []

    consume(consumer, layer)
    assert texts(socket.received()) == ["member"]


def test_content_is_taken_at_send(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """To change a dict after it was sent changes nothing of what arrives."""

    def consumer(message: object) -> None:
        content: dict[str, Any] = {"text": "as sent", "headers": []}
        Channel(socket.name, channel_layer=layer).send(content)
        content["text"] = "changed"
        content["headers"].append("changed")

    consume(consumer, layer)
    (envelope,) = socket.received()
    assert codec.decode(envelope.content) == {"text": "as sent", "headers": []}


@pytest.mark.parametrize("steering", [ConsumeLater, DenyConnection])
def test_sends_are_discarded(layer: ChannelLayerWrapper, steering: type[Exception]) -> None:
    """A consumer that will run again, or refuses, has not said what has not left; what it sent at once has."""
    jobs = Channel("jobs", channel_layer=layer)

    def consumer(message: object) -> None:
        jobs.send({"n": 1})
        jobs.send({"n": 2}, immediately=True)
        jobs.send({"n": 3})
        raise steering

    consume(consumer, layer)
    assert taken(layer, "jobs") == [{"n": 1}, {"n": 2}]


def test_only_the_sends_of_the_running_consumer_are_discarded(layer: ChannelLayerWrapper) -> None:
    """Those of the consumers before it, which are answered in the same write, are not."""

    def consumer(message: Any) -> None:
        Channel("jobs", channel_layer=layer).send({"n": message["n"]})
        if message["n"] == 2:
            raise ConsumeLater

    layer.routing = [route("websocket.receive", consumer)]
    socket = Socket(layer)
    Bench(layer).run(*[socket.event({"n": n}) for n in (1, 2, 3)])
    assert taken(layer, "jobs") == [{"n": 1}, {"n": 3}]


def test_refusal_at_the_flush_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The consumer has returned: the line names its route, and everything else leaves, the settlement too."""

    def consumer(message: Any) -> None:
        jobs, reply = Channel("jobs", channel_layer=small), message.reply_channel
        jobs.send({"n": 1})
        jobs.send({"n": 2})
        reply.send({"text": "done"})

    small = layer_of(route("websocket.receive", consumer), capacity=1)
    socket = Socket(small)
    Bench(small).run(socket.event())
    (line,) = [record for record in caplog.records if record.name == "channel_layers"]
    assert "test_refusal_at_the_flush_is_logged.<locals>.consumer was not sent: channel 'jobs' is full" in line.message
    (reply,) = socket.received()
    assert (codec.decode(reply.content), reply.token) == ({"text": "done"}, 1)
    assert taken(small, "jobs") == [{"n": 1}]


def test_refusal_of_an_immediate_send_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    """It raises in place; what was gathered before it and refused is logged, as it would have been at the end."""
    small = layer_of(channel_capacity={"full": 1, "jobs": 1})
    full, jobs = Channel("full", channel_layer=small), Channel("jobs", channel_layer=small)
    full.send({})
    seen = []

    def consumer(message: object) -> None:
        full.send({"gathered": True})
        jobs.send({"n": 1}, immediately=True)
        with pytest.raises(ChannelFull, match="'jobs' is full"):
            jobs.send({"n": 2}, immediately=True)
        seen.append("goes on")

    consume(consumer, small)
    assert seen == ["goes on"]
    assert [r.message for r in caplog.records if "was not sent: channel 'full' is full" in r.message] != []
    assert taken(small, "jobs") == [{"n": 1}]


def test_sends_to_another_layer_are_gathered_too(layer: ChannelLayerWrapper) -> None:
    """A consumer may send on several layers; each of its sends waits, leaves or is discarded as on its own."""
    other = layer_of(alias="other")
    jobs = Channel("jobs", channel_layer=other)

    def consumer(message: Any) -> None:
        jobs.send({"n": message["n"]})
        assert other.depth("jobs") == message["n"] - 1
        if message["n"] == 2:
            raise ConsumeLater

    consume(consumer, layer, n=1)
    consume(consumer, layer, n=2)
    assert taken(other, "jobs") == [{"n": 1}]


def test_immediate_send_to_another_layer_keeps_the_order(layer: ChannelLayerWrapper) -> None:
    """What was gathered, for either layer, leaves before it."""
    other = layer_of(alias="other", capacity=2)
    there, here = Channel("jobs", channel_layer=other), Channel("jobs", channel_layer=layer)

    def consumer(message: object) -> None:
        here.send({"n": 1})
        there.send({"n": 2})
        there.send({"n": 3}, immediately=True)
        assert (taken(layer, "jobs"), other.depth("jobs")) == ([{"n": 1}], 2)
        with pytest.raises(ChannelFull):
            there.send({"n": 4}, immediately=True)

    consume(consumer, layer)
    assert taken(other, "jobs") == [{"n": 2}, {"n": 3}]


def test_envelope_names_the_consumer(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """Whoever cannot deliver a message can say who sent it."""

    def consumer(message: object) -> None:
        Channel(socket.name, channel_layer=layer).send({"text": "x"})

    consume(consumer, layer)
    Channel(socket.name, channel_layer=layer).send({"text": "x"})
    inside, outside = socket.received()
    assert inside.route.endswith("test_envelope_names_the_consumer.<locals>.consumer")
    assert outside.route == ""


def test_async_twins_in_a_consumer(layer: ChannelLayerWrapper, socket: Socket) -> None:
    """send() gathers in a coroutine as well; a twin leaves at once, behind what was gathered."""
    group, reply = Group("all", channel_layer=layer), Channel(socket.name, channel_layer=layer)

    async def consumer(message: object) -> None:
        reply.send({"text": "1"})
        assert socket.received() == []
        await group.aadd(socket.name)
        assert texts(socket.received()) == ["1"]
        reply.send({"text": "2"})
        await group.asend({"text": "3"})
        reply.send({"text": "4"})
        await reply.asend({"text": "5"})
        assert texts(socket.received()) == ["2", "3", "4", "5"]
        await group.adiscard(socket.name)
        reply.send({"text": "6"})

    consume(consumer, layer)
    assert texts(socket.received()) == ["6"]


def test_async_twins_on_another_layer(layer: ChannelLayerWrapper) -> None:
    """What was gathered for the own layer leaves before; a refusal is raised in place."""
    other = layer_of(alias="other", capacity=1)
    seen = []

    async def consumer(message: object) -> None:
        await Channel("jobs", channel_layer=other).asend({"n": 1})
        Channel("jobs", channel_layer=layer).send({"n": 2})
        with pytest.raises(ChannelFull):
            await Channel("jobs", channel_layer=other).asend({"n": 3})
        seen.append(taken(layer, "jobs"))

    consume(consumer, layer)
    assert seen == [[{"n": 2}]]
    assert taken(other, "jobs") == [{"n": 1}]


def test_consumer_that_was_called_by_another_shares_its_sends(layer: ChannelLayerWrapper) -> None:
    """A plain call of a consumer, as a demultiplexer makes, is no consumer of its own."""

    def inner() -> None:
        Channel("jobs", channel_layer=layer).send({"n": 2})

    def outer(message: object) -> None:
        Channel("jobs", channel_layer=layer).send({"n": 1})
        inner()
        assert layer.depth("jobs") == 0

    consume(outer, layer)
    assert taken(layer, "jobs") == [{"n": 1}, {"n": 2}]


@override_settings(CHANNEL_LAYERS={})
def test_without_layers_there_is_a_setting_to_paste() -> None:
    """A project without the setting is shown it."""
    previous = channel_layers.set("default", None)
    try:
        with pytest.raises(InvalidChannelLayerError, match=r"put this into your settings:\n\nCHANNEL_LAYERS = \{"):
            Group("all")
    finally:
        channel_layers.set("default", previous)
