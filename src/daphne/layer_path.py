"""The channel layer that a command line names: ``myproject.asgi:channel_layer``."""

from __future__ import annotations

import pkgutil
import sys
import traceback
from importlib import import_module
from inspect import iscoroutinefunction
from types import ModuleType
from typing import Final

from channel_layers.base import BaseChannelLayer
from channel_layers.suggestions import did_you_mean

ATTRIBUTE: Final = "channel_layer"
BUILT_IN: Final = "channels.asgi:channel_layer"
_WAYS: Final = (
    f"Name {BUILT_IN}, with DJANGO_SETTINGS_MODULE set, or a variable of the project's own asgi.py that holds what "
    "get_channel_layer() of channels.asgi returns."
)


class LayerPathError(Exception):
    """A path that leads to no channel layer; the text says where it ends and what to write instead."""


def load_layer(path: str) -> BaseChannelLayer:
    """Import the layer that ``path`` (``module:object``, dots allowed in both) leads to.

    Raises :exc:`LayerPathError`, also for whatever the import raises, and for a layer that no other process can reach.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise LayerPathError(f"a channel layer is named as module:object, such as {BUILT_IN}, not {path!r}")
    try:
        found: object = _imported(module)
        for part in name.split("."):
            found = _attribute(path, found, part)
    except LayerPathError:
        raise
    except Exception as error:
        raise LayerPathError(f"{path}: {_described(error)}") from error
    return _checked(path, getattr(found, ATTRIBUTE, found))  # a layer by alias wraps the layer itself


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != name and not name.startswith(f"{missing}."):
            raise  # something that the module itself imports
        hint = did_you_mean(missing, _beside(missing))
        raise LayerPathError(f"there is no module {missing!r}.{hint} {_WAYS}") from None


def _beside(missing: str) -> list[str]:
    """Return the modules where ``missing`` was looked for: of its package, or of the current directory."""
    package, _, _ = missing.rpartition(".")
    places = getattr(sys.modules.get(package), "__path__", ()) if package else sys.path[:1]
    return [f"{package}.{module.name}".removeprefix(".") for module in pkgutil.iter_modules(places)]


def _attribute(path: str, owner: object, name: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        if error.name not in (None, name) or (error.obj is not None and error.obj is not owner):
            raise  # a fault in code that runs when the attribute is read
        where = owner.__name__ if isinstance(owner, ModuleType) else type(owner).__name__
        hint = did_you_mean(name, dir(owner))
        raise LayerPathError(f"{path}: {where} has no {name!r}.{hint} {_WAYS}") from None


def _checked(path: str, found: object) -> BaseChannelLayer:
    kind = f"{type(found).__module__}.{type(found).__qualname__}"
    if not isinstance(found, BaseChannelLayer):
        what = f"an ASGI application ({kind})" if _is_application(found) else f"of type {kind}"
        raise LayerPathError(f"{path} is {what}; a channel layer is needed. {_WAYS}")
    if not found.crosses_processes:
        raise LayerPathError(
            f"{path} ({kind}) reaches this process only, and no worker runs here: use manage.py runserver, "
            "or a layer that crosses processes"
        )
    return found


def _is_application(found: object) -> bool:
    return callable(found) and (iscoroutinefunction(found) or iscoroutinefunction(type(found).__call__))


def _described(error: Exception) -> str:
    """Return the error and the line that raised it."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):  # tells its place itself, the traceback does not
        return text
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    hint = did_you_mean(error.name, _beside(error.name)) if isinstance(error, ImportError) and error.name else ""
    return f"{text} ({frames[-1].filename}, line {frames[-1].lineno}){hint}"
