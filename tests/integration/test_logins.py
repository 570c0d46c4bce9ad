"""Log-ins and the sockets that they opened, with two servers, a worker, Redis and a database."""

from __future__ import annotations

import http.cookiejar
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.channel_layers.redis.server import RedisServer
from tests.integration.project import make_project
from tests.runserver import PATIENCE, RunServer, manage, receive, running, working

SETTINGS = """
import os

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE / "users.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS += ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
CHANNEL_LAYERS["default"]["BACKEND"] = "channel_layers.redis.RedisChannelLayer"
CHANNEL_LAYERS["default"]["CONFIG"] = {"hosts": HOSTS}
CHANNELS = {"AUTH_RECHECK": os.environ.get("RECHECK", "connect")}
"""
CONSUMERS = """
from channels.auth import channel_session_user, channel_session_user_from_http


@channel_session_user_from_http
def connect(message):
    pass


@channel_session_user
def receive(message):
    message.reply_channel.send({"text": message.user.username or "nobody"})


def count(message):
    session = message.request.session
    session["visits"] = session.get("visits", 0) + 1
    message.set_cookie("theme", "dark", max_age=60)


def visits(message):
    message.reply_channel.send({"text": message.request.path})
"""
ROUTING = """
from channels.routing import route

from mysite import consumers

channel_routing = [
    route("websocket.connect", consumers.count, path="^/count/$"),
    route("websocket.connect", consumers.connect),
    route("websocket.receive", consumers.visits, path="^/count/$"),
    route("websocket.receive", consumers.receive),
]
"""
URLS = """
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path


def enter(request, name):
    login(request, User.objects.get_or_create(username=name, defaults={"password": "!"})[0])
    return HttpResponse(request.session.session_key)


def leave(request):
    logout(request)
    return HttpResponse()


def change(request, name):
    user = User.objects.get(username=name)
    user.set_password("another")
    user.save()
    return HttpResponse()


def switch_off(request, name):
    user = User.objects.get(username=name)
    user.is_active = False
    user.save()
    return HttpResponse()


def switch_off_quietly(request, name):
    User.objects.filter(username=name).update(is_active=False)
    return HttpResponse()


def rename(request, name):
    user = User.objects.get(username=name)
    user.first_name = "Ada"
    user.save()
    return HttpResponse()


def visits(request):
    return HttpResponse(str(request.session.get("visits")))


urlpatterns = [
    path("enter/<name>/", enter),
    path("leave/", leave),
    path("change/<name>/", change),
    path("switch-off/<name>/", switch_off),
    path("switch-off-quietly/<name>/", switch_off_quietly),
    path("rename/<name>/", rename),
    path("visits/", visits),
]
"""


class Site:
    """Two servers of one project."""

    def __init__(self, first: RunServer, second: RunServer) -> None:
        self.servers = [first, second]


class Visitor:
    """A browser: its cookies, and the sockets that it opens with them."""

    def __init__(self, site: Site, stack: ExitStack) -> None:
        self._site = site
        self._stack = stack
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.jar)
        )

    def get(self, path: str) -> str:
        """Return the answer of the first server."""
        with self._opener.open(self._site.servers[0].url + path, timeout=PATIENCE) as response:
            return str(response.read().decode())

    @property
    def cookies(self) -> dict[str, str | None]:
        """The cookies."""
        return {cookie.name: cookie.value for cookie in self.jar}

    def sockets(self, path: str = "/") -> list[ClientConnection]:
        """Open a socket at each of the servers."""
        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        return [
            self._stack.enter_context(server.connect(path, additional_headers=header)) for server in self._site.servers
        ]


@pytest.fixture(scope="module")
def make_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Site]]:
    """Start a project with the given ``AUTH_RECHECK``, once each."""
    started: dict[str, Site] = {}
    with ExitStack() as stack:

        def start(recheck: str) -> Site:
            if recheck not in started:
                started[recheck] = stack.enter_context(sites(tmp_path_factory.mktemp("logins"), recheck))
            return started[recheck]

        yield start


@contextmanager
def sites(directory: Path, recheck: str) -> Iterator[Site]:
    """Run two servers and a worker until the block ends."""
    redis = RedisServer(directory)
    redis.start()
    head = f"BASE = Path({str(directory)!r})\nHOSTS = {redis.url!r}\n"
    project = make_project(directory / "site", head + SETTINGS, consumers=CONSUMERS, routing=ROUTING, urls=URLS)
    environment = {"RECHECK": recheck}
    try:
        manage(project, "migrate", "--verbosity", "0")
        options = ("--noreload", "--noworker")
        with (
            running(project, *options, environment=environment) as first,
            running(project, *options, environment=environment) as second,
            working(project, environment=environment),
        ):
            yield Site(first, second)
    finally:
        redis.kill()


@pytest.fixture
def visitor(make_site: Callable[[str], Site]) -> Iterator[Callable[[], Visitor]]:
    """Make browsers, of a site with the usual settings."""
    with ExitStack() as stack:
        yield lambda: Visitor(make_site("connect"), stack)


