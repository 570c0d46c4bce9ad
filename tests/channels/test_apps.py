import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.test import override_settings

from channels import checks
from channels.apps import ChannelsConfig, take_over_runserver

WHITENOISE = "whitenoise.runserver_nostatic"

COMMAND = """from django.core.management.base import BaseCommand


class Command(BaseCommand):
    pass
"""


def forget_commands() -> None:
    """Let ``manage.py`` look for commands anew."""
    get_commands.cache_clear()  # type: ignore[attr-defined]  # the stub knows no functools.cache


@pytest.fixture(autouse=True)
def _commands() -> Iterator[None]:
    """Let each project find its commands, and leave those of the tests."""
    forget_commands()
    yield
    forget_commands()
    take_over_runserver()


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Make an app with a ``runserver`` of its own; return its name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def make(name: str) -> str:
        folder = tmp_path / Path(*name.split("."), "management", "commands")
        folder.mkdir(parents=True)
        (folder / "runserver.py").write_text(COMMAND)
        for package in (folder, *folder.parents):
            if tmp_path in package.parents:
                (package / "__init__.py").touch()
        return name

    yield make
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@contextmanager
def project(*installed: str) -> Iterator[None]:
    """Be a project with ``installed`` apps that has just started."""
    with override_settings(INSTALLED_APPS=list(installed)):
        # The override forgets the commands behind the start of the apps.
        apps.get_app_config("channels").ready()
        yield


def runserver() -> str:
    """Return the module of the ``runserver`` that ``manage.py`` would run."""
    return type(load_command_class(get_commands()["runserver"], "runserver")).__module__


OURS = "channels.management.commands.runserver"


@pytest.mark.parametrize(
    "installed",
    [
        ["channels"],
        ["channels", "django.contrib.staticfiles"],
        ["django.contrib.staticfiles", "channels"],
        ["django.contrib.staticfiles", "django.contrib.auth", "django.contrib.contenttypes", "channels"],
    ],
)
def test_runserver_is_ours_in_every_order(installed: list[str]) -> None:
    """With staticfiles and without, before it and behind it."""
    with project(*installed):
        assert runserver() == OURS
        assert checks.check_runserver() == []


@pytest.mark.parametrize("installed", [["channels", WHITENOISE], [WHITENOISE, "channels"]])
def test_whitenoise_stands_aside(app: Callable[[str], str], installed: list[str]) -> None:
    """Its ``runserver`` is Django's with one option preset, which ours presets as well."""
    app(WHITENOISE)
    with project(*installed):
        assert runserver() == OURS
        assert checks.check_runserver() == []


def test_runserver_of_another_app_is_kept(app: Callable[[str], str]) -> None:
    """Where it comes first; a system check says what that means."""
    name = app("serving_of_tests")
    with project(name, "channels"):
        assert runserver() == f"{name}.management.commands.runserver"
        assert [message.id for message in checks.check_runserver()] == ["channels.W001"]


def test_ours_goes_before_another_app_behind_it(app: Callable[[str], str]) -> None:
    """As Django has it: the app that is installed first."""
    name = app("later_of_tests")
    with project("channels", name):
        assert runserver() == OURS
        assert checks.check_runserver() == []


def test_app() -> None:
    """Its label is the one of 1.x."""
    config = apps.get_app_config("channels")
    assert isinstance(config, ChannelsConfig)
    assert (config.name, config.verbose_name) == ("channels", "Channels")


def test_bindings_of_every_app_are_found(app: Callable[[str], str], tmp_path: Path) -> None:
    """The module ``bindings`` of an app is imported when Django is set up, whether or not the routing ever is."""
    name = app("shop")
    (tmp_path / "shop" / "bindings.py").touch()
    assert "shop.bindings" not in sys.modules
    with project("channels", name):
        assert "shop.bindings" in sys.modules
