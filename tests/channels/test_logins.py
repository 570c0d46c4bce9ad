"""Sockets end with the login that opened them."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, alogin, alogout, login, logout
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest
from django.test import Client, override_settings

from channels import route
from channels.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    follow_login,
    http_session_user,
    sockets_of,
)
from channels.channel import add_to_groups
from channels.layers import channel_layers
from channels.logins import LOGIN_ENDED, session_group, user_group
from channels.message import Message
from channels.sessions import channel_session
from channels.test import Stage, WSClient, apply_routes
from tests.channels.browsers import nothing

CONNECT, RECEIVE, DISCONNECT = "websocket.connect", "websocket.receive", "websocket.disconnect"
DB = "django.contrib.sessions.backends.db"
RECHECK = {"CHANNELS": {"AUTH_RECHECK": "every_message"}}


def say_who(message: Message) -> None:
    """Reply with the name of the user."""
    assert message.reply_channel is not None
    message.reply_channel.send({"text": message.user.get_username() or "nobody"})


async def say_who_async(message: Message) -> None:
    """Reply with the name of the user."""
    say_who(message)


async def nothing_async(message: Message) -> None:
    """Leave all as it is."""


CONNECTORS: list[Callable[[Message], Any]] = [
    channel_session_user_from_http(nothing),
    channel_session_user_from_http(nothing_async),
    http_session_user(nothing),
    http_session_user(nothing_async),
    channel_and_http_session_user_from_http(nothing),
    channel_and_http_session_user_from_http(nothing_async),
]


@pytest.fixture
def ada(database: None) -> Iterator[User]:
    """A user, and sessions in the database."""
    quick = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with override_settings(SESSION_ENGINE=DB, PASSWORD_HASHERS=quick):
        user = User.objects.create_user("ada", password="sesame")
        yield user
        User.objects.all().delete()  # those whom a test has added too: tests share the database


@pytest.fixture(params=CONNECTORS, ids=["channel", "channel async", "http", "http async", "both", "both async"])
def routes(request: pytest.FixtureRequest) -> list[Any]:
    """Routes with each of the decorators that ask for the user of the browser."""
    return [route(CONNECT, request.param), route([RECEIVE, DISCONNECT], nothing)]


USUAL = [
    route(CONNECT, channel_session_user_from_http(nothing)),
    route(RECEIVE, channel_session_user(say_who)),
    route(DISCONNECT, nothing),
]


def connected(user: User | None, path: str = "/") -> WSClient:
    """Return a client that is connected, from a browser in which ``user`` is logged in."""
    client = WSClient()
    if user is not None:
        client.force_login(user)
    client.connect(path)
    return client


def hears(stage: Stage, client: WSClient) -> tuple[int | None, str]:
    """Return with which code and reason a client was closed, ``None`` if it is open."""
    stage.settle()
    return client.close_code, client.close_reason


# -- what ends a login -------------------------------------------------------------------------------------------------


def test_a_logout_closes_the_sockets_of_its_session(stage: Stage, ada: User, routes: list[Any]) -> None:
    """Those of another browser of the same user stay, as does one without login."""
    with apply_routes(routes):
        gone, other, nobody = connected(ada), connected(ada), connected(None)
        gone.logout()
        assert hears(stage, gone) == (LOGIN_ENDED, "logged out")
        assert hears(stage, other)[0] is None
        assert hears(stage, nobody)[0] is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda user: user.set_password("another"), "password changed"),
        (lambda user: setattr(user, "is_active", False), "account deactivated"),
    ],
)
def test_a_save_that_ends_logins_closes_the_sockets(
    stage: Stage, ada: User, routes: list[Any], change: Callable[[User], None], reason: str
) -> None:
    """All of that user, whatever browser they are in."""
    bob = User.objects.create_user("bob")
    with apply_routes(routes):
        clients, other = [connected(ada), connected(ada)], connected(bob)
        change(ada)
        ada.save()
        assert [hears(stage, client) for client in clients] == [(LOGIN_ENDED, reason)] * 2
        assert hears(stage, other)[0] is None
    bob.delete()


def test_a_user_who_is_back_has_to_log_in_again(stage: Stage, ada: User) -> None:
    """Switched on is a change as well: what was said to those sockets may be out of date."""
    User.objects.filter(pk=ada.pk).update(is_active=False)
    with apply_routes(USUAL):
        client = connected(ada)
        sockets_of(ada).add(client.reply_channel)
        ada.is_active = True
        ada.save()
        assert hears(stage, client) == (LOGIN_ENDED, "account activated")


def test_an_account_that_is_deleted_closes_its_sockets(stage: Stage, ada: User) -> None:
    """As one that is switched off."""
    with apply_routes(USUAL):
        client = connected(ada)
        ada.delete()
        assert hears(stage, client) == (LOGIN_ENDED, "account deleted")


@pytest.mark.parametrize(
    "save",
    [
        lambda user: user.save(),
        lambda user: user.save(update_fields=["first_name"]),
        lambda user: user.save_base(raw=True),
        lambda user: User.objects.create_user("bob").delete(),
        lambda user: Group.objects.create(name="staff").delete(),
    ],
)
def test_other_saves_close_nothing(stage: Stage, ada: User, save: Callable[[User], object]) -> None:
    """Neither one of other fields, nor one that loads a fixture, nor one of something else."""
    with apply_routes(USUAL):
        client = connected(ada)
        ada.first_name = "Ada"
        save(ada)
        assert hears(stage, client)[0] is None


def test_a_password_among_the_fields_to_update_counts(stage: Stage, ada: User) -> None:
    """And only then: what is not saved ends no login."""
    with apply_routes(USUAL):
        client = connected(ada)
        ada.set_password("another")
        ada.save(update_fields=["last_login"])
        assert hears(stage, client)[0] is None
        ada.save(update_fields=["password"])
        assert hears(stage, client) == (LOGIN_ENDED, "password changed")


def test_a_login_of_the_past_saves_no_password(stage: Stage, ada: User) -> None:
    """``last_login`` is saved by each login, in a view of the same browser too: its sockets stay."""
    with apply_routes(USUAL):
        client = connected(ada)
        Client().force_login(ada)
        assert hears(stage, client)[0] is None


def test_what_is_no_commit_ends_no_login(stage: Stage, ada: User) -> None:
    """A password that is rolled back stays."""
    with apply_routes(USUAL):
        client = connected(ada)
        with transaction.atomic():
            ada.set_password("another")
            ada.save()
            transaction.set_rollback(True)
        assert hears(stage, client)[0] is None


def test_it_can_be_switched_off(stage: Stage, ada: User) -> None:
    """``CLOSE_ON_LOGOUT``: sockets are members of nothing then, and nobody asks what was saved before."""
    with apply_routes(USUAL), override_settings(CHANNELS={"CLOSE_ON_LOGOUT": False}):
        client = connected(ada)
        assert sockets_of(ada).channels() == []
        client.logout()
        ada.set_password("another")
        ada.save()
        assert hears(stage, client)[0] is None


def test_a_logout_of_nobody_is_nothing(stage: Stage, ada: User) -> None:
    """Neither is one without a request, as by a command of somebody's own."""
    with apply_routes(USUAL):
        client = connected(ada)
        user_logged_out.send(sender=User, request=None, user=ada)
        request = HttpRequest()
        request.session = SessionBase()
        user_logged_out.send(sender=None, request=request, user=None)
        assert hears(stage, client)[0] is None