@pytest.fixture
def watched(make_site: Callable[[str], Site]) -> Iterator[Callable[[], Visitor]]:
    """Make browsers, of a site that looks at log-ins before each message."""
    with ExitStack() as stack:
        yield lambda: Visitor(make_site("every_message"), stack)


def who(socket: ClientConnection) -> str | bytes:
    """Ask the application who a socket's user is."""
    socket.send("?")
    return receive(socket)


def closed(socket: ClientConnection) -> tuple[int, str]:
    """Return code and reason of the close that a socket is about to get."""
    with pytest.raises(ConnectionClosed) as error:
        receive(socket)
    assert error.value.rcvd is not None
    return error.value.rcvd.code, error.value.rcvd.reason


def test_a_logout_closes_the_sockets_of_that_browser(visitor: Callable[[], Visitor]) -> None:
    """On both servers, and none of another browser of the same user."""
    one, other = visitor(), visitor()
    for each in (one, other):
        each.get("/enter/lisa/")
    gone, stay = one.sockets(), other.sockets()
    assert [who(socket) for socket in gone + stay] == ["lisa"] * 4
    one.get("/leave/")
    assert [closed(socket) for socket in gone] == [(4401, "logged out")] * 2
    assert [who(socket) for socket in stay] == ["lisa"] * 2


@pytest.mark.parametrize(
    ("path", "reason"), [("/change/{}/", "password changed"), ("/switch-off/{}/", "account deactivated")]
)
def test_an_end_of_the_login_closes_all_sockets_of_the_user(
    visitor: Callable[[], Visitor], path: str, reason: str
) -> None:
    """Of every browser and on both servers; those of other users stay, and so do all when something else is saved."""
    name = reason.replace(" ", "-")
    one, other, stranger = visitor(), visitor(), visitor()
    for each, user in ((one, name), (other, name), (stranger, "stranger")):
        each.get(f"/enter/{user}/")
    gone, stay = one.sockets() + other.sockets(), stranger.sockets()
    stranger.get(f"/rename/{name}/")
    assert [who(socket) for socket in gone] == [name] * 4
    stranger.get(path.format(name))
    assert [closed(socket) for socket in gone] == [(4401, reason)] * 4
    assert [who(socket) for socket in stay] == ["stranger"] * 2


def test_what_no_signal_tells_is_found_by_the_next_message(watched: Callable[[], Visitor]) -> None:
    """With ``every_message`` a queryset's ``update()`` ends a socket as well, before its consumer is called."""
    one, other = watched(), watched()
    one.get("/enter/mia/")
    other.get("/enter/noah/")
    gone, stay = one.sockets(), other.sockets()
    assert [who(socket) for socket in gone + stay] == ["mia", "mia", "noah", "noah"]
    other.get("/switch-off-quietly/mia/")
    for socket in gone:
        socket.send("?")
        assert closed(socket) == (4401, "login ended")
    assert [who(socket) for socket in stay] == ["noah"] * 2


def test_without_that_setting_the_next_message_is_anonymous(visitor: Callable[[], Visitor]) -> None:
    """The user is looked at whenever a consumer uses it."""
    one = visitor()
    one.get("/enter/olga/")
    sockets = one.sockets()
    one.get("/switch-off-quietly/olga/")
    assert [who(socket) for socket in sockets] == ["nobody"] * 2


def test_cookies_travel_in_the_response_to_the_handshake(visitor: Callable[[], Visitor]) -> None:
    """A session that the connect consumer begins, and a cookie that it sets: in the 101, and good for the next view."""
    one = visitor()
    (socket, _) = one.sockets("/count/")
    assert socket.response is not None
    set_cookies = socket.response.headers.get_all("Set-Cookie")
    assert socket.response.status_code == 101
    theme, session = sorted(set_cookies, reverse=True)
    assert theme.startswith("theme=dark; ")
    assert "Max-Age=60" in theme
    assert session.startswith("sessionid=")
    assert "HttpOnly" in session
    key = session.removeprefix("sessionid=").partition(";")[0]
    request = urllib.request.Request(one._site.servers[1].url + "/visits/", headers={"Cookie": f"sessionid={key}"})
    with one._opener.open(request, timeout=PATIENCE) as response:
        assert response.read() == b"1"
    socket.send("?")
    assert receive(socket) == "/count/"


def test_a_session_key_in_the_address_stays_out_of_the_log(visitor: Callable[[], Visitor]) -> None:
    """Of server and worker, also where a page is asked for with it."""
    one = visitor()
    key = one.get("/enter/pia/")
    server = one._site.servers[1]
    with server.connect(f"/?session_key={key}") as socket:
        assert who(socket) == "pia"
    server.get(f"/visits/?session_key={key}")
    server.mark()
    server.wait_for("WS CLOSE /")
    assert "session_key=***" in server.output
    assert key not in "".join(each.output for each in one._site.servers)
