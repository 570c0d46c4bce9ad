"""Interface servers: sockets in, channel-layer messages out. Nothing here imports Django.

Part of the distribution channels-relay; ``channel_layers.installation`` looks for this name.
"""

__version__ = "0.1.0"
