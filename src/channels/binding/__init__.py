"""Data binding, as in 1.x: what happens to the rows of a model is sent to groups, and clients may change rows."""

from channels.binding.base import Binding

__all__ = ["Binding"]
