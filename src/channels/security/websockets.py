"""Decorators of connect consumers that look at the page which opens a WebSocket: the Origin (RFC 6454 section 7).

The interface server has compared Origin, Host and the settings before any consumer sees the handshake; these are for
projects and single routes that are to be stricter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from channels.decorators import C, Scope, around
from channels.exceptions import DenyConnection
from channels.message import Message

__all__ = ["AllowedHostsOnlyOriginValidator", "BaseOriginValidator", "allowed_hosts_only"]


class BaseOriginValidator(Scope):
    """Decorator of connect consumers; a subclass says in :meth:`validate_origin` which origins may connect.

    Raises :exc:`~channels.exceptions.DenyConnection` for all others, and for a handshake without Origin, with several,
    or with one that is not ASCII.
    """

    func: Callable[..., Any]

    # Decorating returns a function: an instance could neither be a method nor be awaited as an async def consumer.
    def __new__(cls, func: C) -> C:  # type: ignore[misc]  # see above
        """Return ``func`` behind the check."""
        validator = super().__new__(cls)
        validator.func = func
        return around(func, validator)

    def enter(self, message: Message) -> None:
        """Raise :exc:`~channels.exceptions.DenyConnection` unless the origin of ``message`` may connect."""
        origin = self.get_origin(message)
        if not self.validate_origin(message, origin):
            raise DenyConnection(f"Origin {origin!r:.200} is not allowed by {type(self).__name__}")

    def get_origin(self, message: Message) -> str:
        """Return the value of the header Origin as it was sent."""
        values = list(_values(message, b"origin"))
        if len(values) != 1 or not values[0].isascii():
            shown = f"{values!r:.200}" if values else "no"
            raise DenyConnection(f"{shown} Origin, where {type(self).__name__} needs exactly one in ASCII")
        return values[0]

    def validate_origin(self, message: Message, origin: str) -> bool:
        """Return whether a page from ``origin`` may connect; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has to define validate_origin(message, origin)")


class AllowedHostsOnlyOriginValidator(BaseOriginValidator):
    """Lets pages of ``ALLOWED_HOSTS`` connect, whatever their port, with wildcards as Django understands them.

    With ``DEBUG`` an empty ``ALLOWED_HOSTS`` stands for this machine, as it does for requests.
    """

    def validate_origin(self, message: Message, origin: str) -> bool:
        """Return whether the host of ``origin`` is in ``ALLOWED_HOSTS``; ``null`` and files have none."""
        scheme, _, authority = origin.partition("://")
        host, _ = split_domain_port(authority)
        return bool(scheme and host) and validate_host(host, self.allowed_hosts)

    @property
    def allowed_hosts(self) -> list[str]:
        """Hosts and patterns, as in the setting of that name."""
        if settings.DEBUG and not settings.ALLOWED_HOSTS:
            return [".localhost", "127.0.0.1", "[::1]"]
        return list(settings.ALLOWED_HOSTS)


allowed_hosts_only = AllowedHostsOnlyOriginValidator


def _values(message: Message, name: bytes) -> Iterable[str]:
    headers = message.content.get("headers") or ()
    # Messages of 2016 carry a dict.
    for header in headers.items() if isinstance(headers, dict) else headers:
        if len(header) == 2 and _bytes(header[0]) == name:
            yield _bytes(header[1]).decode("latin-1")


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
