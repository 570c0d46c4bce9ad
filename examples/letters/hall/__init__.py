"""Rooms for those who have logged in."""
