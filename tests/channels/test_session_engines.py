import asyncio
import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheSession
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.test import override_settings

from channels.lane_session import ChannelSession
from channels.message import Message
from channels.sessions import channel_session, http_session, session_for_reply_channel
from tests.channels.browsers import begun, cookie, nothing, setting, setting_http, stored
from tests.channels.connection import Connection

BACKENDS = "django.contrib.sessions.backends"
SIGNED_COOKIES = f"{BACKENDS}.signed_cookies"
CHANNEL = "websocket.send.tests!1"


# -- HTTP sessions -----------------------------------------------------------------------------------------------------


def test_data_can_be_changed(engine: str) -> None:
    """A consumer's change is stored under the key that the browser has, and saved once."""
    session = begun(color="red")
    message = Connection().run(http_session(setting_http("shape", "round")), **cookie(session))
    assert stored(session.session_key) == {"color": "red", "shape": "round"}
    assert message.http_session is not None
    assert not message.http_session.modified


def test_session_is_never_begun(engine: str) -> None:
    """A key that names nothing makes a session that can be read, is empty and cannot be saved."""
    unknown = {"query_string": "session_key=" + "a" * 32}
    message = Connection().run(http_session(lambda m: m.http_session.get("color")), **unknown)
    assert message.http_session is not None
    assert dict(message.http_session.items()) == {}
    with pytest.raises(ValueError, match="begin it in a view"):
        Connection().run(http_session(setting_http("color", "red")), **unknown)
    assert stored("a" * 32) == {}


def test_session_that_vanishes_meanwhile_is_not_begun_again(engine: str) -> None:
    """A logout in a view, while a consumer works on the session, is not undone."""
    session = begun(color="red")

    def consumer(message: Message) -> None:
        setting_http("shape", "round")(message)
        session.delete()

    with pytest.raises(ValueError, match="has expired or was flushed"):
        Connection().run(http_session(consumer), **cookie(session))
    assert stored(session.session_key) == {}


def test_async_consumer_begins_no_session(cached: None) -> None:
    """The errors are those of a plain consumer."""

    @http_session
    async def change(message: Message) -> None:
        assert message.http_session is not None
        await message.http_session.aset("color", "red")
        if message.get("text") == "delete":
            await message.http_session.adelete()

    with pytest.raises(ValueError, match="begin it in a view"):
        Connection().run(change, query_string="session_key=" + "a" * 32)
    with pytest.raises(ValueError, match="begin it in a view"):
        Connection().run(change, text="delete", **cookie(begun()))


def test_flushing_deletes_the_session(engine: str) -> None:
    """A consumer can log its browser out."""
    session = begun(color="red")
    Connection().run(http_session(lambda message: message.http_session.flush()), **cookie(session))
    assert stored(session.session_key) == {}


def test_key_cannot_be_changed(cached: None) -> None:
    """A new key, as a login wants it, would never reach the browser."""
    session = begun(color="red")
    with pytest.raises(ValueError, match="log in and out"):
        Connection().run(http_session(lambda message: message.http_session.cycle_key()), **cookie(session))

    @http_session
    async def cycle(message: Message) -> None:
        assert message.http_session is not None
        await message.http_session.acycle_key()

    with pytest.raises(ValueError, match="log in and out"):
        Connection().run(cycle, **cookie(session))
    assert stored(session.session_key) == {"color": "red"}


