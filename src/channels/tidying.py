"""What Django tidies up at the start and at the end of each request, where there may be something to tidy up.

Its receivers look at every database and cache and at the URL configuration, each time: a quarter of the work of a small
view. In a consumer it is known whether a connection has been opened, and its context ends with the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import close_caches
from django.core.cache.backends.base import BaseCache
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.dispatch import Signal
from django.urls import get_urlconf
from django.utils.module_loading import import_string

from channels.pending import current


class Limit(NamedTuple):
    """A receiver of Django's, and where it is needed."""

    receiver: Callable[..., None]
    is_needed: Callable[[], bool]


@contextmanager
def tidying_where_used() -> Iterator[None]:
    """Have Django's receivers act in consumers only where something was used, for a block. For processes of workers.

    Old connections are closed by the boundary around a consumer, before it: what a receiver of the project does to one
    at the start of a request is for the view.
    """
    at_the_start = [Limit(close_old_connections, _is_outside), Limit(reset_queries, _may_have_queries)]
    in_the_end = [Limit(close_old_connections, _may_use_database), Limit(reset_urlconf, _has_urlconf)]
    if not any(map(_is_closed, settings.CACHES.values())):
        in_the_end.append(Limit(close_caches, lambda: False))
    with _limited(request_started, at_the_start), _limited(request_finished, in_the_end):
        yield


@contextmanager
def _limited(signal: Signal, limits: Iterable[Limit]) -> Iterator[None]:
    """Have ``signal`` call receivers where they are needed, of those that it calls at all; each call of it counts."""
    held = [limit for limit in limits if signal.disconnect(limit.receiver)]

    def receive(**named: Any) -> None:
        for receiver, is_needed in held:
            if is_needed():
                receiver(**named)

    signal.connect(receive, weak=False)
    with signal.lock:  # before those of the project, as Django's own are
        signal.receivers.insert(0, signal.receivers.pop())
    try:
        yield
    finally:
        signal.disconnect(receive)
        for limit in held:
            signal.connect(limit.receiver)


def _is_outside() -> bool:
    return current.get() is None


def _may_use_database() -> bool:
    pending = current.get()
    return pending is None or pending.uses_database


def _may_have_queries() -> bool:
    """Return whether there may be queries in a log, which are forgotten then; they outlast their connection."""
    pending = current.get()
    if pending is None:
        return True
    had, pending.has_queries = pending.has_queries or pending.uses_database, False
    return had


def _has_urlconf() -> bool:
    """Return whether another URL configuration is set than is taken where none is."""
    usual = getattr(settings, "ROOT_URLCONF", None)
    return current.get() is None or get_urlconf(usual) != usual


def _is_closed(cache: Mapping[str, Any]) -> bool:
    """Return whether something is done to close a cache, or that cannot be told: most have nothing to close."""
    try:
        return import_string(cache["BACKEND"]).close is not BaseCache.close
    except Exception:  # noqa: BLE001 - whoever uses it learns what is wrong with it
        return True
