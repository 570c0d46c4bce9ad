"""The app's entry in INSTALLED_APPS."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    """The chat."""

    name = "chat"
