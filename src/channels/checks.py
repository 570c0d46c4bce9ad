"""System checks that need no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands

from channels import conf, layers
from channels.layers import channel_layers
from channels.routing import Router

RUNSERVER = "runserver"
REPLACEABLE = frozenset({"django.core", "django.contrib.staticfiles", "whitenoise.runserver_nostatic", "channels"})
"""Apps whose ``runserver`` ours stands in for, in whatever order they are installed."""


def check_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Unknown keys and values in ``CHANNELS`` and ``CHANNEL_LAYERS``; backends that cannot be imported."""
    found: list[CheckMessage] = [Error(fault, id="channels.E001") for fault in conf.faults()]
    for alias, config in channel_layers.configs.items():
        faults = layers.faults(alias, config)
        found += [Error(fault, id="channels.E002") for fault in faults]
        if not faults:
            found += _check_backend(alias, config["BACKEND"])
    return found


def check_routing(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Routings that cannot be imported or built, and names that look misspelt."""
    found: list[CheckMessage] = []
    for alias, config in channel_layers.configs.items():
        if not layers.faults(alias, config):
            found += _check_routing(alias, config["ROUTING"])
    return found


def check_runserver(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Another app's ``runserver`` that serves no WebSockets."""
    app = get_commands().get(RUNSERVER)
    name = app if isinstance(app, str) else getattr(app, "name", "")
    if name in REPLACEABLE:
        return []
    hint = "Put 'channels' before it in INSTALLED_APPS."
    return [Warning(f"the runserver of {name!r} is used: it serves no WebSockets", hint=hint, id="channels.W001")]


def _check_backend(alias: str, path: str) -> list[CheckMessage]:
    try:
        layers.load_backend(alias, path)
    except layers.InvalidChannelLayerError as error:
        return [Error(str(error), id="channels.E003")]
    return []


def _check_routing(alias: str, routing: Any) -> list[CheckMessage]:
    try:
        router = Router(routing)
    except (ImproperlyConfigured, ValueError, TypeError) as error:
        return [Error(f"CHANNEL_LAYERS[{alias!r}]['ROUTING']: {error}", id="channels.E004")]
    return [Warning(sentence, id="channels.W002") for sentence in router.suspicious()]
