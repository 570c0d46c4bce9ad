"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.core.management import get_commands

from channels import checks, logins


class ChannelsConfig(AppConfig):
    """Registers the system checks, takes over ``runserver``, and closes sockets whose login ends."""

    name = "channels"
    verbose_name = "Channels"

    def ready(self) -> None:
        """Set up once all apps are loaded."""
        register(checks.check_settings)
        register(checks.check_routing)
        register(checks.check_runserver)
        take_over_runserver()
        logins.listen()


def take_over_runserver() -> None:
    """Make ``runserver`` ours in whatever order the apps are installed.

    Ours is Django's and that of staticfiles, with another server in it; an app with a ``runserver`` of its own that
    comes first keeps it, and a system check says so.
    """
    commands = get_commands()
    if commands.get(checks.RUNSERVER) in checks.REPLACEABLE:
        commands[checks.RUNSERVER] = "channels"
