"""Warnings about messages that nothing will ever read, each given once."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from django.conf import settings

from channel_layers.suggestions import did_you_mean
from channels.layers import ChannelLayerWrapper

if TYPE_CHECKING:
    from channel_layers.base import BaseChannelLayer

logger = logging.getLogger("django.channels")


def warn_if_unread(channel: str | None, layer: ChannelLayerWrapper | BaseChannelLayer) -> None:
    """Warn if no process reads ``channel`` (``None``: a group) and none is on its way.

    On a layer within one process that is known at once; on others a worker may start tomorrow, so there it is only said
    on the embedded layer, in ``DEBUG``. A channel with one reader (``name?key``) is read by whoever made its name, not
    by a consumer.
    """
    if not isinstance(layer, ChannelLayerWrapper) or channel in layer.warned:
        return
    if not layer.local_only():
        _warn_while_developing(channel, layer)
        return
    announced = layer.channel_layer.processes()
    if announced and channel is not None and "?" not in channel:
        layer.warned.add(channel)
        read = {name for process in announced for name in process.channels}
        if channel not in read:
            logger.warning("no consumer is routed for %r.%s", channel, did_you_mean(channel, read))
    elif not announced and None not in layer.warned:
        layer.warned.add(None)
        logger.warning(
            "nothing in this process reads the layer %s, and no other process can: a message was sent in vain. "
            "Send from a process that runs workers (runserver), or use a layer that crosses processes.",
            layer,
        )


def _warn_while_developing(channel: str | None, layer: ChannelLayerWrapper) -> None:
    """Warn of a name that is misspelt, where all processes of the project are those of a person at this machine."""
    if channel is None or "?" in channel or not (settings.DEBUG and layer.channel_layer.per_project):
        return
    layer.warned.add(channel)  # to look takes a round trip: once for each channel
    with suppress(OSError):
        read = {name for process in layer.channel_layer.processes() for name in process.channels}
        if read and channel not in read:
            logger.warning("no worker reads %r now.%s", channel, did_you_mean(channel, read))
