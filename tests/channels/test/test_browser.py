"""Cookies, headers and sessions of a test's client."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import parse_cookie
from django.test import Client as DjangoClient

from channels import route
from channels.auth import channel_session_user, channel_session_user_from_http, http_session_user
from channels.message import Message
from channels.security.websockets import allowed_hosts_only
from channels.sessions import http_session
from channels.test import WSClient, apply_routes


@pytest.fixture
def ada(database: None) -> Any:
    """A user."""
    user = User.objects.create_user("ada", password="secret")
    yield user
    user.delete()


def headers_of(client: WSClient) -> dict[bytes, bytes]:
    """Connect and return the headers that the consumer gets."""
    seen: list[Any] = []
    with apply_routes(route("websocket.connect", lambda message: seen.append(message["headers"]))):
        client.connect()
    return dict(seen[0])


# -- cookies and headers -----------------------------------------------------------------------------------------------


def test_cookies_are_sent(client: WSClient) -> None:
    """The last value of each counts, and special characters come through Django's parser as they were."""
    client.set_cookie("color", "red")
    client.set_cookie("color", "blue")
    client.set_cookie("odd", 'a;b,c "d" \\ ü')
    assert client.get_cookies() == {"color": "blue", "odd": 'a;b,c "d" \\ ü'}
    sent = parse_cookie(headers_of(client)[b"cookie"].decode("latin-1"))
    assert sent == {"color": "blue", "odd": 'a;b,c "d" \\ ü'}
    assert parse_cookie(client.headers["cookie"]) == sent


def test_headers_are_sent(client: WSClient) -> None:
    """In lower case, beside host and origin; those of one handshake come on top."""
    assert client.headers == {"host": "testserver", "origin": "http://testserver"}
    client.set_header("User-Agent", "test")
    client.set_header("Origin", "http://example.com")
    assert headers_of(client) == {b"host": b"testserver", b"origin": b"http://example.com", b"user-agent": b"test"}
    with apply_routes(route("websocket.connect", lambda message: message["headers"])):
        other = WSClient()
        other.connect(headers={"Host": "example.com"})


def test_cookie_header_is_refused(client: WSClient) -> None:
    """Cookies have a way of their own."""
    with pytest.raises(ValueError, match=r"set by set_cookie\(\)"):
        client.set_header("Cookie", "a=b")


@pytest.mark.parametrize(("origin", "accepted"), [("http://testserver", True), ("http://evil.example", False)])
def test_origin_is_checked(client: WSClient, origin: str, accepted: bool) -> None:
    """A decorator that looks at the origin finds one, and may accept it."""
    client.set_header("origin", origin)
    with apply_routes(route("websocket.connect", allowed_hosts_only(lambda message: None))):
        try:
            client.connect()
        except AssertionError:
            assert not accepted
        else:
            assert accepted


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_session_is_the_browsers(client: WSClient, engine: str) -> None:
    """What the test puts there, a consumer finds, and what that changes, the test sees."""

    @http_session
    def consumer(message: Message) -> None:
        assert message.http_session is not None
        message.http_session["visits"] = message.http_session.get("visits", 0) + 1

    client.session["visits"] = 1
    with apply_routes(route("websocket.connect", consumer)):
        client.connect()
        assert client.session["visits"] == 2
        client.session["visits"] = 7
        client.disconnect()
        client.connect()
        assert client.session["visits"] == 8
    assert client.get_cookies() == {"sessionid": client.session.session_key}


def test_signed_cookie_session_is_read(client: WSClient) -> None:
    """An engine that keeps the data in the cookie itself works as well."""
    colors: list[str] = []

    @http_session
    def consumer(message: Message) -> None:
        assert message.http_session is not None
        colors.append(message.http_session["color"])

    client.session["color"] = "blue"
    with apply_routes(route("websocket.connect", consumer)):
        client.connect()
    assert colors == ["blue"]


# -- logins ------------------------------------------------------------------------------------------------------------


@channel_session_user_from_http
def greet(message: Message) -> None:
    """Say who has connected."""
    assert message.reply_channel is not None
    message.reply_channel.send({"text": f"hello {message.user.get_username()}"})


@channel_session_user
def tell(message: Message) -> None:
    """Say who has spoken."""
    assert message.reply_channel is not None
    message.reply_channel.send({"text": f"you are {message.user.get_username()}"})


ROUTES = [route("websocket.connect", greet), route("websocket.receive", tell)]


def test_user_is_logged_in(client: WSClient, ada: User, cached: None) -> None:
    """By name and password, which may be wrong, until they log out."""
    assert not client.login(username="ada", password="wrong")
    assert client.login(username="ada", password="secret")
    with apply_routes(ROUTES):
        client.connect()
        client.send_text("who am I?")
        assert [client.receive(), client.receive()] == ["hello ada", "you are ada"]
        client.disconnect()
        client.logout()
        client.connect()
        assert client.receive() == "hello "


def test_user_is_logged_in_by_force(client: WSClient, ada: User, cached: None) -> None:
    """Without a password, with the first backend of the settings."""
    client.force_login(ada)
    with apply_routes(ROUTES):
        client.connect()
        assert client.receive() == "hello ada"


def test_login_of_djangos_client_is_shared(client: WSClient, ada: User, cached: None) -> None:
    """Cookies can be those of the client that makes requests."""
    web = DjangoClient()
    web.force_login(ada)
    client.cookies = web.cookies
    with apply_routes(ROUTES):
        client.connect()
        assert client.receive() == "hello ada"


def test_first_event_may_be_in_the_midst(client: WSClient, ada: User, cached: None) -> None:
    """A client that never connected stands for one whose connect consumer has kept the login in the session."""
    client.force_login(ada)
    client.session["nick"] = "Ada"
    with apply_routes([*ROUTES, route("nick", http_session_user(lambda message: message.user.get_username()))]):
        client.send_and_consume("websocket.receive", text="who am I?")
        assert client.receive() == "you are ada"
        assert client.channel_session["nick"] == "Ada"
        other = WSClient()
        other.force_login(ada)
        assert other.send_and_consume("nick") == "ada"


def test_connect_begins_with_an_empty_session(client: WSClient, ada: User, cached: None) -> None:
    """A consumer that forgets to take the login from the browser's session does not find it."""
    client.force_login(ada)
    with apply_routes([route("websocket.connect", lambda message: None), route("websocket.receive", tell)]):
        client.connect()
        client.send_text("who am I?")
        assert client.receive() == "you are "


def test_channel_session_may_be_in_an_engine(
    client: WSClient, ada: User, cached: None, cached_channel_sessions: None
) -> None:
    """With ``CHANNEL_SESSION_ENGINE`` the same is true."""
    client.force_login(ada)
    with apply_routes(ROUTES):
        client.send_and_consume("websocket.receive", text="who am I?")
        assert client.receive() == "you are ada"
        assert client.channel_session["_auth_user_id"] == str(ada.pk)
