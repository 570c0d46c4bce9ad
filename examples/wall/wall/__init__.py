"""The project around the wall: settings, URLs and channel routing."""
