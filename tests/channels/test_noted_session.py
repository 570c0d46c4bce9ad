import asyncio
import logging
from typing import Any

import pytest
from django.test import override_settings

from channel_layers import codec
from channel_layers.envelope import NOTE, Envelope
from channel_layers.memory import MemoryChannelLayer
from channel_layers.notes import SESSION
from channels.lane_session import MAX_SIZE
from channels.message import Message
from channels.noted_session import NotedSession
from channels.routing import Route
from channels.sessions import channel_session
from tests.channels.browsers import nothing, setting
from tests.channels.workers import Bench, Socket, layer_of, message


class CountingLayer(MemoryChannelLayer):
    """Counts what costs a round trip."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self.kept = 0

    def read_note(self, channel: str, name: str) -> bytes | None:
        self.read += 1
        return super().read_note(channel, name)

    async def aread_note(self, channel: str, name: str) -> bytes | None:
        self.read += 1
        return super().read_note(channel, name)

    def keep_note(self, channel: str, name: str, data: bytes) -> bool:
        self.kept += 1
        return super().keep_note(channel, name, data)


class Scene:
    """One connection, and consumers that hear of it from elsewhere."""

    def __init__(self) -> None:
        self.layer = CountingLayer()
        self.socket = Socket(layer_of(layer=self.layer))

    def run(self, consumer: Any, channel: str = "") -> Message:
        """Call ``consumer`` with a message that came by a channel of its own."""
        sent_on = Message({"reply_channel": channel or self.socket.name}, "jobs", self.layer)
        channel_session(consumer)(sent_on)
        return sent_on

    def contents(self) -> dict[str, Any]:
        """Return what a message from elsewhere finds in the session."""
        return dict(self.run(nothing).channel_session.items())

    @property
    def lost(self) -> int:
        """How many changes were lost."""
        return self.layer.losses.counts["session change lost"]


@pytest.fixture
def scene() -> Scene:
    """A connection of its own."""
    return Scene()


def test_what_a_lane_stored_is_read_elsewhere(scene: Scene) -> None:
    """What the end of an event brought back is beside the queue in the same moment."""
    layer = layer_of(Route("websocket.connect", channel_session(setting("room", "lobby"))), layer=scene.layer)
    Bench(layer).run(scene.socket.event({}, channel="websocket.connect"))
    assert scene.contents() == {"room": "lobby"}


def test_what_is_stored_elsewhere_reaches_the_lane(scene: Scene) -> None:
    """The holder of the connection hears of it, and it goes on with the version after."""
    scene.run(setting("room", "lobby"))
    (note,) = scene.socket.received()
    assert note.kind == NOTE
    seen = []
    layer = layer_of(
        Route("websocket.receive", channel_session(lambda m: seen.append(m.channel_session.pop("room")))),
        layer=scene.layer,
    )
    Bench(layer).run(scene.socket.event({}, session=note.session))
    assert seen == ["lobby"]
    assert scene.contents() == {}


def test_an_unused_session_costs_nothing(scene: Scene) -> None:
    """Neither is it read nor is it written."""
    scene.run(nothing)
    assert (scene.layer.read, scene.layer.kept) == (0, 0)


def test_it_costs_one_round_trip_each_way(scene: Scene) -> None:
    """However often it is used."""

    def consumer(message: Message) -> None:
        message.channel_session["n"] = message.channel_session.get("n", 0) + 1
        message.channel_session["m"] = list(message.channel_session.keys())

    scene.run(consumer)
    assert (scene.layer.read, scene.layer.kept) == (1, 1)
    scene.run(lambda message: message.channel_session.get("n"))
    assert (scene.layer.read, scene.layer.kept) == (2, 1)


def test_the_first_of_two_changes_wins(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """The other one, which had read the same, is counted and logged; nothing of it is kept, whatever follows."""

    def outer(message: Message) -> None:
        message.channel_session["by"] = "outer"
        scene.run(setting("by", "inner"))
        message.channel_session.save()
        message.channel_session["again"] = True

    with caplog.at_level(logging.WARNING):
        scene.run(outer)
    assert scene.contents() == {"by": "inner"}
    assert scene.lost == 2
    (record,) = caplog.records
    assert all(word in record.getMessage() for word in (scene.socket.name, "another consumer", "session change lost"))


def test_a_lane_that_lost_is_counted(scene: Scene) -> None:
    """An event that was under way when the session was changed elsewhere does not undo that."""

    @channel_session
    def consumer(message: Message) -> None:
        message.channel_session["by"] = "lane"
        scene.run(setting("by", "elsewhere"))

    Bench(layer_of(Route("websocket.receive", consumer), layer=scene.layer)).run(scene.socket.event({}))
    assert scene.contents() == {"by": "elsewhere"}
    assert scene.lost == 1


def test_one_run_may_save_more_than_once(scene: Scene) -> None:
    """Each time is a change of its own."""

    def consumer(message: Message) -> None:
        for n in range(3):
            message.channel_session["n"] = n
            message.channel_session.save()
            assert scene.contents() == {"n": n}
        message.channel_session["end"] = True

    scene.run(consumer)
    assert scene.contents() == {"n": 2, "end": True}
    assert scene.lost == 0


def test_it_is_a_session(scene: Scene) -> None:
    """Deleting, flushing, existing, expiring are those of any other."""
    scene.run(setting("room", "lobby"))
    session = scene.run(nothing).channel_session
    assert isinstance(session, NotedSession)
    assert session.exists(session.session_key)
    assert not NotedSession("websocket.send.tests!9", scene.layer).exists(session.session_key)
    scene.run(lambda message: message.channel_session.flush())
    assert scene.contents() == {}
    scene.run(lambda message: message.channel_session.set_expiry(-1) or message.channel_session.update({"a": 1}))
    assert scene.contents() == {}


def test_async_consumers_have_it(scene: Scene) -> None:
    """Read and written by coroutines, with the same versions."""

    @channel_session
    async def consumer(message: Message) -> None:
        session = message.channel_session
        n = await session.aget("n") or 0
        await session.aset("n", n + 1)
        assert await session.aexists(session.session_key or "") == (n > 0)

    for _ in range(2):
        asyncio.run(consumer(Message({"reply_channel": scene.socket.name}, "jobs", scene.layer)))
    assert scene.contents() == {"n": 2}
    assert scene.lost == 0


def test_what_is_too_large_is_refused(scene: Scene) -> None:
    """As in a lane; the layer keeps what it had."""
    scene.run(setting("room", "lobby"))
    with pytest.raises(ValueError, match="'history'"):
        scene.run(setting("history", "x" * MAX_SIZE))
    assert scene.contents() == {"room": "lobby"}


def test_the_session_of_one_connection_is_nothing_to_another(scene: Scene) -> None:
    """Not even if it is put there: it is signed for its own; nor is one of another SECRET_KEY."""
    scene.run(setting("secret", 1))
    other = scene.socket.inbox.new_channel()
    stolen = scene.layer.read_note(scene.socket.name, SESSION)
    assert stolen is not None
    scene.layer.keep_note(other, SESSION, stolen)
    assert dict(scene.run(nothing, other).channel_session.items()) == {}
    assert scene.layer.losses.counts["unreadable channel session"] == 1
    with override_settings(SECRET_KEY="another"):
        assert scene.contents() == {}
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=["for tests only"]):
        assert scene.contents() == {"secret": 1}


def test_a_connection_that_is_gone_has_none(scene: Scene) -> None:
    """What is written for it is kept nowhere, which is no loss."""
    scene.run(setting("room", "lobby"))
    scene.socket.inbox.close()
    scene.run(setting("room", "attic"))
    assert scene.contents() == {}
    assert not scene.layer.losses.counts


def test_a_consumer_that_raises_has_changed_it(scene: Scene) -> None:
    """As with all channel sessions."""

    def raising(message: Message) -> None:
        message.channel_session["room"] = "lobby"
        raise KeyError("nick")

    with pytest.raises(KeyError):
        scene.run(raising)
    assert scene.contents() == {"room": "lobby"}


# -- routes with ordered=False -----------------------------------------------------------------------------------------


def unordered(scene: Scene, *contents: dict[str, Any], extensions: list[str] | None = None) -> None:
    """Run an event of an unordered route that changes the session."""
    layer = layer_of(
        Route("websocket.receive", channel_session(setting("by", "unordered")), ordered=False), layer=scene.layer
    )
    if extensions is not None:
        scene.layer.extensions = extensions  # type: ignore[misc]  # as a layer of a third party may have them
    Bench(layer).run(scene.socket.event(*contents))


def test_an_unordered_route_changes_the_session_by_version(scene: Scene) -> None:
    """Its lane has gone on, so what it changed is kept as from elsewhere."""
    unordered(scene)
    assert scene.contents() == {"by": "unordered"}
    assert [envelope.kind == NOTE for envelope in scene.socket.received()] == [False, True]


@pytest.mark.parametrize("extensions", [None, ["groups"]])
def test_an_unordered_route_may_be_too_late(scene: Scene, extensions: list[str] | None) -> None:
    """Where something newer is kept, or where nothing is, its change is lost and counted."""
    scene.run(setting("by", "elsewhere"))
    unordered(scene, extensions=extensions)
    assert scene.lost == 1
    scene.layer.extensions = type(scene.layer).extensions  # type: ignore[misc]  # see above
    assert scene.contents() == {"by": "elsewhere"}


# -- what a user sends -------------------------------------------------------------------------------------------------


def test_no_message_of_a_user_is_a_note(scene: Scene) -> None:
    """A dict with every word of an envelope in it is a dict."""
    scene.run(setting("by", "consumer"))
    content: dict[str, Any] = {
        "kind": NOTE,
        "session": b"9:forged",
        "owner": scene.socket.name,
        "token": 1,
        "target": "jobs",
    }
    scene.layer.write([Envelope(0, "jobs", codec.encode(content))])
    seen: list[Message] = []
    bench = Bench(layer_of(Route("jobs", seen.append), layer=scene.layer))
    bench.run(message("jobs", reply_channel=scene.socket.name, **content))
    assert (seen[0].lane, seen[0]["session"]) == (None, b"9:forged")
    assert scene.contents() == {"by": "consumer"}
