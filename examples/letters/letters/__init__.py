"""The project around the rooms: settings, URLs and channel routing."""
