import os
import subprocess
import sys

import pytest
from django.test import override_settings

from channel_layers.memory import MemoryChannelLayer
from channels import asgi, conf, layers
from channels.asgi import get_channel_layer

SETTINGS = {"BACKEND": "channel_layers.memory.MemoryChannelLayer", "ROUTING": "no.such.routing"}


@pytest.mark.parametrize("name", asgi.__all__)
def test_names_of_1x(name: str) -> None:
    """The import path of 1.x leads to the same objects."""
    assert getattr(asgi, name) is getattr(layers, name, get_channel_layer)


def test_layer_is_the_raw_one() -> None:
    """What an interface server is given: by alias, built once, without its routing."""
    with override_settings(CHANNEL_LAYERS={"asgi": SETTINGS}):
        layer = get_channel_layer("asgi")
        assert type(layer) is MemoryChannelLayer
        assert layer.server_options == conf.server_options()
        assert layer is get_channel_layer("asgi")
        assert layer is asgi.channel_layers["asgi"].channel_layer
        asgi.channel_layers.set("asgi", None)


def test_default_layer() -> None:
    """Without an alias it is the default."""
    assert get_channel_layer() is asgi.channel_layers["default"].channel_layer


def test_default_layer_has_a_name() -> None:
    """A project without an ``asgi.py`` names it; nothing else is made up."""
    assert asgi.channel_layer is get_channel_layer()
    with pytest.raises(AttributeError, match=r"module 'channels\.asgi' has no attribute 'chanel_layer'"):
        asgi.chanel_layer  # noqa: B018 - an attribute that is not there


def test_no_app_is_loaded() -> None:
    """A process of its own that calls it has set up no app and imported no model."""
    program = """
from channels.asgi import get_channel_layer
from django.apps import apps
import sys
print(type(get_channel_layer()).__name__, apps.ready, "django.contrib.auth.models" in sys.modules)
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["MemoryChannelLayer", "False", "False"], "")
