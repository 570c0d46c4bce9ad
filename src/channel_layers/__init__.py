"""Channel layers: the contract between sockets and code, its backends and its conformance suite."""

from channel_layers import installation

installation.check()
