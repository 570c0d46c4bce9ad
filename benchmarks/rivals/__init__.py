"""What the rivals run: the same work as ``benchmarks.site``, as their documentation says to write it."""
