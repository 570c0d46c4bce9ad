"""The project around the blog: settings, URLs and channel routing."""
