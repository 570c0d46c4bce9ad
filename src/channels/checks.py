"""System checks. Those that need the network run with ``--deploy`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks as django_checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands

from channel_layers import installation
from channel_layers.problems import Kind, Problem
from channel_layers.suggestions import closest
from channels import backends, conf, layers
from channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from channels.routing import Router

RUNSERVER = "runserver"
REPLACEABLE = frozenset({"django.core", "django.contrib.staticfiles", "whitenoise.runserver_nostatic", "channels"})
"""Apps whose ``runserver`` ours stands in for, in whatever order they are installed."""


def check_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Unknown keys and values in ``CHANNELS`` and ``CHANNEL_LAYERS``; backends that cannot be imported."""
    found: list[CheckMessage] = [Error(fault, id="channels.E001") for fault in conf.faults()]
    configs = channel_layers.configs
    if not isinstance(configs, Mapping):
        return [*found, Error(f"CHANNEL_LAYERS is a dict, not {type(configs).__name__}", id="channels.E002")]
    if not hasattr(settings, "CHANNEL_LAYERS"):
        found.append(_missing_setting())
    if configs and DEFAULT_CHANNEL_LAYER not in configs:
        found.append(_missing_default(configs))
    for alias, config in configs.items():
        faults = layers.faults(alias, config)
        found += [Error(fault, id="channels.E002") for fault in faults]
        if not faults:
            found += _check_backend(alias, config)
    return found


def check_routing(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Routings that cannot be imported or built, and names that look misspelt."""
    configs, found = channel_layers.configs, list[CheckMessage]()
    for alias, config in configs.items() if isinstance(configs, Mapping) else ():
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
    text = f"the runserver of {name!r} is used: it serves no WebSockets"
    return [django_checks.Warning(text, hint=hint, id="channels.W001")]


def check_installation(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Distributions whose packages have the names of ours."""
    found = installation.others()
    if not found:
        return []
    return [django_checks.Warning(installation.beside(found), hint=installation.way_out(found), id="channels.W006")]


def check_deployment(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Layers that cannot be made or reached, that may lose messages, or that reach one process only."""
    configs, found = channel_layers.configs, list[CheckMessage]()
    for alias, config in configs.items() if isinstance(configs, Mapping) else ():
        if not layers.faults(alias, config) and not _check_backend(alias, config):
            found += _check_layer(alias)
    return found


def _missing_setting() -> CheckMessage:
    text = "there is no CHANNEL_LAYERS: nothing can be sent, and runserver serves no WebSockets"
    hint = f"Put this into your settings, or CHANNEL_LAYERS = {{}} if none is wanted:\n\n{layers.setting_to_paste()}\n"
    return django_checks.Warning(text, hint=hint, id="channels.W003")


def _missing_default(configs: Mapping[str, Any]) -> CheckMessage:
    near = closest(DEFAULT_CHANNEL_LAYER, configs)
    hint = f"Rename {near!r}." if near else None
    text = f"CHANNEL_LAYERS has no {DEFAULT_CHANNEL_LAYER!r}, only {sorted(configs)!r}: runserver serves no WebSockets"
    return django_checks.Warning(text, hint=hint, id="channels.W003")


def _check_backend(alias: str, config: Mapping[str, Any]) -> list[CheckMessage]:
    try:
        layers.load_backend(alias, config)
    except layers.InvalidChannelLayerError as error:
        return [Error(str(error), id="channels.E003")]
    return []


def _check_layer(alias: str) -> list[CheckMessage]:
    where = f"CHANNEL_LAYERS[{alias!r}]"
    try:
        layer = channel_layers[alias]
    except ImproperlyConfigured as error:
        return [Error(str(error), id="channels.E005")]
    if layer.local_only():
        text = f"{where} reaches the process that it is in and no other: daphne and runworker cannot use it"
        hint = f"Use {backends.LOCAL!r} for one machine, {backends.REDIS!r} for any number."
        return [django_checks.Warning(text, hint=hint, id="channels.W004")]
    return [_problem(where, problem) for problem in layer.channel_layer.problems()]


def _problem(where: str, problem: Problem) -> CheckMessage:
    text, hint = f"{where}: {problem.text}", f"{problem.hint[:1].upper()}{problem.hint[1:]}."
    if problem.kind is Kind.RISK:
        return django_checks.Warning(text, hint=hint, id="channels.W005")
    return Error(text, hint=hint, id="channels.E005")


def _check_routing(alias: str, routing: Any) -> list[CheckMessage]:
    try:
        router = Router(routing)
    except (ImproperlyConfigured, ValueError, TypeError) as error:
        return [Error(f"CHANNEL_LAYERS[{alias!r}]['ROUTING']: {error}", id="channels.E004")]
    return [django_checks.Warning(sentence, id="channels.W002") for sentence in router.suspicious()]
