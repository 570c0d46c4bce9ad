"""What is told of a message whose consumer has failed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils.functional import SimpleLazyObject
from django.utils.log import AdminEmailHandler

from channels.faults import extra_of, place_of
from channels.message import Message
from channels.routing import route
from tests.channels.workers import Bench, Socket, layer_of

RECEIVE = "websocket.receive"


def failing(message: Message) -> None:
    """Fail on behalf of a user."""
    message.user = SimpleNamespace(pk=7)  # type: ignore[assignment]  # all that is looked at
    raise ZeroDivisionError("no")


def fail() -> Socket:
    """Run a consumer that fails."""
    layer = layer_of(route(RECEIVE, failing))
    socket = Socket(layer)
    Bench(layer).run(socket.event({"path": "/shop/"}))
    return socket


def test_a_user_that_was_not_loaded_is_not_asked_for() -> None:
    """An error is no reason for a query."""

    def load() -> Any:
        raise AssertionError

    message = Message({"path": "/x/"}, RECEIVE, layer_of())
    assert place_of(message) == "websocket.receive /x/"
    message.user = SimpleLazyObject(load)  # type: ignore[assignment]  # as the decorators do
    assert place_of(message) == "websocket.receive /x/"
    assert extra_of(message, "here")["user"] is None


def test_a_loaded_user_is_told() -> None:
    """By its key."""
    message = Message({}, "jobs", layer_of())
    user = SimpleLazyObject(lambda: SimpleNamespace(pk=7))
    assert user.pk == 7
    message.user = user  # type: ignore[assignment]  # as the decorators do
    assert place_of(message) == "jobs (user 7)"
    assert extra_of(message, "here") == {
        "channel": "jobs",
        "path": None,
        "route": "here",
        "reply_channel": None,
        "user": 7,
    }


def test_the_log_has_path_user_and_connection(caplog: pytest.LogCaptureFixture) -> None:
    """In the text and beside it."""
    socket = fail()
    (record,) = (record for record in caplog.records if record.exc_info)
    assert record.getMessage() == "tests.channels.test_faults.failing raised on websocket.receive /shop/ (user 7)"
    assert record.__dict__["reply_channel"] == socket.name


class Mails(AdminEmailHandler):
    """Django's handler, which keeps its mails: how a mail leaves is set up in another way by each Django."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str]] = []

    def send_mail(self, subject: object, message: object, *args: Any, **kwargs: Any) -> None:
        self.sent.append((str(subject), str(message)))


def test_administrators_get_one_mail() -> None:
    """As of a view that fails, where mails are set up as Django sets them up."""
    handler = Mails()
    handler.setLevel(logging.ERROR)
    logger = logging.getLogger("django")
    logger.addHandler(handler)
    try:
        fail()
    finally:
        logger.removeHandler(handler)
    ((subject, body),) = handler.sent
    assert "failing raised on websocket.receive /shop/ (user 7)" in subject
    assert "ZeroDivisionError" in body


SENTRY = """
import django
django.setup()
import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.transport import Transport
from tests.channels.test_faults import fail

class Kept(Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            extra = event["extra"]
            print(event["exception"]["values"][-1]["type"], extra["path"], extra["user"])

sentry_sdk.init(
    dsn="https://key@example.com/1",
    transport=Kept(),
    integrations=[DjangoIntegration()],
    auto_enabling_integrations=False,
)
fail()
"""


def test_sentry_sees_it_once() -> None:
    """With path and user, by its integration with Django; in a process of its own, since that changes Django."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", SENTRY]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ZeroDivisionError /shop/ 7\n"
