"""The app's entry in INSTALLED_APPS."""

from django.apps import AppConfig


class HallConfig(AppConfig):
    """The rooms."""

    name = "hall"
