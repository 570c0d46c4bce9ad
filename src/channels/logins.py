"""Sockets end with the login that opened them.

Where a connect consumer asks for the user of the browser, the socket becomes a member of two groups, of its user and of
the browser's session. A logout closes the sockets of that session; a password that changes, or an account that is
switched off or deleted, closes those of that user, on every server.
"""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.signals import user_logged_out
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_save
from django.db.transaction import on_commit

from channels import conf
from channels.layers import channel_layers

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest

logger = logging.getLogger("django.channels")

LOGIN_ENDED: Final = 4401
"""Close code of a socket whose login has ended, after the status 401 of HTTP."""
CREDENTIALS: Final = frozenset(("password", "is_active"))
"""Fields of a user that end logins when they change."""

_BEFORE: Final = "_channels_credentials"


def user_group(pk: str) -> str:
    """Return the name of the group of a user's sockets; ``pk`` is the primary key as a session has it."""
    return f"channels.user.{pk}"


def session_group(key: str) -> str:
    """Return the name of the group of the sockets of a browser's session; it does not tell the key."""
    return f"channels.session.{hashlib.sha256(key.encode()).hexdigest()}"


def groups_of(session: SessionBase | None) -> list[str]:
    """Return the groups of a socket whose browser has ``session``: none without a login."""
    pk = session.get(SESSION_KEY) if session is not None else None
    if session is None or pk is None or not conf.closes_on_logout():
        return []
    return [user_group(pk), *([session_group(session.session_key)] if session.session_key else [])]


def end_sockets(group: str, reason: str, using: str | None = None) -> None:
    """Close the sockets of ``group`` once the transaction of the database ``using``, if there is one, is committed."""
    on_commit(partial(_close, group, reason), using=using, robust=True)


def _close(group: str, reason: str) -> None:
    """Send to every layer, because any of them may have the sockets; what cannot be sent is no fault of the caller."""
    for alias in channel_layers.configs:
        try:
            layer = channel_layers[alias].channel_layer
            layer.send_group(group, {"close": LOGIN_ENDED, "reason": reason})
        except (OSError, ImproperlyConfigured) as error:
            logger.error("the sockets of %s could not be closed on layer %r (%s): %s", group, alias, reason, error)


# -- signals -----------------------------------------------------------------------------------------------------------


def listen() -> None:
    """Be told of logouts, and of users that are saved and deleted."""
    user_logged_out.connect(_logged_out, dispatch_uid="channels.logins")
    pre_save.connect(_about_to_be_saved, dispatch_uid="channels.logins")
    post_save.connect(_saved, dispatch_uid="channels.logins")
    post_delete.connect(_deleted, dispatch_uid="channels.logins")


def _logged_out(request: HttpRequest | None, user: object, **kwargs: object) -> None:
    key = getattr(getattr(request, "session", None), "session_key", None)
    if user is not None and key and conf.closes_on_logout():
        end_sockets(session_group(key), "logged out")


def _about_to_be_saved(
    instance: Model, raw: bool, using: str, update_fields: Collection[str] | None, **kwargs: object
) -> None:
    """Remember what the database has: one query, for a save that may write one of these fields."""
    if raw or instance._state.adding or not _is_user(instance):
        return
    if update_fields is None or not CREDENTIALS.isdisjoint(update_fields):
        saved = type(instance)._base_manager.using(using).filter(pk=instance.pk).first()
        setattr(instance, _BEFORE, _credentials(saved))


def _saved(instance: Model, using: str, **kwargs: object) -> None:
    before = instance.__dict__.pop(_BEFORE, None)
    if before is None:
        return
    password, is_active = _credentials(instance) or before
    if is_active != before[1]:
        end_sockets(user_group(_key_of(instance)), "account activated" if is_active else "account deactivated", using)
    elif password != before[0]:
        end_sockets(user_group(_key_of(instance)), "password changed", using)


def _deleted(instance: Model, using: str, **kwargs: object) -> None:
    if _is_user(instance):
        end_sockets(user_group(_key_of(instance)), "account deleted", using)


def _is_user(instance: Model) -> bool:
    try:
        return conf.closes_on_logout() and isinstance(instance, get_user_model())
    except ImproperlyConfigured:  # a project without users
        return False


def _credentials(user: Any) -> tuple[Any, Any] | None:
    """Return what a login of ``user`` depends on: the hash that sessions have of the password, and the switch."""
    if user is None:
        return None
    hash_of = getattr(user, "get_session_auth_hash", None)
    return hash_of and hash_of(), getattr(user, "is_active", True)


def _key_of(user: Model) -> str:
    return str(user._meta.pk.value_to_string(user))
