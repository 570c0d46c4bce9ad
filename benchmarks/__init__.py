"""Measurements: bounded loads on loopback, client and server on different cores."""
