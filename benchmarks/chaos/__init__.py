"""Trials with real processes, real kills and real clients, on loopback."""
