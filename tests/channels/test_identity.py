"""No connection ever sees the session or the user of another one, in whatever order things happen."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from django.contrib.auth import login
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import User
from django.contrib.sessions.backends.cache import SessionStore
from django.http import HttpRequest
from django.test import override_settings

from channel_layers import codec
from channel_layers.envelope import DONE, GROUP, MESSAGE, NOTE, Envelope, read_done
from channel_layers.exceptions import InvalidContent
from channel_layers.memory import MemoryChannelLayer
from channel_layers.messages import WEBSOCKET_KIND
from channels import Channel, Group
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.layers import ChannelLayerWrapper
from channels.message import Message
from channels.routing import CONNECT, RECEIVE, Route
from channels.sessions import channel_session, enforce_ordering
from daphne.config import Config
from daphne.lane import DISCONNECT, Lane
from tests.channels.workers import Bench, default_layer, layer_of

NAMES = ("ada", "bob", "")
"""Who the browsers are logged in as."""
INTERLEAVINGS, PORTIONS = 10_000, 5
FORGED: dict[str, Any] = {
    "accept": True,
    "text": "mine",
    "token": 1,
    "owner": "",
    "kind": DONE,
    "session": b"99:0:e30:",
    "channel_session": {"name": "eve"},
    "user": 1,
}
"""What somebody may write who hopes that it settles a lane, or becomes a session."""


class Backend(BaseBackend):
    """Knows users that are in no database."""

    users: ClassVar[dict[int, User]] = {number: User(pk=number, username=name) for number, name in enumerate(NAMES, 1)}

    def get_user(self, user_id: int) -> User | None:
        return self.users.get(user_id)


def cookie_of(number: int) -> list[list[bytes]]:
    """Return headers of a browser in which that user is logged in."""
    if not NAMES[number]:
        return []
    request = HttpRequest()
    request.session = SessionStore()
    login(request, Backend.users[number + 1], f"{__name__}.Backend")
    request.session.save()
    return [[b"cookie", f"sessionid={request.session.session_key}".encode()]]


@dataclass
class Connection:
    """A connection of the interface server: its lane, and what it should be to consumers."""

    lane: Lane
    name: str
    planned: list[str]
    events: int
    handled: list[int] = field(default_factory=list)
    jobs: int = 0


class World:
    """An interface server, workers, and what consumers were told; the schedule is by chance."""

    def __init__(self, seed: int, layer: ChannelLayerWrapper, cookies: list[list[list[bytes]]]) -> None:
        self.random = random.Random(seed)
        self.layer = layer
        self.raw: MemoryChannelLayer = layer.channel_layer  # type: ignore[assignment]  # it is one
        self.benches = [Bench(layer) for _ in range(2)]
        self.slot = self.raw.open_slot()
        self.inbox = self.raw.open_inbox(WEBSOCKET_KIND)
        self.connections: dict[str, Connection] = {}
        self.claimed: list[Envelope] = []
        for name in [*self.random.sample(NAMES, 2), self.random.choice(NAMES)]:
            channel = self.inbox.new_channel()
            planned = [CONNECT, *[RECEIVE] * self.random.randrange(3), DISCONNECT]
            self.connections[channel] = Connection(Lane(channel, "/", Config()), name, planned, len(planned))
        self.cookies = cookies

    def play(self) -> None:
        """Do what can be done, in an order by chance, until all connections have ended and all is handled."""
        while moves := self._moves():
            self.random.choice(moves)()
        self.slot.settle([])
        self.slot.close()

    def _moves(self) -> list[Any]:
        waiting = [connection for connection in self.connections.values() if connection.planned]
        moves: list[Any] = [lambda each=each: self._push(each) for each in waiting]
        moves += [lambda each=each: self._run(each) for each in self.claimed]
        depth = sum(self.raw.depth(channel) for channel in self.layer.router.channels)
        if depth:
            moves.append(self._take)
        if self.inbox.entries:
            moves.append(self._deliver)
        return moves

    def _push(self, connection: Connection) -> None:
        """Something happens on a socket."""
        event = connection.planned.pop(0)
        content: dict[str, Any] = {}
        if event == CONNECT:
            content["headers"] = self.cookies[NAMES.index(connection.name)]
        elif event == RECEIVE:
            content["text"] = self.random.choice(["all", "job", "back", "keep", "forge"])
        connection.lane.push(event, content)
        self._advance(connection.lane)

    def _advance(self, lane: Lane) -> None:
        envelope = lane.take()
        if envelope is not None:
            self.raw.write([envelope])

    def _take(self) -> None:
        """A worker takes what waits, and is in no hurry to run it."""
        self.claimed += self.slot.take(dict.fromkeys(self.layer.router.channels, 3), 3, timeout=0)

    def _run(self, envelope: Envelope) -> None:
        self.claimed.remove(envelope)
        self.random.choice(self.benches).run(envelope)

    def _deliver(self) -> None:
        """The interface server reads its inbox, and does what :mod:`daphne.delivery` does."""
        for channels, envelope in self.inbox.receive(timeout=0):
            for channel in channels:
                connection = self.connections[channel]
                if envelope.kind in (MESSAGE, GROUP):
                    codec.decode(envelope.content)
                elif envelope.kind == NOTE and envelope.session is not None:
                    connection.lane.keep(envelope.session)
                if envelope.token:
                    self._settle(connection, envelope)

    def _settle(self, connection: Connection, envelope: Envelope) -> None:
        under_way = connection.lane.under_way
        assert under_way is not None, "a lane was settled that had nothing under way"
        assert connection.lane.settle(envelope.token, read_done(envelope), envelope.session)
        ended = connection.events - len(connection.planned) - connection.lane.waiting
        assert len(connection.handled) == ended, "a lane was settled by something else than its consumer's end"
        self._advance(connection.lane)


world: World


def check(message: Message) -> Connection:
    """Compare what the message says of its connection with what the connection is."""
    connection = world.connections[message["reply_channel"]]
    assert message.user.get_username() == connection.name
    assert message.channel_session.get("name") == connection.name
    assert message.channel_session.get("channel") == connection.lane.channel
    return connection


@channel_session_user_from_http
def connect(message: Message) -> None:
    """Note in the session whose it is."""
    connection = world.connections[message["reply_channel"]]
    assert message.user.get_username() == connection.name
    assert dict(message.channel_session.items()).keys().isdisjoint({"name", "channel"})
    message.channel_session["name"] = connection.name
    message.channel_session["channel"] = connection.lane.channel
    Group("all").add(message["reply_channel"])
    connection.handled.append(message["order"])


@enforce_ordering
@channel_session_user
def receive(message: Message) -> None:
    """Send the message on as it is, or something that was made up."""
    connection = check(message)
    connection.handled.append(message["order"])
    assert message.reply_channel is not None
    match message["text"]:
        case "all":
            Group("all").send(message.content)
        case "job":
            Channel("jobs").send(message.content)
        case "back":
            message.reply_channel.send(message.content)
        case "keep":
            message.channel_session["kept"] = message["order"]
        case "forge":
            forge(connection)


def forge(connection: Connection) -> None:
    """Send the forged dict everywhere."""
    for name in world.connections:
        with pytest.raises(InvalidContent):
            Channel(name).send(dict(FORGED))
    Group("all").send({**FORGED, "reply_channel": connection.lane.channel})
    Channel("jobs").send({**FORGED, "reply_channel": connection.lane.channel})


@channel_session_user
def disconnect(message: Message) -> None:
    """See that all is as it was."""
    check(message).handled.append(message["order"])


@channel_session
def job(message: Message) -> None:
    """A message without a lane: what is kept of its connection is that connection's, or nothing once it is gone."""
    connection = world.connections[message["reply_channel"]]
    found = dict(message.channel_session.items())
    if found:
        assert (found["name"], found["channel"]) == (connection.name, connection.lane.channel)
        message.channel_session["jobs"] = found.get("jobs", 0) + 1
    connection.jobs += 1


@pytest.fixture
def scene(cached: None) -> Iterator[ChannelLayerWrapper]:
    """A layer with these consumers, and sessions in the cache."""
    routes = [Route(CONNECT, connect), Route(RECEIVE, receive), Route(DISCONNECT, disconnect), Route("jobs", job)]
    layer = layer_of(*routes)
    with (
        override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.Backend"]),
        pytest.MonkeyPatch.context() as patch,
        default_layer(layer),
    ):
        patch.setattr(User, "save", lambda *args, **kwargs: None)  # the time of a login
        yield layer


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_no_connection_sees_another(scene: ChannelLayerWrapper, portion: int) -> None:
    """Ten thousand interleavings of connect, receive, disconnect and forwards, by two workers that take their time."""
    global world  # noqa: PLW0603 - consumers are functions of a module
    cookies = [cookie_of(number) for number in range(len(NAMES))]
    for seed in range(portion, INTERLEAVINGS, PORTIONS):
        world = World(seed, scene, cookies)
        world.play()
        for connection in world.connections.values():
            assert connection.handled == list(range(connection.events)), f"not so with seed {seed}"
            assert connection.lane.idle
        world.inbox.close()
