"""The app's entry in INSTALLED_APPS."""

from channels.signals import worker_process_ready
from django.apps import AppConfig


class ChatConfig(AppConfig):
    """The chat."""

    name = "chat"

    def ready(self) -> None:
        """Say so whenever workers have begun, with new code or with old."""
        # Django loads apps before the models that consumers need.
        from .consumers import announce_code

        worker_process_ready.connect(announce_code)
