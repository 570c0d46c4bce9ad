"""Chat rooms, all of them over one socket."""
