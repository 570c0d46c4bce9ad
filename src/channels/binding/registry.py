"""Bindings wait here until the models are there; those that are defined later are registered at once."""

from __future__ import annotations

from typing import Protocol


class Registrable(Protocol):
    """A class that can be registered."""

    def register(self) -> None:
        """Begin to follow the model."""


class Registry:
    """The bindings of the project."""

    def __init__(self) -> None:
        self._waiting: list[Registrable] = []
        self._models_are_there = False

    def add(self, binding: Registrable) -> None:
        """Register ``binding``, now or when the models are there."""
        if self._models_are_there:
            binding.register()
        else:
            self._waiting.append(binding)

    def register_all(self) -> None:
        """The models are there: register what waits for them."""
        self._models_are_there = True
        while self._waiting:
            self._waiting.pop(0).register()


bindings = Registry()
"""The registry that the app of Channels starts once all apps are loaded."""
