import functools
import re
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels.consumers import is_async, load, loaded_consumer, name_of
from channels.routing import include, route
from tests.channels.routed import MODULE, ChatConsumer, consumer_1


@pytest.mark.parametrize("consumer", [None, 3, f"{MODULE}.number"])
def test_consumer_must_be_callable(consumer: Any) -> None:
    """What cannot be called is an error that shows it."""
    with pytest.raises(TypeError, match=re.escape(f"a consumer is a callable or its dotted path, not {consumer!r}")):
        loaded_consumer(consumer)


def test_consumer_may_be_a_dotted_path() -> None:
    """It is resolved when the route is made; what is a consumer already is taken as it is."""
    assert loaded_consumer(f"{MODULE}.ws_message") is loaded_consumer(consumer_1) is consumer_1
    assert route("chat", f"{MODULE}.ws_message").consumer is consumer_1


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("ws_message", "a dotted path is 'package.module.name'"),
        ("", "a dotted path is 'package.module.name'"),
        ("no_such_package.consumers.ws_message", "ModuleNotFoundError: No module named 'no_such_package'"),
        (f"{MODULE}.ws_mesage", f"module {MODULE!r} has no 'ws_mesage'. Did you mean 'ws_message'?"),
        (f"{MODULE}.zzz", f"module {MODULE!r} has no 'zzz'."),
    ],
)
def test_import_errors_are_explained(path: str, fault: str) -> None:
    """What cannot be imported is named, with what failed and a suggestion."""
    for make in (lambda: load(path), lambda: route("chat", path), lambda: include(path)):
        with pytest.raises(ImproperlyConfigured) as caught:
            make()
        assert str(caught.value) == f"cannot import {path!r}: {fault}"


@pytest.mark.parametrize(
    ("consumer", "name"),
    [
        (consumer_1, "consumer_1"),
        (ChatConsumer, "ChatConsumer"),
        (ChatConsumer.method, "ChatConsumer.method"),
        (ChatConsumer(None).method, "ChatConsumer.method"),
        (ChatConsumer(None), "ChatConsumer"),
        (functools.partial(consumer_1, None), "consumer_1"),
    ],
)
def test_name_of(consumer: object, name: str) -> None:
    """Functions, methods and classes have a dotted path; objects go by their class."""
    assert name_of(consumer) == f"{MODULE}.{name}"


class Awaited:
    """Its instances are awaited once they are made."""

    def __await__(self) -> Any: ...


class Called:
    """Its instances are consumers that are awaited."""

    async def __call__(self, message: Any) -> None: ...


async def consumer_3(message: Any) -> None:
    """Be awaited."""


@pytest.mark.parametrize(
    ("consumer", "awaited"),
    [
        (consumer_1, False),
        (consumer_3, True),
        (functools.partial(consumer_3, None), True),
        (ChatConsumer, False),
        (ChatConsumer(None).method, False),
        (Awaited, True),
        (Called(), True),
        (Called, False),
    ],
)
def test_what_is_awaited(consumer: Any, awaited: bool) -> None:
    """A function by how it is written, a class by its instance, which is the call itself."""
    assert is_async(consumer) is awaited
