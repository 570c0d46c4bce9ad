"""The Django app.

A package and not a module, so that it is found also if another ``channels`` was installed over this one: that writes a
module ``channels/apps.py``, and Python takes the package, whose first import from here says what is wrong.
"""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.core.management import get_commands
from django.utils.module_loading import autodiscover_modules

from channels import checks, logins
from channels.binding.registry import bindings


class ChannelsConfig(AppConfig):
    """Registers checks and bindings, takes over ``runserver``, and closes sockets whose login ends."""

    name = "channels"
    verbose_name = "Channels"

    def ready(self) -> None:
        """Set up once all apps are loaded."""
        register(checks.check_settings)
        register(checks.check_routing)
        register(checks.check_runserver)
        register(checks.check_installation)
        register(checks.check_deployment, deploy=True)
        take_over_runserver()
        logins.listen()
        autodiscover_modules("bindings")  # of each app, as the admin does: sends come from processes without routing
        bindings.register_all()


def take_over_runserver() -> None:
    """Make ``runserver`` ours in whatever order the apps are installed.

    Ours is Django's and that of staticfiles, with another server in it; an app with a ``runserver`` of its own that
    comes first keeps it, and a system check says so.
    """
    commands = get_commands()
    if commands.get(checks.RUNSERVER) in checks.REPLACEABLE:
        commands[checks.RUNSERVER] = "channels"
