"""The pytest plugin, as projects use it: in a process of its own, with pytest-django and without."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.runserver import write_project

SETTINGS = """
SECRET_KEY = "for tests only"
INSTALLED_APPS = ["channels", "django.contrib.auth", "django.contrib.contenttypes"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.redis.RedisChannelLayer",
        "CONFIG": {"hosts": "redis://nowhere.invalid"},
        "ROUTING": "mysite.routing.channel_routing",
    },
}
"""
ROUTING = """
from channels import Channel, Group
from channels.routing import route


def ws_connect(message):
    Group("all").add(message.reply_channel)


def ws_receive(message):
    Channel("loud").send({"text": message["text"]})


def loud(message):
    Group("all").send({"text": message["text"].upper()})


def who(message):
    from django.contrib.auth.models import User

    message.reply_channel.send({"text": str(User.objects.count())})


channel_routing = [
    route("websocket.connect", ws_connect),
    route("websocket.receive", who, text=r"^who"),
    route("websocket.receive", ws_receive),
    route("loud", loud),
]
"""
WITHOUT_DATABASE = """
import django

django.setup()

from channels import Channel, route
from channels.test import WSClient


def test_clients(ws_client, assert_sent, assert_group_sent, assert_nothing_sent):
    other = WSClient()
    ws_client.connect("/")
    other.connect("/")
    ws_client.send_text("hello")
    assert other.receive() == "HELLO"
    assert_sent("loud", {"text": "hello"})
    assert_nothing_sent()


def test_groups(ws_client, assert_group_sent):
    ws_client.connect("/")
    ws_client.send_text("hello")
    assert_group_sent("all", {"text": "HELLO"})


def test_steps(channel_client, http_client, get_next_message, run_consumers):
    Channel("loud").send({"text": "a"})
    assert get_next_message("loud")["text"] == "a"
    Channel("loud").send({"text": "b"})
    assert run_consumers() == 1
    channel_client.send_and_consume("loud", {"text": "c"})
    assert http_client.reply_channel != channel_client.reply_channel


def test_routes(apply_routes, ws_client, channel_stage):
    apply_routes([route("websocket.receive", lambda message: message.reply_channel.send({"text": "mine"}))])
    ws_client.connect("/")
    ws_client.send_text("x")
    assert ws_client.receive() == "mine"
    channel_stage.advance(1)


def test_routes_are_put_back(ws_client):
    ws_client.connect("/")
    ws_client.send_text("x")
    assert ws_client.receive() == "X"
"""
WITH_DATABASE = """
import pytest
from django.contrib.auth.models import User
from django.db import transaction
from websockets.sync.client import connect

from channels import Group


@pytest.mark.django_db
def test_database_and_commits(ws_client):
    User.objects.create(username="ada")
    ws_client.connect("/")
    ws_client.send_text("who?")
    assert ws_client.receive() == 1
    transaction.on_commit(lambda: Group("all").send({"text": "committed"}))
    assert ws_client.receive() == "committed"


def test_live_server(live_channel_server):
    User.objects.create(username="ada")
    with connect(live_channel_server.ws_url, proxy=None) as socket:
        socket.send("who?")
        assert socket.recv(timeout=10) == "1"
    assert live_channel_server.url.startswith("http://localhost:")


@pytest.mark.django_db
def test_live_server_left_nothing(ws_client):
    assert not User.objects.exists()


def test_database_is_asked_for(ws_client):
    ws_client.connect("/")
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        ws_client.send_text("who?")
"""


@pytest.mark.parametrize(
    ("tests", "arguments", "passed"),
    [
        (WITHOUT_DATABASE, ["-p", "no:django"], 5),
        (WITHOUT_DATABASE, [], 5),
        (WITH_DATABASE, [], 4),
    ],
    ids=["alone", "beside pytest-django", "with a database"],
)
def test_fixtures(tmp_path: Path, tests: str, arguments: list[str], passed: int) -> None:
    """Every fixture does what the test cases do, with Redis in the settings and none there."""
    files = {"mysite/settings.py": SETTINGS, "mysite/routing.py": ROUTING, "test_site.py": tests}
    project = write_project(tmp_path, files)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *arguments],
        cwd=project,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{passed} passed" in ended.stdout, ended.stdout + ended.stderr
    assert ended.returncode == 0


def test_pytest_finds_it() -> None:
    """By the entry point of the distribution."""
    [entry] = entry_points(group="pytest11", name="channels")
    assert entry.value == "channels.test.plugin"
