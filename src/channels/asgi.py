"""The import path of 1.x for layers by alias, and what a project's ``asgi.py`` calls."""

from __future__ import annotations

from channel_layers.base import BaseChannelLayer
from channels.layers import (
    DEFAULT_CHANNEL_LAYER,
    ChannelLayerManager,
    ChannelLayerWrapper,
    InvalidChannelLayerError,
    channel_layers,
)

__all__ = [
    "ChannelLayerManager",
    "ChannelLayerWrapper",
    "InvalidChannelLayerError",
    "channel_layers",
    "get_channel_layer",
]


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> BaseChannelLayer:
    """Return the layer ``alias`` for an interface server: settings are read, no app and no routing is imported."""
    return channel_layers[alias].channel_layer
