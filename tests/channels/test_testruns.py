"""In a run of tests no layer reaches another process, however the tests are run and whoever sends."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from django.test import override_settings
from django.test.utils import _TestState

from channel_layers.memory import MemoryChannelLayer
from channels import Channel, testruns
from channels.layers import ChannelLayerManager, ChannelLayerWrapper
from tests.channel_layers.redis.server import RedisServer
from tests.runserver import manage, write_project

SETTINGS = """
import os

SECRET_KEY = "for tests only"
INSTALLED_APPS = ["channels", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
ROOT_URLCONF = "mysite.urls"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.redis.RedisChannelLayer",
        "CONFIG": {"hosts": os.environ["REDIS"], "capacity": 5},
        "ROUTING": "mysite.routing.channel_routing",
    },
}
"""
ROUTING = """
from channels.routing import route

channel_routing = [route("orders", "shop.models.ship")]
"""
MODELS = """
from channels import Channel, Group

# Made when the models are imported, before a test runner says that it is one.
staff = Group("staff")
orders = Channel("orders")


def ship(message):
    staff.send({"text": "shipped"})


def order():
    orders.send({"number": 1})
    Channel("orders").send({"number": 2})
    staff.add("orders")
    staff.send({"text": "ordered"})
"""
APPS = """
from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        from channels import Group

        Group("staff").send({"text": "the shop opens"})
"""
URLS = """
from django.http import HttpResponse
from django.urls import path

from shop.models import order


def buy(request):
    order()
    return HttpResponse("bought")


urlpatterns = [path("buy/", buy)]
"""
TESTS = """
from django.test import SimpleTestCase, TestCase

from shop.models import order


class PlainTests(TestCase):
    def test_more_sends_than_a_queue_holds(self):
        for _ in range(50):
            order()

    def test_view(self):
        assert self.client.get("/buy/").content == b"bought"


class SimpleTests(SimpleTestCase):
    def test_send(self):
        order()
"""
FUNCTION_TESTS = """
import django

django.setup()

from shop.models import order


def test_send():
    order()
"""
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A real server, that the project's settings name."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that sends at every occasion."""
    files = {
        "mysite/settings.py": SETTINGS,
        "mysite/routing.py": ROUTING,
        "mysite/urls.py": URLS,
        "shop/__init__.py": "",
        "shop/models.py": MODELS,
        "shop/apps.py": APPS,
        "shop/tests.py": TESTS,
        "functions.py": FUNCTION_TESTS,
    }
    return write_project(tmp_path / "project", files)


def keys(server: RedisServer) -> int:
    """Return how many keys there are."""
    return int(server.ask("DBSIZE").removeprefix(b":"))


def test_a_plain_test_case_never_reaches_redis(project: Path, redis: RedisServer) -> None:
    """What leaves keys in Redis in any other process leaves none under ``manage.py test``."""
    environment = {"REDIS": redis.url}
    printed = manage(project, "test", environment=environment)
    assert "Ran 3 tests" in printed
    assert keys(redis) == 0
    manage(
        project, "shell", "--verbosity", "0", "-c", "from shop.models import order; order()", environment=environment
    )
    assert keys(redis) > 0


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (["shop/tests.py"], "3 passed"),
        (["-p", "no:django", "functions.py"], "1 passed"),
    ],
    ids=["pytest-django", "our plugin alone"],
)
def test_pytest_never_reaches_redis(project: Path, redis: RedisServer, arguments: list[str], passed: str) -> None:
    """Nor do tests run by pytest, with pytest-django or without."""
    variables = {**os.environ, "REDIS": redis.url, "DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": "."}
    ended = subprocess.run(
        [*PYTEST, *arguments], cwd=project, env=variables, capture_output=True, text=True, check=False
    )
    assert passed in ended.stdout, ended.stdout + ended.stderr
    assert keys(redis) == 0


# -- how a run of tests is known ---------------------------------------------------------------------------------------


class Elsewhere(MemoryChannelLayer):
    """Stands for a layer that other processes use."""

    crosses_processes: ClassVar[bool] = True


