"""Processes that are started, watched and replaced by another one."""
