"""``CHANNEL_LAYERS``: settings become layers and routers by alias. Nothing else reads the setting."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from channel_layers.base import BaseChannelLayer
from channel_layers.memory import MemoryChannelLayer
from channels.routing import Router
from channels.suggestions import did_you_mean
from channels.testruns import is_test_run

DEFAULT_CHANNEL_LAYER: Final = "default"

ALIASES: Final = {
    "asgiref.inmemory.ChannelLayer": "channel_layers.memory.MemoryChannelLayer",
}
"""Backend paths of 1.x and what answers to them here."""

_KEYS: Final = ("BACKEND", "CONFIG", "ROUTING", "TEST_CONFIG")
_COMMON_OPTIONS: Final = frozenset(inspect.getfullargspec(BaseChannelLayer).kwonlyargs) - {"clock"}
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

    ``router`` is built at its first use: a process that only sends never imports the routing. ``for_tests`` is whether
    tests may use it.
    """

    def __init__(self, channel_layer: BaseChannelLayer, alias: str, routing: Any, *, for_tests: bool = True) -> None:
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing
        self.for_tests = for_tests
        self.warned: set[str | None] = set()  # of channels that nobody reads; None: of a layer nobody reads
        self._router: Router | None = None

    @property
    def router(self) -> Router:
        """The routing as a :class:`~channels.routing.Router`."""
        if self._router is None:
            self._router = self.make_router(self.routing)
        return self._router

    @contextmanager
    def routed_by(self, routing: Any) -> Iterator[None]:
        """Route by ``routing`` in place of the layer's own, for tests."""
        former, self._router = self._router, self.make_router(routing)
        try:
            yield
        finally:
            self._router = former

    def make_router(self, routing: Any) -> Router:
        """Return a router for ``routing``."""
        return Router(routing)

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
        """Build the layer ``alias``; raise :exc:`InvalidChannelLayerError`, also for what its constructor refuses.

        While tests run, a layer in memory that is never full takes the place of one that could be.
        """
        config = self.config(alias)
        backend = load_backend(alias, config["BACKEND"])
        for_tests = not backend.crosses_processes and backend is not MemoryChannelLayer
        if is_test_run() and not for_tests:
            return self._stand_in(alias, config)
        return self._make(alias, config.get("CONFIG", {}), for_tests)

    def make_test_backend(self, alias: str) -> ChannelLayerWrapper:
        """Build the layer ``alias`` with its ``TEST_CONFIG``."""
        config = self.config(alias)
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
        if layer is None or not _is_usable(layer):
            with self._lock:
                layer = self._layers.get(alias)
                if layer is None or not _is_usable(layer):
                    layer = self._layers[alias] = self.make_backend(alias)
        return layer

    def __contains__(self, alias: object) -> bool:
        return alias in self.configs

    def config(self, alias: str) -> Mapping[str, Any]:
        """Return the entry ``alias`` of the setting; raise :exc:`InvalidChannelLayerError` for a fault in it."""
        if not self.configs:
            raise InvalidChannelLayerError(f"there is no channel layer; put this into your settings:\n\n{_PASTE}\n")
        if alias not in self.configs:
            hint = did_you_mean(alias, self.configs)
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS has no {alias!r}, only {sorted(self.configs)!r}.{hint}")
        config: Mapping[str, Any] = self.configs[alias]
        for fault in faults(alias, config):
            raise InvalidChannelLayerError(fault)
        return config

    def _make(self, alias: str, options: Mapping[str, Any], for_tests: bool = True) -> ChannelLayerWrapper:
        config = self.config(alias)
        backend = load_backend(alias, config["BACKEND"])
        try:
            layer = backend(**options)
        except (TypeError, ValueError) as error:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}]['CONFIG']: {error}") from error
        return ChannelLayerWrapper(layer, alias, config["ROUTING"], for_tests=for_tests)

    def _stand_in(self, alias: str, config: Mapping[str, Any]) -> ChannelLayerWrapper:
        # Nobody reads it, so nothing may become full of what the tests before have sent.
        options = common_options(config) | {"capacity": sys.maxsize, "channel_capacity": None}
        layer = ChannelLayerWrapper(MemoryChannelLayer(**options), alias, config["ROUTING"])
        layer.warned.add(None)
        return layer


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


def _is_usable(layer: ChannelLayerWrapper) -> bool:
    """Return whether ``layer`` may be used here: one that was made before the tests began may reach the site's own."""
    return layer.for_tests or not is_test_run()


def common_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every layer understands of the options in an entry of ``CHANNEL_LAYERS``."""
    return {name: value for name, value in config.get("CONFIG", {}).items() if name in _COMMON_OPTIONS}


def load_backend(alias: str, path: str) -> type[BaseChannelLayer]:
    """Import the class a ``BACKEND`` names; paths of 1.x are understood."""
    try:
        backend: type[BaseChannelLayer] = import_string(ALIASES.get(path, path))
    except ImportError as error:
        known = ["channel_layers.memory.MemoryChannelLayer", *ALIASES]
        hint = did_you_mean(path, known)
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS[{alias!r}]['BACKEND'] is {path!r}, which cannot be imported: {error}.{hint}"
        ) from error
    return backend


channel_layers = ChannelLayerManager()
