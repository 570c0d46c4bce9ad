"""The channel layer within one process."""

from channel_layers.memory.layer import MemoryChannelLayer

__all__ = ["MemoryChannelLayer"]
