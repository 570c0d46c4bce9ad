"""The project around the chat: settings, URLs and channel routing."""
