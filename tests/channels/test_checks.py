from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.management import get_commands
from django.test import override_settings

from channels import checks
from channels.routing import route

MEMORY = "channel_layers.memory.MemoryChannelLayer"

misspelt = [route("websocket.recieve", print)]
broken = [5]


def layer(**more: Any) -> Any:
    """Return a context with one layer."""
    return override_settings(CHANNEL_LAYERS={"default": {"BACKEND": MEMORY, "ROUTING": [], **more}})


def found(check: Callable[..., Any]) -> list[tuple[str | None, str]]:
    """Return ids and texts of what ``check`` says."""
    return [(message.id, message.msg) for message in check(app_configs=None)]


def test_good_project_has_nothing_to_complain_of() -> None:
    """Neither has one without layers."""
    for configs in ({}, {"default": {"BACKEND": MEMORY, "ROUTING": []}}):
        with override_settings(CHANNEL_LAYERS=configs):
            assert [found(c) for c in (checks.check_settings, checks.check_routing, checks.check_runserver)] == [[]] * 3


def test_checks_are_registered() -> None:
    """``manage.py check`` runs them."""
    registered = django_checks.registry.registry.get_checks()
    assert {checks.check_settings, checks.check_routing, checks.check_runserver} <= set(registered)


def test_e001_faults_of_channels() -> None:
    """Unknown keys and values of the setting of ours."""
    with override_settings(CHANNELS={"ACEPT": "explicit"}):
        ((identity, text),) = found(checks.check_settings)
    assert identity == "channels.E001"
    assert "Did you mean 'ACCEPT'?" in text


def test_e002_faults_of_channel_layers() -> None:
    """Each gets its line; nothing else is looked at in such an entry."""
    with override_settings(CHANNEL_LAYERS={"default": {"BAKEND": "no.such"}, "other": 5}):
        messages = found(checks.check_settings)
        assert [identity for identity, _ in messages] == ["channels.E002"] * 4
        assert "Did you mean 'BACKEND'?" in messages[0][1]
        assert found(checks.check_routing) == []


def test_e002_setting_that_is_no_dict() -> None:
    """It is said once."""
    with override_settings(CHANNEL_LAYERS=["default"]):
        assert found(checks.check_settings) == [("channels.E002", "CHANNEL_LAYERS is a dict, not list")]
        assert found(checks.check_routing) == []


@pytest.mark.parametrize(("alias", "hint"), [("defualt", "Rename 'defualt'."), ("chat", None)])
def test_w003_no_default_layer(alias: str, hint: str | None) -> None:
    """Most of what sends uses the default."""
    with override_settings(CHANNEL_LAYERS={alias: {"BACKEND": MEMORY, "ROUTING": []}}):
        (warning,) = checks.check_settings()
    assert (warning.id, warning.level, warning.hint) == ("channels.W003", django_checks.WARNING, hint)
    assert f"has no 'default', only ['{alias}']" in warning.msg


def test_e003_backend_that_cannot_be_imported() -> None:
    """With the error of the import."""
    with layer(BACKEND="no.such.Layer"):
        ((identity, text),) = found(checks.check_settings)
    assert identity == "channels.E003"
    assert "No module named 'no'" in text


@pytest.mark.parametrize(
    ("routing", "text"),
    [
        ("no.such.routing", "cannot import 'no.such.routing'"),
        (f"{__name__}.missing", "has no 'missing'"),
        (f"{__name__}.broken", "a routing holds route(), route_class() and include(), not 5"),
        ({"job queue": print}, "'job queue'"),
    ],
)
def test_e004_routing_that_cannot_be_built(routing: Any, text: str) -> None:
    """It names the layer."""
    with layer(ROUTING=routing):
        ((identity, found_text),) = found(checks.check_routing)
        assert found(checks.check_settings) == []
    assert identity == "channels.E004"
    assert found_text.startswith("CHANNEL_LAYERS['default']['ROUTING']: ")
    assert text in found_text


def test_w002_misspelt_names() -> None:
    """A channel that looks like one of the protocol."""
    with layer(ROUTING=f"{__name__}.misspelt"):
        (warning,) = checks.check_routing()
    assert (warning.id, warning.level) == ("channels.W002", django_checks.WARNING)
    assert "Did you mean 'websocket.receive'?" in warning.msg


@pytest.fixture
def commands() -> Iterator[dict[str, Any]]:
    """The commands of the project, as they were afterwards."""
    commands = get_commands()
    before = dict(commands)
    yield commands
    commands.clear()
    commands.update(before)


@pytest.mark.parametrize("command", ["serving", SimpleNamespace(name="serving")])
def test_w001_runserver_of_another_app(commands: dict[str, Any], command: Any) -> None:
    """It is named, and so is what to do about it."""
    commands["runserver"] = command
    (warning,) = checks.check_runserver()
    assert (warning.id, warning.level) == ("channels.W001", django_checks.WARNING)
    assert warning.msg == "the runserver of 'serving' is used: it serves no WebSockets"
    assert warning.hint == "Put 'channels' before it in INSTALLED_APPS."


@pytest.mark.parametrize("name", sorted(checks.REPLACEABLE))
def test_runserver_that_ours_stands_in_for_is_none(commands: dict[str, Any], name: str) -> None:
    """Django's, that of staticfiles, whitenoise's and ours."""
    commands["runserver"] = name
    assert checks.check_runserver() == []
