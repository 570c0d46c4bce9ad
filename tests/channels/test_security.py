import asyncio
from inspect import iscoroutinefunction
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.consumers import name_of
from channels.exceptions import DenyConnection
from channels.message import Message
from channels.security.websockets import AllowedHostsOnlyOriginValidator, BaseOriginValidator, allowed_hosts_only
from channels.sessions import channel_session
from tests.channels.connection import Connection


def consumer(message: Message, room: str = "") -> str:
    """Return what it was called with."""
    return f"connected {room}"


async def async_consumer(message: Message) -> str:
    """Return that it was called."""
    return "connected"


def handshake(headers: Any) -> Message:
    """Return a connect message with ``headers``."""
    return Connection().message("websocket.connect", headers=headers)


def connects(origin: str) -> bool:
    """Whether a page from ``origin`` may connect."""
    try:
        allowed_hosts_only(consumer)(handshake([[b"host", b"a.example"], [b"origin", origin.encode()]]))
    except DenyConnection:
        return False
    return True


@override_settings(ALLOWED_HOSTS=["a.example"])
def test_page_of_an_allowed_host_connects() -> None:
    """The consumer runs, with its arguments, and its result comes back."""
    headers = [[b"origin", b"http://a.example"]]
    assert allowed_hosts_only(consumer)(handshake(headers), room="lobby") == "connected lobby"


@override_settings(ALLOWED_HOSTS=["a.example"])
def test_page_of_another_host_is_denied() -> None:
    """The reason for the log names origin and validator."""
    with pytest.raises(DenyConnection, match=r"'http://b\.example' .* AllowedHostsOnlyOriginValidator"):
        allowed_hosts_only(consumer)(handshake([[b"origin", b"http://b.example"]]))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        None,
        {},
        [[]],
        [[b"origin"]],
        [[b"origin", b""]],
        [[b"origin", "http://ä.example".encode()]],
        [[b"origin", b"http://a.example"], [b"origin", b"http://a.example"]],
        [[b"x-origin", b"http://a.example"]],
    ],
)
@override_settings(ALLOWED_HOSTS=["a.example", "*"])
def test_handshake_without_one_plain_origin_is_denied(headers: Any) -> None:
    """No header, no value, nothing, several, or anything but ASCII: nobody is let in for want of an answer."""
    with pytest.raises(DenyConnection):
        allowed_hosts_only(consumer)(handshake(headers))


def test_message_without_headers_is_denied() -> None:
    """A message that is no handshake has no origin."""
    with pytest.raises(DenyConnection, match="no Origin"):
        allowed_hosts_only(consumer)(Connection().message())


@pytest.mark.parametrize("headers", [{"origin": b"http://a.example"}, {b"origin": "http://a.example"}])
@override_settings(ALLOWED_HOSTS=["a.example"])
def test_headers_may_be_those_of_2016(headers: Any) -> None:
    """A dict of headers, in text or bytes, is understood."""
    assert allowed_hosts_only(consumer)(handshake(headers)) == "connected "


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        (["a.example"], "https://a.example", True),
        (["a.example"], "https://a.example:8443", True),
        (["a.example"], "https://A.Example", True),
        (["a.example"], "https://a.example.", True),
        (["a.example"], "https://b.a.example", False),
        ([".a.example"], "https://b.a.example", True),
        ([".a.example"], "https://ba.example", False),
        (["*"], "https://anything.example", True),
        (["*"], "null", False),
        (["*"], "file://", False),
        (["*"], "a.example", False),
        (["*"], "://a.example", False),
        (["[::1]"], "http://[::1]:8000", True),
        (["a.example"], "http://a.example@evil.example", False),
        (["a.example"], "http://evil.example\\@a.example", False),
        (["a.example"], "http://a.example/", False),
        (["a.example"], "http://evil.example?a.example", False),
        (["a.example"], "http://a.example http://evil.example", False),
        ([], "http://localhost", False),
    ],
)
def test_hosts_match_as_in_django(allowed: list[str], origin: str, expected: bool) -> None:
    """The host counts, with Django's wildcards and without its port; what is no origin has none."""
    with override_settings(ALLOWED_HOSTS=allowed):
        assert connects(origin) is expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:8000", True),
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("http://a.example", False),
    ],
)
def test_this_machine_connects_in_debug(origin: str, expected: bool) -> None:
    """With DEBUG and nothing in ALLOWED_HOSTS pages of this machine may connect, and no others."""
    with override_settings(DEBUG=True, ALLOWED_HOSTS=[]):
        assert connects(origin) is expected
    with override_settings(DEBUG=True, ALLOWED_HOSTS=["b.example"]):
        assert not connects(origin)


@given(st.text(), st.sampled_from(["", "https://", "https://a.example"]), st.text(max_size=3))
@settings(deadline=None)
def test_only_an_origin_passes(before: str, middle: str, after: str) -> None:
    """Whatever stands around an allowed origin, it passes only where it still is one of that host."""
    origin = before + middle + after
    with override_settings(ALLOWED_HOSTS=["a.example"]):
        if connects(origin):
            scheme, _, authority = origin.partition("://")
            assert scheme
            assert authority.lower().rstrip("0123456789").rstrip(":").rstrip(".") == "a.example"


def test_validator_is_subclassed() -> None:
    """A subclass sees message and origin and decides."""

    class OnlyRoom(BaseOriginValidator):
        def validate_origin(self, message: Message, origin: str) -> bool:
            return origin == f"https://{message.content['path'].strip('/')}"

    decorated: Any = OnlyRoom(consumer)
    headers = [[b"origin", b"https://lobby"]]
    assert decorated(Connection().message(path="/lobby/", headers=headers)) == "connected "
    with pytest.raises(DenyConnection, match="OnlyRoom"):
        decorated(Connection().message(path="/attic/", headers=headers))


def test_base_validator_has_to_be_subclassed() -> None:
    """The base class says what is missing."""
    with pytest.raises(NotImplementedError, match="has to define validate_origin"):
        BaseOriginValidator(consumer)(handshake([[b"origin", b"https://a.example"]]))


@override_settings(ALLOWED_HOSTS=["a.example"])
def test_methods_are_checked() -> None:
    """It decorates methods; the message is their second argument."""

    class Chat:
        @allowed_hosts_only
        def connect(self, message: Message) -> str:
            return type(self).__name__

    assert Chat().connect(handshake([[b"origin", b"https://a.example"]])) == "Chat"
    with pytest.raises(DenyConnection):
        Chat().connect(handshake([]))


@override_settings(ALLOWED_HOSTS=["a.example"])
def test_async_consumers_are_checked() -> None:
    """It decorates async def consumers, also below another decorator."""
    decorated = channel_session(allowed_hosts_only(async_consumer))
    assert iscoroutinefunction(decorated)
    assert asyncio.run(decorated(handshake([[b"origin", b"https://a.example"]]))) == "connected"
    with pytest.raises(DenyConnection):
        asyncio.run(decorated(handshake([])))


def test_metadata_are_kept() -> None:
    """The decorated consumer has the name of the one that is checked, and 1.x's two names are one."""
    decorated = allowed_hosts_only(consumer)
    assert name_of(decorated) == name_of(consumer)
    assert decorated.__doc__ == consumer.__doc__
    assert allowed_hosts_only is AllowedHostsOnlyOriginValidator
