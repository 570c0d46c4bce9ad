"""The import path of 1.x for layers by alias, and what a project's ``asgi.py`` calls.

A project without an ``asgi.py`` names ``channels.asgi:channel_layer``: the default layer of the settings that
``DJANGO_SETTINGS_MODULE`` names, made when the name is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from importlib import import_module
from typing import Final

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.exceptions import ImproperlyConfigured

from channel_layers.base import BaseChannelLayer
from channels import conf
from channels.layers import (
    DEFAULT_CHANNEL_LAYER,
    ChannelLayerManager,
    ChannelLayerWrapper,
    InvalidChannelLayerError,
    channel_layers,
)

__all__ = [
    "ChannelLayerManager",
    "ChannelLayerWrapper",
    "InvalidChannelLayerError",
    "channel_layers",
    "get_channel_layer",
]

_WAYS: Final = (
    f"set it to the project's settings, such as mysite.settings, before the command or in the project's asgi.py, by "
    f"os.environ.setdefault({ENVIRONMENT_VARIABLE!r}, 'mysite.settings')"
)


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> BaseChannelLayer:
    """Return the layer ``alias`` for an interface server: settings are read, no app and no routing is imported.

    What the settings say of the interface server comes along as its ``server_options``. Raises
    :exc:`~django.core.exceptions.ImproperlyConfigured` where nothing names the settings, or what is named is not there.
    """
    _find_settings()
    layer = channel_layers[alias].channel_layer
    layer.server_options = conf.server_options()
    return layer


def _find_settings() -> None:
    """Raise in our words what Django says of the first setting that is read: here it is asked for by a server."""
    name = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if settings.configured:
        return
    if not name:
        raise ImproperlyConfigured(f"{ENVIRONMENT_VARIABLE} is not set, so there are no settings: {_WAYS}")
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        if name == error.name or name.startswith(f"{error.name}."):
            missing = f"{ENVIRONMENT_VARIABLE} is {name!r}, and there is no module {error.name!r}"
            raise ImproperlyConfigured(f"{missing}: {_WAYS}") from error
        raise


def settings_digest() -> str:
    """Return a text that is another when the settings say something else to an interface server.

    What only workers read of them is not in it, such as the routing.
    """
    configs = channel_layers.configs.items()
    layers = {alias: {key: config[key] for key in config if key != "ROUTING"} for alias, config in configs}
    # Two processes have an object at two places, but mean the same.
    read = re.sub(r" at 0x[0-9a-f]+", "", repr((conf.server_options(), layers)))
    return hashlib.sha256(read.encode()).hexdigest()[:16]


def __getattr__(name: str) -> BaseChannelLayer:
    if name == "channel_layer":
        return get_channel_layer()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