def test_a_project_without_users_saves_what_it_likes(stage: Stage, ada: User) -> None:
    """Where AUTH_USER_MODEL names nothing that is installed, no model is a user."""
    with override_settings(AUTH_USER_MODEL="nobody.Nobody"):
        Group.objects.create(name="staff").delete()


@pytest.mark.parametrize("error", [ConnectionError("away"), ImproperlyConfigured("no layer")])
def test_a_layer_that_is_away_does_not_keep_anybody_from_logging_out(
    stage: Stage, ada: User, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, without the key of the session."""
    layer = channel_layers["default"].channel_layer

    def fails(*args: Any) -> None:
        raise error

    with apply_routes(USUAL), caplog.at_level(logging.ERROR, "django.channels"):
        client = connected(ada)
        key = client.session.session_key
        monkeypatch.setattr(layer, "send_group", fails)
        client.logout()
    assert f"could not be closed on layer 'default' (logged out): {error}" in caplog.text
    assert key is not None
    assert key not in caplog.text


# -- who is closed -----------------------------------------------------------------------------------------------------


def test_the_sockets_of_a_user_are_a_group(stage: Stage, ada: User) -> None:
    """Something can be sent to all of them."""
    with apply_routes(USUAL):
        clients = [connected(ada), connected(ada)]
        sockets_of(ada).send({"text": "for you"})
        assert [client.receive_text() for client in clients] == ["for you"] * 2


def test_names_of_groups_tell_no_key() -> None:
    """A group's name may be logged, and must not let its reader in."""
    assert user_group("7") == "channels.user.7"
    assert "secret" not in session_group("secret")
    assert session_group("a") != session_group("b")


def test_later_messages_join_nothing(stage: Stage, ada: User) -> None:
    """What a connect consumer has not asked for is not asked for later."""
    with apply_routes([route(CONNECT, nothing), route(RECEIVE, http_session_user(nothing))]):
        client = connected(ada)
        client.send_text("?")
        assert sockets_of(ada).channels() == []


def token_login(message: Message) -> None:
    """Put a login into the session of the connection, as a consumer does that takes a token."""
    user = User.objects.get(username=message["path"].strip("/"))
    message.channel_session[SESSION_KEY] = str(user.pk)
    message.channel_session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    message.channel_session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    follow_login(message)


def test_a_login_of_a_consumers_own_can_be_followed(stage: Stage, ada: User) -> None:
    """One that came by a token ends with the account's."""
    with apply_routes([route(CONNECT, channel_session(token_login)), *USUAL[1:]]):
        client = connected(None, "/ada/")
        client.send_text("?")
        assert client.receive_text() == "ada"
        ada.set_password("another")
        ada.save()
        assert hears(stage, client) == (LOGIN_ENDED, "password changed")


def test_nothing_is_followed_where_nobody_is_logged_in(stage: Stage, ada: User) -> None:
    """An empty session names nobody."""
    with apply_routes([route(CONNECT, channel_session(follow_login)), *USUAL[1:]]):
        assert connected(None).is_open


def test_a_logout_during_the_handshake_is_seen(stage: Stage, ada: User) -> None:
    """One that comes before its socket is a member: the session is read once more after that."""
    client = WSClient()
    client.force_login(ada)
    found: list[Any] = []

    def consumer(message: Message) -> None:
        found.append(message.user.is_authenticated)

    with pytest.MonkeyPatch.context() as patch:

        def add(*args: Any) -> None:
            other = Client()
            other.cookies = client.cookies
            other.logout()
            add_to_groups(*args)

        patch.setattr("channels.auth.add_to_groups", add)
        with apply_routes([route(CONNECT, http_session_user(consumer))]):
            client.connect("/")
    assert found == [False]


# -- in the connect consumer -------------------------------------------------------------------------------------------


def test_a_connect_consumer_logs_in_and_out(stage: Stage, ada: User) -> None:
    """By Django's own functions: the cookie goes with the handshake, and the next view knows the user."""

    def enter(message: Message) -> None:
        login(message.request, ada)

    def leave(message: Message) -> None:
        logout(message.request)

    client = WSClient()
    with apply_routes([route(CONNECT, enter, path="^/in/"), route(CONNECT, leave, path="^/out/")]):
        client.connect("/in/")
        assert client.session[SESSION_KEY] == str(ada.pk)
        other = WSClient()
        other.cookies = client.cookies
        other.connect("/out/")
        assert "sessionid" not in other.get_cookies()


def test_an_async_connect_consumer_logs_in_and_out(stage: Stage, ada: User) -> None:
    """By their twins."""

    async def enter(message: Message) -> None:
        await alogin(message.request, ada)

    async def leave(message: Message) -> None:
        await alogout(message.request)

    client = WSClient()
    with apply_routes([route(CONNECT, enter, path="^/in/"), route(CONNECT, leave, path="^/out/")]):
        client.connect("/in/")
        assert client.session[SESSION_KEY] == str(ada.pk)
        other = WSClient()
        other.cookies = client.cookies
        other.connect("/out/")
        assert "sessionid" not in other.get_cookies()


# -- looked at before each message -------------------------------------------------------------------------------------


def asked(client: WSClient) -> Any:
    """Return what a client is told of who it is, or the code it is closed with."""
    client.send_text("?")
    return client.close_code if client.close_code is not None else client.receive_text()


@pytest.fixture(params=[say_who, say_who_async])
def watched(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """Log-ins are looked at before each message, and consumers of both kinds are called."""
    with override_settings(**RECHECK):
        yield [USUAL[0], route(RECEIVE, channel_session_user(request.param)), route(DISCONNECT, nothing)]


@pytest.mark.parametrize(
    "end",
    [
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda user: User.objects.filter(pk=user.pk).update(password="another"),
        lambda user: User.objects.filter(pk=user.pk).delete(),
    ],
)
def test_the_next_message_finds_that_the_login_has_ended(
    stage: Stage, ada: User, watched: list[Any], end: Callable[[User], object]
) -> None:
    """Also by a query that sends no signal; its consumer is not called, and the disconnect is as ever."""
    with apply_routes(watched), override_settings(CHANNELS={**RECHECK["CHANNELS"], "CLOSE_ON_LOGOUT": False}):
        client = connected(ada)
        assert asked(client) == "ada"
        end(ada)
        assert asked(client) == LOGIN_ENDED


def test_the_next_message_finds_that_the_session_has_ended(stage: Stage, ada: User, watched: list[Any]) -> None:
    """A session that is deleted without a word, as by ``clearsessions``, ends the socket as well."""
    with apply_routes(watched):
        client = connected(ada)
        client.session.delete(client.session.session_key)
        assert asked(client) == LOGIN_ENDED


def test_the_next_message_finds_another_login_in_the_session(stage: Stage, ada: User, watched: list[Any]) -> None:
    """The browser is somebody else's by now."""
    bob = User.objects.create_user("bob")
    with apply_routes(watched):
        client = connected(ada)
        session = client.session
        session[SESSION_KEY] = str(bob.pk)
        session.save()
        assert asked(client) == LOGIN_ENDED
    bob.delete()


def test_who_was_never_logged_in_is_not_closed(stage: Stage, ada: User, watched: list[Any]) -> None:
    """There is no login that could have ended."""
    with apply_routes(watched):
        assert asked(connected(None)) == "nobody"


@pytest.mark.parametrize("consumer", [say_who, say_who_async])
def test_both_sessions_are_looked_at(stage: Stage, ada: User, consumer: Callable[[Message], Any]) -> None:
    """With the decorator that gives both sessions, too."""
    both = channel_and_http_session_user_from_http(consumer)
    with apply_routes([route([CONNECT, RECEIVE], both)]), override_settings(**RECHECK):
        client = connected(ada)
        assert client.receive_text() == "ada"
        assert asked(client) == "ada"
        client.session.delete(client.session.session_key)
        assert asked(client) == LOGIN_ENDED


def test_a_disconnect_is_heard_of_in_any_case(stage: Stage, ada: User) -> None:
    """A consumer that clears up is called, with nobody as the user."""
    seen: list[Any] = []

    @channel_session_user
    def clear(message: Message) -> None:
        seen.append(message.user == AnonymousUser())

    with apply_routes([USUAL[0], USUAL[1], route(DISCONNECT, clear)]), override_settings(**RECHECK):
        client = connected(ada)
        User.objects.filter(pk=ada.pk).update(is_active=False)
        assert asked(client) == LOGIN_ENDED
        stage.run_consumers()
    assert seen == [True]
