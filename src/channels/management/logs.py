"""What a process started by a management command shows of its logs where the project says nothing about them."""

from __future__ import annotations

import logging
import multiprocessing
import time
from typing import Final

from django.conf import settings

TIME_FORMAT: Final = "%d/%b/%Y %H:%M:%S"

access_log = logging.getLogger("django.server")


def name_process(name: str) -> None:
    """Let the lines of this process tell it from others of its kind, as ``processName`` in a ``LOGGING`` does."""
    multiprocessing.current_process().name = name


def stamp(record: logging.LogRecord) -> bool:
    """Give a record the time as Django's development server writes it, and the name of a process that has one."""
    name = "" if record.processName == "MainProcess" else f" {record.processName}"
    record.server_time = time.strftime(TIME_FORMAT) + name
    return True


def show_logs(trace: bool) -> None:
    """Show the lines of the server and the layer as Django shows its own; with ``trace``, one for each consumer."""
    names = ["daphne", "channel_layers"] + (["django.channels.trace"] if trace else [])
    for name in names:
        if logger := _show(name):
            logger.setLevel(logging.INFO)
            logger.propagate = False


def show_consumer_logs() -> None:
    """Show the lines about consumers without ``DEBUG``, too: Django's own logging only mails errors then."""
    if not settings.DEBUG and not settings.LOGGING:
        _show("django.channels")


def _show(name: str) -> logging.Logger | None:
    """Give a logger a handler and return it, unless the project has configured it."""
    logger = logging.getLogger(name)
    if not access_log.handlers or logger.handlers or logging.getLogger().handlers:
        return None
    handler = logging.StreamHandler()
    handler.setFormatter(access_log.handlers[0].formatter)
    handler.addFilter(stamp)
    logger.addHandler(handler)
    return logger
