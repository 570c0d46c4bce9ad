"""The layer of a command that is a process of its own: chosen by ``--layer``, and one that others can reach."""

from __future__ import annotations

import logging
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser

from channel_layers.exceptions import LayerUnusable
from channel_layers.readiness import wait_until_usable
from channels.layers import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers

logger = logging.getLogger("channel_layers")


def add_layer_option(parser: CommandParser) -> None:
    """Add ``--layer``."""
    parser.add_argument(
        "--layer",
        default=DEFAULT_CHANNEL_LAYER,
        metavar="ALIAS",
        help=f"Entry of CHANNEL_LAYERS ({DEFAULT_CHANNEL_LAYER}).",
    )


def shared_layer(alias: str) -> ChannelLayerWrapper:
    """Return the layer ``alias``; raise :exc:`CommandError` for a fault in its settings or one within a process."""
    try:
        layer = channel_layers[alias]
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
    if layer.local_only():
        raise CommandError(
            f"the channel layer {layer} reaches no other process: nothing that runs elsewhere would see this one. "
            "manage.py runserver has workers of its own; processes of their own need a layer that connects them. "
            f"CHANNEL_LAYERS[{alias!r}]['BACKEND'] is 'channel_layers.local.LocalChannelLayer' for one machine and one "
            "user, with nothing to set up, or 'channel_layers.redis.RedisChannelLayer' for a server of Redis."
        )
    return layer


def wait_for(layer: ChannelLayerWrapper) -> None:
    """Return once ``layer`` can be used; raise :exc:`CommandError` where waiting would not help, and exit at Ctrl-C."""
    try:
        wait_until_usable(layer.channel_layer, logger.warning)
    except LayerUnusable as error:
        raise CommandError(f"the channel layer {layer} cannot be used: {error}") from error
    except KeyboardInterrupt:
        sys.exit(130)