@pytest.fixture
def tests_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Django's ``setup_test_environment`` leaves behind."""
    monkeypatch.setattr(_TestState, "saved_data", SimpleNamespace(), raising=False)


@pytest.fixture
def configured() -> Any:
    """Settings with a layer that other processes use, with little room, and one in memory."""
    config = {
        "BACKEND": f"{__name__}.Elsewhere",
        "ROUTING": [],
        "CONFIG": {"capacity": 1, "expiry": 5},
        "TEST_CONFIG": {},
    }
    memory = {"BACKEND": "channel_layers.memory.MemoryChannelLayer", "ROUTING": [], "CONFIG": {"capacity": 1}}
    with override_settings(CHANNEL_LAYERS={"default": config, "memory": memory}):
        yield


def test_our_own_suite_is_no_run_of_a_projects_tests() -> None:
    """Here the layers are what the settings say."""
    assert not testruns.is_test_run()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["manage.py", "test"], True),
        (["/site/manage.py", "test", "shop"], True),
        (["/lib/django/__main__.py", "test"], True),
        (["django-admin", "test"], True),
        (["manage.py", "runserver"], False),
        (["manage.py"], False),
        (["bench.py", "test"], False),
        ([], False),
    ],
)
def test_command_line_tells(monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: bool) -> None:
    """Django's command, by its names, before it has set anything up."""
    monkeypatch.setattr(sys, "argv", arguments)
    testruns._is_test_command.cache_clear()
    assert testruns.is_test_run() is expected
    monkeypatch.undo()
    testruns._is_test_command.cache_clear()


def test_plugin_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours, as soon as pytest loads it."""
    monkeypatch.setattr(testruns._Announced, "by_plugin", False)
    testruns.announce()
    assert testruns.is_test_run()


def test_any_other_runner_tells(tests_run: None) -> None:
    """Whatever sets up Django's test environment."""
    assert testruns.is_test_run()


def test_process_without_tests_does_not_import_their_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """It only looks whether somebody else has."""
    monkeypatch.delitem(sys.modules, "django.test.utils")
    assert not testruns.is_test_run()
    assert "django.test.utils" not in sys.modules


# -- what the layers are then ------------------------------------------------------------------------------------------


def test_layer_made_before_is_not_used(configured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer of the settings gives way to one in memory, from the moment that tests run."""
    manager = ChannelLayerManager()
    before = manager["default"]
    assert isinstance(before.channel_layer, Elsewhere)
    with monkeypatch.context() as patch:
        patch.setattr(_TestState, "saved_data", SimpleNamespace(), raising=False)
        during = manager["default"]
        assert type(during.channel_layer) is MemoryChannelLayer
        assert manager["default"] is during
        assert type(manager.make_backend("default").channel_layer) is MemoryChannelLayer


@pytest.mark.parametrize("alias", ["default", "memory"])
def test_layer_of_a_plain_test_is_never_full(configured: None, tests_run: None, alias: str) -> None:
    """Nobody reads it, and all tests of a run share it; its other options are those of the settings."""
    manager = ChannelLayerManager()
    layer = manager[alias]
    for _ in range(2000):
        Channel("work", channel_layer=layer).send({})
    assert layer.expiry == (5 if alias == "default" else 60)


def test_nothing_is_said_of_messages_in_vain(
    configured: None, tests_run: None, caplog: pytest.LogCaptureFixture
) -> None:
    """That nobody reads a test's layer is no news."""
    Channel("work", channel_layer=ChannelLayerManager()["default"]).send({})
    assert caplog.text == ""


def test_layer_that_is_asked_for_is_used(configured: None, tests_run: None) -> None:
    """By its TEST_CONFIG, or one that the test puts there."""
    manager = ChannelLayerManager()
    assert isinstance(manager.make_test_backend("default").channel_layer, Elsewhere)
    mine = ChannelLayerWrapper(Elsewhere(), "default", [])
    manager.set("default", mine)
    assert manager["default"] is mine


def test_alias_that_is_none_is_told_as_ever(configured: None, tests_run: None) -> None:
    """The settings are checked as outside of tests."""
    with pytest.raises(ValueError, match="Did you mean 'default'"):
        ChannelLayerManager()["defualt"]
