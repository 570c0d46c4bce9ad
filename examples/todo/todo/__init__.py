"""The project around the lists: settings, URLs and channel routing."""
