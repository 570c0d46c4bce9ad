"""The app's entry in INSTALLED_APPS."""

from django.apps import AppConfig


class ListsConfig(AppConfig):
    """The lists."""

    name = "lists"
