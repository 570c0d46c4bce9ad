"""The app's entry in INSTALLED_APPS."""

from django.apps import AppConfig


class RoomsConfig(AppConfig):
    """The rooms."""

    name = "rooms"
