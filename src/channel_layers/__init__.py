"""Channel layers: the contract between sockets and code, its backends and its conformance suite."""
