"""Channels: plain functions that handle sockets, requests and background messages in Django workers.

Part of the distribution channels-relay; ``channel_layers.installation`` looks for this name.
"""

from channels.channel import Channel, Group
from channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from channels.routing import include, route, route_class

__all__ = ["DEFAULT_CHANNEL_LAYER", "Channel", "Group", "channel_layers", "include", "route", "route_class"]

__version__ = "0.1.0"
