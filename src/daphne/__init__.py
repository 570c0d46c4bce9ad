"""Interface servers: sockets in, channel-layer messages out. Nothing here imports Django."""

__version__ = "0.1.0"
