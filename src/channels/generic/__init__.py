"""Consumers as classes, as in 1.x: one instance handles one message."""

from channels.generic.base import AsyncConsumer, BaseConsumer

__all__ = ["AsyncConsumer", "BaseConsumer"]
