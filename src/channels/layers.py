"""``CHANNEL_LAYERS``: settings become layers and routers by alias. Nothing else reads the setting."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from channel_layers.base import BaseChannelLayer
from channel_layers.memory import MemoryChannelLayer
from channel_layers.suggestions import did_you_mean
from channels import backends
from channels.routing import Router
from channels.testruns import is_test_run

DEFAULT_CHANNEL_LAYER: Final = "default"

_KEYS: Final = ("BACKEND", "CONFIG", "ROUTING", "TEST_CONFIG")
_COMMON_OPTIONS: Final = frozenset(inspect.getfullargspec(BaseChannelLayer).kwonlyargs) - {"clock"}
_PASTE: Final = f"""CHANNEL_LAYERS = {{
    "default": {{
        "BACKEND": "{backends.MEMORY}",  # for several processes: {backends.LOCAL}
        "ROUTING": "{{project}}.routing.channel_routing",
    }},
}}"""


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
        backend = load_backend(alias, config)
        for_tests = not backend.crosses_processes and backend is not MemoryChannelLayer
        if is_test_run() and not for_tests:
            return self._stand_in(alias, config)
        return self._make(alias, "CONFIG", for_tests)

    def make_test_backend(self, alias: str) -> ChannelLayerWrapper:
        """Build the layer ``alias`` with its ``TEST_CONFIG``."""
        if "TEST_CONFIG" not in self.config(alias):
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}] has no TEST_CONFIG")
        return self._make(alias, "TEST_CONFIG", for_tests=True)

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
            raise InvalidChannelLayerError(
                f"there is no channel layer; put this into your settings:\n\n{setting_to_paste()}\n"
            )
        if alias not in self.configs:
            hint = did_you_mean(alias, self.configs)
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS has no {alias!r}, only {sorted(self.configs)!r}.{hint}")
        config: Mapping[str, Any] = self.configs[alias]
        for fault in faults(alias, config):
            raise InvalidChannelLayerError(fault)
        return config

    def _make(self, alias: str, options: str, for_tests: bool) -> ChannelLayerWrapper:
        config = self.config(alias)
        backend = load_backend(alias, config, options)
        project = {"project": project_directory()} if backend.per_project else {}
        try:
            layer = backend(**project | config.get(options, {}))
        except (TypeError, ValueError) as error:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}][{options!r}]: {error}") from error
        return ChannelLayerWrapper(layer, alias, config["ROUTING"], for_tests=for_tests)

    def _stand_in(self, alias: str, config: Mapping[str, Any]) -> ChannelLayerWrapper:
        # Nobody reads it, so nothing may become full of what the tests before have sent.
        options = common_options(config) | {"capacity": sys.maxsize, "channel_capacity": None}
        layer = ChannelLayerWrapper(MemoryChannelLayer(**options), alias, config["ROUTING"])
        layer.warned.add(None)
        return layer


def setting_to_paste() -> str:
    """Return a ``CHANNEL_LAYERS`` for a project that has none, its routing beside the ``urls`` of the project."""
    package = (getattr(settings, "ROOT_URLCONF", None) or "").rpartition(".")[0]
    return _PASTE.replace("{project}", package or "mysite")


def faults(alias: str, config: object) -> list[str]:
    """Return one sentence for each thing that is wrong with an entry of ``CHANNEL_LAYERS``."""
    if not isinstance(config, Mapping):
        return [f"CHANNEL_LAYERS[{alias!r}] is a dict with the keys {', '.join(_KEYS)}, not {config!r}"]
    backend = config.get("BACKEND", "")
    if isinstance(backend, str) and backend in backends.RETIRED:
        return [f"CHANNEL_LAYERS[{alias!r}]['BACKEND'] is {backend!r}, which {backends.RETIRED[backend]}"]
    found = [
        f"CHANNEL_LAYERS[{alias!r}] has an unknown key {key!r}.{did_you_mean(str(key), _KEYS)} Keys: {', '.join(_KEYS)}"
        for key in config
        if key not in _KEYS
    ]
    found += [f"CHANNEL_LAYERS[{alias!r}] has no {key}" for key in ("BACKEND", "ROUTING") if key not in config]
    if not isinstance(backend, str):
        found.append(f"CHANNEL_LAYERS[{alias!r}]['BACKEND'] is the dotted path of a class, not {backend!r}")
    found += [
        f"CHANNEL_LAYERS[{alias!r}][{key!r}] is a dict of options, not {config[key]!r}"
        for key in ("CONFIG", "TEST_CONFIG")
        if not isinstance(config.get(key, {}), Mapping)
    ]
    return found


def _is_usable(layer: ChannelLayerWrapper) -> bool:
    """Return whether ``layer`` may be used here: one that was made before the tests began may reach the site's own."""
    return layer.for_tests or not is_test_run()


def common_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every layer understands of the options in an entry of ``CHANNEL_LAYERS``."""
    return {name: value for name, value in config.get("CONFIG", {}).items() if name in _COMMON_OPTIONS}


def project_directory() -> str:
    """Return the directory of the settings module, which tells a project from others in each of its processes.

    Without such a module it is the current directory.
    """
    module = sys.modules.get(settings.SETTINGS_MODULE or "")
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve().parent if file else Path.cwd())


def load_backend(alias: str, config: Mapping[str, Any], options: str = "CONFIG") -> type[BaseChannelLayer]:
    """Return the class that the ``BACKEND`` of an entry names; paths of 1.x are understood.

    Raises :exc:`InvalidChannelLayerError` for one that cannot be had, and for an option that it does not take, or that
    is of another type.
    """
    path = config["BACKEND"]
    try:
        backend = backends.load(path)
    except ImportError as error:
        where = f"CHANNEL_LAYERS[{alias!r}]['BACKEND'] is {path!r}"
        raise InvalidChannelLayerError(f"{where}, which cannot be imported: {error}") from error
    for sentence in backends.unknown_options(backend, config.get(options, {})):
        raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}][{options!r}] {sentence}")
    for sentence in backends.unfit_options(backend, config.get(options, {})):
        raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{alias!r}][{options!r}]{sentence}")
    return backend


channel_layers = ChannelLayerManager()
