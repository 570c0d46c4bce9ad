import asyncio
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any

import pytest

from channels.consumers import name_of
from channels.decorators import Scope, around, message_of
from channels.message import Message
from tests.channels.connection import Connection


class Recorder(Scope):
    """Notes when it is entered and left, and may refuse to be entered."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.notes: list[Any] = []

    def enter(self, message: Message) -> None:
        self.notes.append("enter")
        if self.refusal:
            raise self.refusal

    def leave(self, message: Message, error: BaseException | None) -> None:
        self.notes.append(error)


class Consumer:
    """A consumer that is an object."""

    def __call__(self, message: Message, room: str) -> str:
        return room

    def method(self, message: Message, room: str) -> str:
        """Return the room."""
        return room


class AsyncConsumer:
    """A consumer that is an object, to be awaited."""

    async def __call__(self, message: Message, room: str) -> str:
        return room


def function(message: Message, room: str) -> str:
    """Return the room."""
    return room


async def coroutine_function(message: Message, room: str) -> str:
    """Return the room."""
    return room


def raising(message: Message) -> None:
    """Raise."""
    raise KeyError("room")


async def raising_later(message: Message) -> None:
    """Raise."""
    raise KeyError("room")


@pytest.fixture
def message() -> Message:
    """Return an event."""
    return Connection().message()


@pytest.mark.parametrize("consumer", [function, Consumer().method, Consumer(), partial(function)])
def test_plain_consumer_runs_between_enter_and_leave(consumer: Any, message: Message) -> None:
    """The scope is entered before the call and left after it; arguments and result pass through."""
    recorder = Recorder()
    assert around(consumer, recorder)(message, room="lobby") == "lobby"
    assert recorder.notes == ["enter", None]


@pytest.mark.parametrize("consumer", [coroutine_function, partial(coroutine_function), AsyncConsumer()])
def test_coroutine_function_stays_one(consumer: Any, message: Message) -> None:
    """An async def consumer is still one when it is decorated, and the scope is around its run."""
    recorder = Recorder()
    decorated = around(consumer, recorder)
    assert iscoroutinefunction(decorated)
    running = decorated(message, room="lobby")
    assert recorder.notes == []
    assert asyncio.run(running) == "lobby"
    assert recorder.notes == ["enter", None]


def test_scope_is_told_of_an_exception(message: Message) -> None:
    """What a consumer raises is given to the scope and goes on."""
    recorder = Recorder()
    with pytest.raises(KeyError) as plain:
        around(raising, recorder)(message)
    with pytest.raises(KeyError) as awaited:
        asyncio.run(around(raising_later, recorder)(message))
    assert recorder.notes == ["enter", plain.value, "enter", awaited.value]


@pytest.mark.parametrize("consumer", [function, coroutine_function])
def test_scope_that_cannot_be_entered_is_not_left(consumer: Any) -> None:
    """If entering raises, the consumer is not called and the scope is not left."""
    recorder = Recorder(ValueError("not now"))
    with pytest.raises(ValueError, match="not now"):
        Connection().run(around(consumer, recorder))
    assert recorder.notes == ["enter"]


def test_scope_does_nothing_by_itself(message: Message) -> None:
    """The hooks of a scope are optional, in both kinds of consumer."""
    assert around(function, Scope())(message, room="lobby") == "lobby"
    assert asyncio.run(around(coroutine_function, Scope())(message, room="lobby")) == "lobby"


@pytest.mark.parametrize("consumer", [function, coroutine_function, Consumer.method])
def test_metadata_are_kept(consumer: Any) -> None:
    """A decorated function looks like the one it was."""
    decorated = around(consumer, Scope())
    kept = ("__module__", "__name__", "__qualname__", "__doc__")
    assert [getattr(decorated, key) for key in kept] == [getattr(consumer, key) for key in kept]
    assert decorated.__wrapped__ is consumer


@pytest.mark.parametrize(
    "consumer", [function, coroutine_function, Consumer.method, Consumer().method, Consumer(), partial(function)]
)
def test_name_is_kept(consumer: Any) -> None:
    """Routes and logs name the consumer, not its decorator."""
    assert name_of(around(consumer, Scope())) == name_of(consumer)


def test_method_is_bound() -> None:
    """A decorated function in a class body is a method; its message is the second argument."""

    class Chat:
        name = "chat"

        @partial(around, scope=Scope())
        def receive(self, message: Message, room: str) -> str:
            return f"{self.name} {room}"

    assert Chat().receive(Connection().message(), room="lobby") == "chat lobby"


def test_message_is_the_first_argument_or_the_second(message: Message) -> None:
    """A subclass is a message as well."""

    class Special(Message):
        pass

    special = Special({}, "test", message.channel_layer)
    assert message_of(function, (message,)) is message
    assert message_of(function, (function, message)) is message
    assert message_of(function, (special, message)) is special


@pytest.mark.parametrize("before", [(), ("self", "extra"), ({"text": "no message"},)])
def test_call_without_message_is_an_error(before: tuple[Any, ...], message: Message) -> None:
    """A message anywhere else is not looked for, and the error names the consumer."""
    arguments = (*before, message) if len(before) == 2 else before
    with pytest.raises(ValueError, match=r"test_decorators\.function was called without a Message"):
        around(function, Scope())(*arguments)


def test_other_decorators_may_stand_between(message: Message) -> None:
    """Decorators of a project can be put between ours."""
    recorder = Recorder()

    @wraps(function)
    def loud(message: Message, room: str) -> str:
        return around(function, recorder)(message, room).upper()

    assert around(loud, recorder)(message, room="lobby") == "LOBBY"
    assert recorder.notes == ["enter", "enter", None, None]
