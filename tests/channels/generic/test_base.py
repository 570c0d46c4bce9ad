"""Dispatch by channel, decorators by attribute, routes to classes."""

import asyncio
from functools import partial
from typing import Any, ClassVar

import pytest

from channels import include, route_class
from channels.consumers import is_async, name_of
from channels.generic import AsyncConsumer, BaseConsumer
from channels.message import Message
from channels.routing import Router
from tests.channels.connection import Connection


class Recorder(BaseConsumer):
    """Notes what it is called with."""

    method_mapping: ClassVar = {"chat.said": "said", "chat.left": "left"}

    def said(self, message: Message, **kwargs: Any) -> None:
        self.called = "said", message, kwargs

    def left(self, message: Message, **kwargs: Any) -> None:
        self.called = "left", message, kwargs


class AsyncRecorder(AsyncConsumer):
    """As Recorder, to be awaited."""

    method_mapping: ClassVar = {"chat.said": "said"}

    async def said(self, message: Message, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        self.called = "said", message, kwargs


def message(channel: str = "chat.said", **content: Any) -> Message:
    """Return an event of a connection."""
    return Connection().message(channel, **content)


def test_method_is_chosen_by_channel() -> None:
    """Each channel has its method, which gets the message and the keyword arguments of the route."""
    said, left = message(), message("chat.left")
    assert Recorder(said, room="lobby").called == ("said", said, {"room": "lobby"})
    assert Recorder(left).called == ("left", left, {})


def test_instance_has_message_and_kwargs() -> None:
    """What the method gets is on the instance too."""
    said = message()
    consumer = Recorder(said, room="lobby")
    assert (consumer.message, consumer.kwargs) == (said, {"room": "lobby"})


def test_async_consumer_is_awaited() -> None:
    """Awaiting a call runs the method and gives the instance."""
    said = message()

    async def run() -> AsyncRecorder:
        return await AsyncRecorder(said, room="lobby")

    assert asyncio.run(run()).called == ("said", said, {"room": "lobby"})
    assert is_async(AsyncRecorder)
    assert not is_async(Recorder)


def test_unmapped_channels_have_no_route() -> None:
    """A channel that the class does not map is not its own, nor is one that begins or ends like one of its own."""
    router = Router([route_class(Recorder)])
    assert router.channels == {"chat.said", "chat.left"}
    assert router.match(message()) == (Recorder, {})
    for other in ("chat", "chat.said.twice", "chat.sai", "other"):
        assert router.match(message(other)) is None


def test_class_may_stand_below_a_prefix() -> None:
    """A route to a class in an included routing keeps the class and combines the filters."""
    router = Router([include([route_class(Recorder, path=r"^/(?P<room>\w+)$")], path="^/chat")])
    assert router.match(message(path="/chat/lobby")) == (Recorder, {"room": "lobby"})
    assert router.match(message(path="/lobby")) is None


def test_missing_method_is_told() -> None:
    """A mapping to a method that is not there is found when the route is made, with the likely name."""

    class Misspelt(Recorder):
        method_mapping: ClassVar = {"chat.said": "sayd"}

    with pytest.raises(ValueError, match=r"Misspelt\.method_mapping has 'sayd' for 'chat\.said'.*mean 'said'\?"):
        route_class(Misspelt)


# -- attributes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["channel_session", "channel_session_user"])
def test_attribute_gives_the_session(attribute: str) -> None:
    """What a decorator of the name would give, the attribute gives, and what is changed is saved."""

    class Keeper(Recorder):
        def said(self, message: Message, **kwargs: Any) -> None:
            message.channel_session["visits"] = message.channel_session.get("visits", 0) + 1
            self.called = "said", message, kwargs

    connection = Connection()
    route = Keeper.as_route(attrs={attribute: True})
    for visits in (1, 2):
        given = connection.run(route.consumer, "chat.said")
        assert given.channel_session["visits"] == visits
        assert hasattr(given, "user") is (attribute == "channel_session_user")


def test_attribute_gives_the_session_to_async_methods() -> None:
    """A coroutine method is decorated as a coroutine function is."""

    class Keeper(AsyncRecorder):
        channel_session_user = True

        async def said(self, message: Message, **kwargs: Any) -> None:
            self.called = "said", message, {"anonymous": message.user.is_anonymous}

    async def run() -> Keeper:
        return await Keeper(message())

    assert asyncio.run(run()).called[2] == {"anonymous": True}


def test_handler_need_not_be_a_method() -> None:
    """A static method, or any callable that an instance has, is decorated as well."""

    class Static(BaseConsumer):
        method_mapping: ClassVar = {"chat.said": "said"}
        channel_session = True

        @staticmethod
        def said(message: Message, **kwargs: Any) -> None:
            message.channel_session["room"] = kwargs["room"]

    assert Connection().run(partial(Static, room="lobby"), "chat.said").channel_session["room"] == "lobby"


def test_dispatch_can_be_overridden() -> None:
    """A subclass may stand in before the method is called."""

    class Closed(Recorder):
        def dispatch(self, message: Message, **kwargs: Any) -> None:
            self.called = "closed", message, kwargs

    said = message()
    assert Closed(said).called == ("closed", said, {})


# -- as_route ---------------------------------------------------------------------------------------------------------


def test_route_without_attributes_is_to_the_class() -> None:
    """Nothing new is made where nothing is changed."""
    made = Recorder.as_route(path="^/chat/", ordered=False)
    assert made.consumer is Recorder
    assert (list(made.filters), made.ordered) == (["path"], False)
    assert Recorder.as_route().ordered


def test_route_with_attributes_is_to_a_subclass() -> None:
    """The subclass has the attributes and the name; the class itself stays as it was."""
    mapping = {"chat.joined": "said"}
    made = Recorder.as_route(attrs={"method_mapping": mapping, "channel_session": True}, room="^lobby$")
    assert isinstance(made.consumer, type)
    assert issubclass(made.consumer, Recorder)
    assert made.consumer is not Recorder
    assert made.name == name_of(Recorder)
    assert (made.channels, list(made.filters)) == (("chat.joined",), ["room"])
    assert (Recorder.channel_session, Recorder.channel_names()) == (False, {"chat.said", "chat.left"})


def test_attributes_are_a_dict() -> None:
    """Anything else is told, with the class."""
    with pytest.raises(TypeError, match="attributes for a subclass of Recorder, not \\['channel_session'\\]"):
        Recorder.as_route(attrs=["channel_session"])  # type: ignore[arg-type]  # a list by mistake
