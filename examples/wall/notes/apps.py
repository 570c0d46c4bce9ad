"""The app's entry in INSTALLED_APPS."""

from django.apps import AppConfig


class NotesConfig(AppConfig):
    """The notes."""

    name = "notes"