def test_expired_file_is_an_empty_session(empty_cache: None, tmp_path: Path) -> None:
    """The engine that wants to replace an expired session on reading it may not, by either kind of consumer."""
    with override_settings(SESSION_ENGINE=f"{BACKENDS}.file"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{BACKENDS}.file.SessionStore._storage_path", str(tmp_path), raising=False)
        session = begun(color="red")
        session.set_expiry(-1)
        session.save()
        message = Connection().run(http_session(lambda m: m.http_session.get("color")), **cookie(session))
        assert message.http_session is not None
        assert message.http_session.session_key is None
        assert list(tmp_path.iterdir()) == []
        asyncio.run(message.http_session.acreate())
        assert list(tmp_path.iterdir()) == []


# -- signed cookies ----------------------------------------------------------------------------------------------------


@pytest.fixture
def signed() -> Iterator[SessionBase]:
    """A browser's session that is in its cookie."""
    with override_settings(SESSION_ENGINE=SIGNED_COOKIES):
        yield begun(color="red")


def test_signed_cookie_is_read(signed: SessionBase) -> None:
    """Consumers of both kinds see what is in the cookie."""

    @http_session
    async def read(message: Message) -> None:
        assert message.http_session is not None
        assert await message.http_session.aget("color") == "red"

    message = Connection().run(http_session(lambda m: m.http_session["color"]), **cookie(signed))
    assert isinstance(message.http_session, SignedCookies)
    assert message.http_session["color"] == "red"
    assert Connection().run(read, **cookie(signed)).http_session is not None


@pytest.mark.parametrize("change", ["flush", "clear", "cycle_key", "save", "delete"])
def test_signed_cookie_cannot_be_changed(change: str, signed: SessionBase) -> None:
    """Whatever would need a cookie to be set is an error that says so."""
    with pytest.raises(ValueError, match="only the response to a request can set"):
        Connection().run(http_session(lambda m: getattr(m.http_session, change)()), **cookie(signed))


def test_assignment_to_a_signed_cookie_is_an_error(signed: SessionBase) -> None:
    """A value that nothing would keep is not dropped silently."""
    with pytest.raises(ValueError, match="choose another SESSION_ENGINE"):
        Connection().run(http_session(setting_http("shape", "round")), **cookie(signed))


@pytest.mark.parametrize("change", ["aset", "aflush", "adelete"])
def test_signed_cookie_cannot_be_changed_by_a_coroutine(change: str, signed: SessionBase) -> None:
    """The same goes for the coroutines."""

    @http_session
    async def consumer(message: Message) -> None:
        arguments = ("shape", "round") if change == "aset" else ()
        await getattr(message.http_session, change)(*arguments)

    with pytest.raises(ValueError, match="choose another SESSION_ENGINE"):
        Connection().run(consumer, **cookie(signed))


@pytest.mark.parametrize("key", ["expired", "forged-or-broken"])
def test_unreadable_signed_cookie_is_empty(key: str, signed: SessionBase) -> None:
    """A cookie that is not to be trusted is an empty session, and reading it is no change."""
    name = str(signed.session_key) if key == "expired" else key
    with override_settings(SESSION_COOKIE_AGE=-1 if key == "expired" else 60):
        read = http_session(lambda m: m.http_session.get("color"))
        message = Connection().run(read, query_string=f"session_key={name}")
    assert message.http_session is not None
    assert dict(message.http_session.items()) == {}


# -- channel sessions --------------------------------------------------------------------------------------------


def test_engine_shows_a_session_to_all(engine: str) -> None:
    """A value that is saved through one object of a reply channel is seen through another."""
    name = f"websocket.send.tests!{secrets.token_hex(8)}"
    with override_settings(CHANNEL_SESSION_ENGINE=engine):
        first = session_for_reply_channel(name)
        first["room"] = "lobby"
        first.save()
        first["nick"] = "ada"
        first.save()
        assert dict(session_for_reply_channel(name).items()) == {"room": "lobby", "nick": "ada"}
        assert dict(session_for_reply_channel(name + "1").items()) == {}


def test_engine_keeps_a_flushed_session_empty(engine: str) -> None:
    """After a flush nothing is stored, and what is set later is found under the same key."""
    name = f"websocket.send.tests!{secrets.token_hex(8)}"
    with override_settings(CHANNEL_SESSION_ENGINE=engine):
        connection = Connection(name)
        connection.run(channel_session(setting("room", "lobby")))
        connection.run(channel_session(lambda message: message.channel_session.flush()))
        assert not session_for_reply_channel(name).exists(str(session_for_reply_channel(name).session_key))
        connection.run(channel_session(setting("room", "attic")))
        assert dict(session_for_reply_channel(name).items()) == {"room": "attic"}


def test_engine_is_there_for_messages_from_elsewhere(cached_channel_sessions: None) -> None:
    """With an engine all messages have the session of their reply channel, and nothing travels with them."""
    connection = Connection()
    message = connection.run(channel_session(setting("room", "lobby")))
    assert not isinstance(message.channel_session, ChannelSession)
    assert connection.session is None
    elsewhere = Message({"reply_channel": CHANNEL}, "chat-messages", connection.layer)
    channel_session(nothing)(elsewhere)
    assert elsewhere.channel_session["room"] == "lobby"


def test_engine_stores_nothing_of_an_untouched_session(cached_channel_sessions: None) -> None:
    """A connection whose consumers leave the session alone leaves nothing behind."""
    Connection().run(channel_session(nothing))
    session = session_for_reply_channel(CHANNEL)
    assert not session.exists(str(session.session_key))


def test_engine_works_for_async_consumers(cached_channel_sessions: None) -> None:
    """The coroutines of an engine are used around an async def consumer."""

    @channel_session
    async def change(message: Message) -> None:
        await message.channel_session.aset("room", "lobby")

    @channel_session
    async def flush(message: Message) -> None:
        await message.channel_session.aflush()

    connection = Connection()
    connection.run(change)
    assert session_for_reply_channel(CHANNEL)["room"] == "lobby"
    connection.run(change)
    connection.run(flush)
    assert dict(session_for_reply_channel(CHANNEL).items()) == {}


def test_engine_cannot_be_signed_cookies() -> None:
    """There is no cookie to keep a channel session in."""
    with override_settings(CHANNEL_SESSION_ENGINE=SIGNED_COOKIES):
        with pytest.raises(ValueError, match="signed_cookies"):
            session_for_reply_channel(CHANNEL)
        with pytest.raises(ValueError, match="CHANNEL_SESSION_ENGINE"):
            Connection().run(channel_session(nothing))


def test_session_engine_is_the_default(cached: None) -> None:
    """Without CHANNEL_SESSION_ENGINE a session that is asked for by name is in SESSION_ENGINE, with a key as in 1.x."""
    session = session_for_reply_channel("test-reply-channel")
    assert isinstance(session, CacheSession)
    assert session.session_key == "chn" + hashlib.sha1(b"test-reply-channel").hexdigest()[:29]
