"""Chat rooms: consumers for the sockets, a model for what was said, pages."""
