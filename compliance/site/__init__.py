"""The Django project behind the sockets that a suite talks to."""
