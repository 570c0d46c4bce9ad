"""``CHANNEL_LAYERS``: settings become layers and routers by alias. Nothing else reads the setting."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from channel_layers.base import BaseChannelLayer
from channels.routing import Router
from channels.suggestions import did_you_mean

DEFAULT_CHANNEL_LAYER: Final = "default"

ALIASES: Final = {
    "asgiref.inmemory.ChannelLayer": "channel_layers.memory.MemoryChannelLayer",
}
"""Backend paths of 1.x and what answers to them here."""

BACKENDS: Final = (
    "channel_layers.local.LocalChannelLayer",
    "channel_layers.memory.MemoryChannelLayer",
    "channel_layers.redis.RedisChannelLayer",
)

_KEYS: Final = ("BACKEND", "CONFIG", "ROUTING", "TEST_CONFIG")
_PASTE: Final = """CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.memory.MemoryChannelLayer",
        "ROUTING": "myproject.routing.channel_routing",
    },
}"""


class InvalidChannelLayerError(ImproperlyConfigured, ValueError):
    """``CHANNEL_LAYERS`` cannot be made into layers; the text names the alias, the key and the way out."""


class ChannelLayerWrapper:
    """A layer with its alias and routing; every other attribute is the layer's own.

    ``router`` is built at its first use: a process that only sends never imports the routing.
    """

    def __init__(self, channel_layer: BaseChannelLayer, alias: str, routing: Any) -> None:
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing
        self.warned: set[str | None] = set()  # of channels that nobody reads; None: of a layer nobody reads
        self._router: Router | None = None

    @property
    def router(self) -> Router:
        """The routing as a :class:`~channels.routing.Router`."""
        if self._router is None:
            self._router = Router(self.routing)
        return self._router

    def local_only(self) -> bool:
        """Return whether no other process can reach this layer."""
        return not self.channel_layer.crosses_processes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel_layer, name)

    def __str__(self) -> str:
        kind = type(self.channel_layer)
        return f"{self.alias} ({kind.__module__}.{kind.__name__})"


class ChannelLayerManager:
    """Layers by alias, each built at its first use."""

    def __init__(self) -> None:
        self._layers: dict[str, ChannelLayerWrapper] = {}
        self._lock = threading.RLock()

    @property
    def configs(self) -> Mapping[str, Any]:
        """The setting ``CHANNEL_LAYERS``, or ``{}``."""
        configs: Mapping[str, Any] = getattr(settings, "CHANNEL_LAYERS", {})
        return configs

    def make_backend(self, alias: str) -> ChannelLayerWrapper:
        """Build the layer ``alias``; raise :exc:`InvalidChannelLayerError`, also for what its constructor refuses."""
        return self._make(alias, self._config(alias).get("CONFIG", {}))

    def make_test_backend(self, alias: str) -> ChannelLayerWrapper:
        """Build the layer ``alias`` with its ``TEST_CONFIG``."""
        config = self._config(alias)
        if "TEST_CONFIG" not in config:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}] has no TEST_CONFIG")
        return self._make(alias, config["TEST_CONFIG"])

    def set(self, alias: str, layer: ChannelLayerWrapper | None) -> ChannelLayerWrapper | None:
        """Replace the layer ``alias`` (``None``: it is built anew when it is next used); return what was there."""
        with self._lock:
            previous = self._layers.pop(alias, None)
            if layer is not None:
                self._layers[alias] = layer
        return previous

    def __getitem__(self, alias: str) -> ChannelLayerWrapper:
        layer = self._layers.get(alias)
        if layer is None:
            with self._lock:
                layer = self._layers.get(alias) or self._layers.setdefault(alias, self.make_backend(alias))
        return layer

    def __contains__(self, alias: object) -> bool:
        return alias in self.configs

    def _config(self, alias: str) -> Mapping[str, Any]:
        if not self.configs:
            raise InvalidChannelLayerError(f"there is no channel layer; put this into your settings:\n\n{_PASTE}\n")
        if alias not in self.configs:
            hint = did_you_mean(alias, self.configs)
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS has no {alias!r}, only {sorted(self.configs)!r}.{hint}")
        config: Mapping[str, Any] = self.configs[alias]
        for fault in faults(alias, config):
            raise InvalidChannelLayerError(fault)
        return config

    def _make(self, alias: str, options: Mapping[str, Any]) -> ChannelLayerWrapper:
        config = self._config(alias)
        backend = load_backend(alias, config["BACKEND"])
        if backend.per_project:
            options = {"project": project_directory(), **options}
        try:
            layer = backend(**options)
        except (TypeError, ValueError) as error:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}]['CONFIG']: {error}") from error
        return ChannelLayerWrapper(layer, alias, config["ROUTING"])


def faults(alias: str, config: object) -> list[str]:
    """Return one sentence for each thing that is wrong with an entry of ``CHANNEL_LAYERS``."""
    if not isinstance(config, Mapping):
        return [f"CHANNEL_LAYERS[{alias!r}] is a dict with the keys {', '.join(_KEYS)}, not {config!r}"]
    found = [
        f"CHANNEL_LAYERS[{alias!r}] has an unknown key {key!r}.{did_you_mean(str(key), _KEYS)} Keys: {', '.join(_KEYS)}"
        for key in config
        if key not in _KEYS
    ]
    found += [f"CHANNEL_LAYERS[{alias!r}] has no {key}" for key in ("BACKEND", "ROUTING") if key not in config]
    backend = config.get("BACKEND", "")
    if not isinstance(backend, str):
        found.append(f"CHANNEL_LAYERS[{alias!r}]['BACKEND'] is the dotted path of a class, not {backend!r}")
    return found


def project_directory() -> str:
    """Return the directory of the settings module, which tells a project from others in each of its processes.

    Without such a module it is the current directory.
    """
    module = sys.modules.get(settings.SETTINGS_MODULE or "")
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve().parent if file else Path.cwd())


def load_backend(alias: str, path: str) -> type[BaseChannelLayer]:
    """Import the class a ``BACKEND`` names; paths of 1.x are understood."""
    try:
        backend: type[BaseChannelLayer] = import_string(ALIASES.get(path, path))
    except ImportError as error:
        known = [*BACKENDS, *ALIASES]
        hint = did_you_mean(path, known)
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS[{alias!r}]['BACKEND'] is {path!r}, which cannot be imported: {error}.{hint}"
        ) from error
    return backend


channel_layers = ChannelLayerManager()
