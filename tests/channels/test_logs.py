import logging
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.test import override_settings

from channels.management.logs import access_log, name_process, show_consumer_logs, show_logs


@contextmanager
def unconfigured() -> Iterator[dict[str, logging.Logger]]:
    """The loggers of a project that has said nothing about them, not those of the test runner."""
    names = ["daphne", "channel_layers", "django.channels.trace", "django.channels"]
    found = {name: logging.getLogger(name) for name in names}
    root = logging.getLogger()
    before = {each: (each.handlers, each.level, each.propagate) for each in (root, *found.values())}
    for each in before:
        each.handlers = []
    yield found
    for each, (handlers, level, propagate) in before.items():
        each.handlers, each.propagate = handlers, propagate
        each.setLevel(level)


@pytest.mark.parametrize("trace", [False, True])
def test_logs_are_shown(trace: bool) -> None:
    """Those of server and layer, and each message only where that was asked for."""
    stream = StringIO()
    with unconfigured() as loggers:
        show_logs(trace)
        assert [len(each.handlers) for each in loggers.values()] == [1, 1, int(trace), 0]
        daphne = loggers["daphne"]
        assert (daphne.level, daphne.propagate) == (logging.INFO, False)
        handler = daphne.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
        daphne.info("a line")
    assert re.fullmatch(r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] a line\n", stream.getvalue())


def test_lines_of_a_process_with_a_name_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the time; and in a ``LOGGING`` as ``processName``."""
    monkeypatch.setattr(multiprocessing.current_process(), "name", "MainProcess")
    stream = StringIO()
    with unconfigured() as loggers:
        show_logs(trace=False)
        handler = loggers["daphne"].handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
        name_process("worker 2")
        loggers["daphne"].info("a line")
    assert re.fullmatch(r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d worker 2\] a line\n", stream.getvalue())


def test_logs_of_the_project_are_left_alone() -> None:
    """What it has configured, and everything where it has a handler at the root."""
    own = logging.NullHandler()
    with unconfigured() as loggers:
        loggers["daphne"].addHandler(own)
        show_logs(trace=False)
        assert loggers["daphne"].handlers == [own]
        logging.getLogger().addHandler(own)
        loggers["channel_layers"].handlers = []
        show_logs(trace=False)
        assert loggers["channel_layers"].handlers == []


def test_logs_need_those_of_django(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that has silenced Django's server hears nothing of ours."""
    monkeypatch.setattr(access_log, "handlers", [])
    with unconfigured() as loggers:
        show_logs(trace=True)
        assert [each.handlers for each in loggers.values()] == [[], [], [], []]


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"DEBUG": False, "LOGGING": {}}, True),
        ({"DEBUG": True, "LOGGING": {}}, False),
        ({"DEBUG": False, "LOGGING": {"version": 1, "disable_existing_loggers": False}}, False),
    ],
)
def test_lines_about_consumers_are_shown(settings: dict[str, Any], shown: bool) -> None:
    """Where Django's own logging would not show them and the project has said nothing."""
    with unconfigured() as loggers, override_settings(**settings):
        show_consumer_logs()
        assert [len(each.handlers) for each in loggers.values()] == [0, 0, 0, int(shown)]
