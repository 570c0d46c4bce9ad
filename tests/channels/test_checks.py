import select
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.core import checks as django_checks
from django.core.management import call_command, get_commands
from django.core.management.base import SystemCheckError
from django.test import override_settings

from channel_layers.memory import MemoryChannelLayer
from channel_layers.problems import Kind, Problem
from channels import checks
from channels.backends import LOCAL, REDIS
from channels.layers import channel_layers
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
    """Neither has one that says it has no layers."""
    for configs in ({}, {"default": {"BACKEND": MEMORY, "ROUTING": []}}):
        with override_settings(CHANNEL_LAYERS=configs):
            assert [found(c) for c in (checks.check_settings, checks.check_routing, checks.check_runserver)] == [[]] * 3


def test_checks_are_registered() -> None:
    """``manage.py check`` runs them."""
    registered = django_checks.registry.registry.get_checks()
    assert {checks.check_settings, checks.check_routing, checks.check_runserver} <= set(registered)
    deployment = set(django_checks.registry.registry.get_checks(include_deployment_checks=True)) - set(registered)
    assert {checks.check_deployment} <= deployment


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


def test_w003_no_layer_at_all() -> None:
    """An app that is installed and not set up is silent otherwise: the setting is there to paste."""
    with override_settings(ROOT_URLCONF="shop.urls"):
        del settings.CHANNEL_LAYERS
        (warning,) = checks.check_settings()
    assert (warning.id, warning.level) == ("channels.W003", django_checks.WARNING)
    assert warning.msg.startswith("there is no CHANNEL_LAYERS: ")
    assert '"ROUTING": "shop.routing.channel_routing"' in str(warning.hint)


def test_e003_backend_that_cannot_be_imported() -> None:
    """With the error of the import."""
    with layer(BACKEND="no.such.Layer"):
        ((identity, text),) = found(checks.check_settings)
    assert identity == "channels.E003"
    assert "No module named 'no'" in text


def test_values_of_the_wrong_type() -> None:
    """Of options of the server and of a layer: without a server, a layer or the network."""
    config = {"hosts": ["redis://nowhere.invalid"], "send_timeout": "5"}
    with layer(BACKEND=REDIS, CONFIG=config), override_settings(CHANNELS={"PING_INTERVAL": "5"}):
        assert found(checks.check_settings) == [
            ("channels.E001", "CHANNELS['PING_INTERVAL'] is a number, 0 or more, not '5'"),
            ("channels.E003", "CHANNEL_LAYERS['default']['CONFIG']['send_timeout'] is a number, not '5'"),
        ]


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


# -- check --deploy ----------------------------------------------------------------------------------------------------


class Troubled(MemoryChannelLayer):
    """Finds one problem of each kind."""

    crosses_processes = True

    def problems(self) -> list[Problem]:
        return [Problem(kind, f"the layer is {kind.name}", "mend it") for kind in Kind]


@pytest.fixture
def _fresh_layers() -> Iterator[None]:
    """Let the default layer be made anew, and put back what was there."""
    before = channel_layers.set("default", None)
    yield
    channel_layers.set("default", before)


@pytest.mark.usefixtures("_fresh_layers")
def test_w005_and_e005_problems_of_a_layer() -> None:
    """Risks are warnings; what keeps the layer from working, now or for good, is an error."""
    with layer(BACKEND=f"{__name__}.Troubled"):
        messages = checks.check_deployment()
    assert [(message.id, message.msg) for message in messages] == [
        ("channels.E005", "CHANNEL_LAYERS['default']: the layer is AWAY"),
        ("channels.E005", "CHANNEL_LAYERS['default']: the layer is UNUSABLE"),
        ("channels.W005", "CHANNEL_LAYERS['default']: the layer is RISK"),
    ]
    assert {message.hint for message in messages} == {"Mend it."}


@pytest.mark.usefixtures("_fresh_layers")
def test_e005_layer_that_cannot_be_made() -> None:
    """An ordinary check makes none, since that may take what only the place of deployment has."""
    with layer(CONFIG={"capacity": 0}):
        ((identity, text),) = found(checks.check_deployment)
        assert found(checks.check_settings) == []
    assert identity == "channels.E005"
    assert text.startswith("CHANNEL_LAYERS['default']['CONFIG']: ")


@pytest.mark.usefixtures("_fresh_layers")
def test_w004_layer_within_one_process() -> None:
    """Nothing that is deployed can use it."""
    with layer():
        (warning,) = checks.check_deployment()
    assert (warning.id, warning.hint) == (
        "channels.W004",
        f"Use '{LOCAL}' for one machine, '{REDIS}' for any number.",
    )


@pytest.mark.parametrize("configs", [["default"], {"default": 5}, {"default": {"BACKEND": "no.such", "ROUTING": []}}])
def test_faulty_settings_are_left_to_the_other_checks(configs: Any) -> None:
    """They are said once."""
    with override_settings(CHANNEL_LAYERS=configs):
        assert found(checks.check_deployment) == []


@pytest.mark.usefixtures("_fresh_layers")
def test_only_check_deploy_uses_the_network() -> None:
    """An ordinary check opens no connection to the layer, and one before a deployment does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hosts = [("127.0.0.1", listening.getsockname()[1])]
        config = {"BACKEND": "asgi_redis.RedisChannelLayer", "CONFIG": {"hosts": hosts, "timeout": 0.1}, "ROUTING": []}
        with override_settings(CHANNEL_LAYERS={"default": config}):
            call_command("check")
            assert select.select([listening], [], [], 0)[0] == []
            with pytest.raises(SystemCheckError, match=r"channels\.E005.* cannot be reached"):
                call_command("check", "--deploy")
            assert select.select([listening], [], [], 0)[0] == [listening]
