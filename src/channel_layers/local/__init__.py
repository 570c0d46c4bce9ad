"""The channel layer between the processes of one project on one machine, with nothing to set up."""

from channel_layers.local.layer import LocalChannelLayer

__all__ = ["LocalChannelLayer"]
