"""Notes that everybody can put on the wall."""
