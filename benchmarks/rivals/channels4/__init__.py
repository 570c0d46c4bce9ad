"""A project for Channels 4 and for Django alone, run by the Python in ``.bench``, where these are installed."""
