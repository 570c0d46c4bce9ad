"""``manage.py runworker``: what it refuses, what it runs, and how it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.apps import registry
from django.core.management import CommandError, call_command
from django.test import override_settings

from channels import route
from channels.handler import ViewConsumer
from channels.layers import ChannelLayerWrapper
from channels.management.workers import default_http_consumer
from channels.message import Message
from channels.signals import consumer_finished, worker_process_ready, worker_ready
from channels.staticfiles import WHITENOISE, StaticFilesConsumer
from channels.worker import Worker
from tests.channels.workers import PATIENCE, Crossing, assertions, default_layer, layer_of, taken
from tests.runserver import MANAGE, STARTING, RunServer, write_files


@contextmanager
def worker_of(layer: ChannelLayerWrapper) -> Iterator[list[Worker]]:
    """Make ``layer`` the default, and collect the worker of the command that the block runs."""
    workers: list[Worker] = []

    def note(sender: Worker, **kwargs: object) -> None:
        workers.append(sender)

    worker_process_ready.connect(note)
    try:
        with default_layer(layer):
            yield workers
    finally:
        worker_process_ready.disconnect(note)


def run(*arguments: str) -> list[str]:
    """Run the command until a consumer stops it, and return what it printed."""
    output = StringIO()
    with assertions():
        call_command("runworker", *arguments, stdout=output, no_color=True)
    return output.getvalue().splitlines()


# -- what it refuses ---------------------------------------------------------------------------------------------------


def test_layer_within_one_process_is_refused() -> None:
    """The error says which to use instead."""
    with (
        default_layer(layer_of(route("work", print))),
        pytest.raises(
            CommandError,
            match=r"reaches no other process.*'channel_layers\.local\.LocalChannelLayer' .*\.RedisChannelLayer'",
        ),
    ):
        call_command("runworker")


def test_unknown_layer_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(CommandError, match=r"^CHANNEL_LAYERS has no 'defualt', only \['default'\]\. Did you mean"):
        call_command("runworker", "--layer", "defualt")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--threads", "0"], "--threads is 1 or more, not 0"),
        (["--stop-timeout", "-1"], "--stop-timeout is 0 or more seconds, not -1.0"),
        (["--stop-timeout", "nan"], "--stop-timeout is 0 or more seconds, not nan"),
        (
            ["--only-channels", "w?rk"],
            "leave no channel; there are: http.request, websocket.connect, websocket.receive",
        ),
        (["--exclude-channels", "*"], "--only-channels and --exclude-channels leave no channel"),
        (["--processes", "0"], "--processes is more than 0, not 0"),
        (["--max-rss", "-5"], "--max-rss is more than 0, not -5.0"),
        (["--max-memory", "0"], "--max-memory is more than 0, not 0.0"),
        (["--max-memory", "2"], r"^--max-memory 2 is less than the \d+ MiB that a process needs"),
    ],
)
def test_options_that_are_refused(arguments: list[str], expected: str) -> None:
    """A worker that could do nothing does not start."""
    with default_layer(layer_of(layer=Crossing())), pytest.raises(CommandError, match=expected):
        call_command("runworker", *arguments)


def test_routing_that_is_none_is_refused() -> None:
    """The error names the setting."""
    layer = ChannelLayerWrapper(Crossing(), "default", "no.such.routing")
    with (
        default_layer(layer),
        pytest.raises(CommandError, match=r"^CHANNEL_LAYERS\['default'\]\['ROUTING'\]: .*no\.such\.routing"),
    ):
        call_command("runworker")


# -- what it runs ------------------------------------------------------------------------------------------------------


def test_signal_ends_it_when_what_was_taken_is_done() -> None:
    """The running consumer finishes and its sends leave; what was not taken stays in its queue."""

    def consumer(message: Message) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert workers[0].stopping.wait(PATIENCE)
        layer.send("answers", {"to": message["number"]})

    layer = layer_of(route("work", consumer), layer=Crossing())
    layer.send_many([("work", {"number": number}) for number in (1, 2)])
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with worker_of(layer) as workers:
        lines = run()
    assert taken(layer, "answers") == [{"to": 1}]
    assert taken(layer, "work") == [{"number": 2}]
    assert lines == [
        f"Channel layer {layer}, process {os.getpid()}, 1 slot.",
        "Channels: http.request, websocket.connect, websocket.receive, work.",
        (
            "With one slot none can be reserved: HTTP and WebSockets wait while 'work' is worked on. "
            "Use --threads 2 or more."
        ),
        "Stopping: what was taken is finished, nothing more is taken.",
        "Stopped.",
    ]
    assert layer.processes() == []
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))


def test_slots_and_channels() -> None:
    """As many slots as ``--threads``; channels by globs."""

    def consumer(message: Message) -> None:
        layer.send("seen", {"slots": [process.slots for process in layer.processes()]})
        os.kill(os.getpid(), signal.SIGINT)

    layer = layer_of(route("work.fast", consumer), route("work.slow", print), layer=Crossing())
    layer.send("work.fast", {})
    with default_layer(layer):
        lines = run("--threads", "3", "--only-channels", "work.*", "--exclude-channels", "*.slow")
    assert lines[0].endswith(", 3 slots.")
    assert lines[1] == "Channels: work.fast."
    assert taken(layer, "seen") == [{"slots": [3]}]


def test_signals_of_django_are_sent() -> None:
    """Once for the process, before the first of its slots."""
    sent: list[str] = []

    def process_ready(sender: Worker, **kwargs: object) -> None:
        sent.append("process")

    def slot_ready(sender: Worker, **kwargs: object) -> None:
        sent.append("slot")
        if len(sent) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    worker_process_ready.connect(process_ready)
    worker_ready.connect(slot_ready)
    try:
        with default_layer(layer_of(layer=Crossing())):
            run("--threads", "2")
    finally:
        worker_process_ready.disconnect(process_ready)
        worker_ready.disconnect(slot_ready)
    assert sent == ["process", "slot", "slot"]


@pytest.mark.parametrize(
    ("debug", "apps", "expected"),
    [
        (True, ["django.contrib.staticfiles"], StaticFilesConsumer),
        (False, ["django.contrib.staticfiles"], ViewConsumer),
        (True, [], ViewConsumer),
        (True, [WHITENOISE, "django.contrib.staticfiles"], ViewConsumer),
    ],
)
def test_default_consumer(debug: bool, apps: list[str], expected: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with runserver: static files while debugging, unless WhiteNoise has them."""
    monkeypatch.setattr(registry.apps, "is_installed", apps.__contains__)
    with override_settings(DEBUG=debug):
        assert type(default_http_consumer()) is expected


def test_a_worker_without_a_supervisor_is_the_process_itself() -> None:
    """None of the options that need one is given; with ``-v 0`` it says nothing."""

    def consumer(message: Message) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    layer = layer_of(route("work", consumer), layer=Crossing())
    layer.send("work", {})
    with default_layer(layer):
        assert run("-v", "0") == []


def test_a_process_of_a_supervisor_has_its_name_and_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """In what it says, in its logs, and in what it tells its parent."""

    def consumer(message: Message) -> None:
        names.append(multiprocessing.current_process().name)
        os.kill(os.getpid(), signal.SIGTERM)

    names: list[str] = []
    monkeypatch.setattr(multiprocessing.current_process(), "name", "MainProcess")
    ours, theirs = socket.socketpair()
    layer = layer_of(route("work", consumer), layer=Crossing())
    layer.send("work", {})
    consumer_path = "--http-consumer=channels.staticfiles.StaticFilesConsumer"
    with ours, default_layer(layer):
        lines = run("--name=worker 3", f"--parent-fd={theirs.detach()}", "--max-messages=1000", consumer_path)
        said = ours.recv(1000).decode().splitlines()
    assert consumer_finished.disconnect(dispatch_uid="channels.limits")
    assert lines[0].startswith("worker 3: Channel layer ")
    assert lines[-1] == "worker 3: Stopped."
    assert [line.split()[0] for line in said] == ["name", "settings", "ready"]
    assert names == ["worker 3"]
    assert isinstance(layer.router.default_routes[0].consumer, StaticFilesConsumer)


# -- how it ends -------------------------------------------------------------------------------------------------------


def test_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that takes longer is cut off, with status 1 and a line that says so."""
    released, ended = Event(), Event()

    class ExitedError(Exception):
        pass

    def leave(status: int) -> None:
        raise ExitedError(status)

    def consumer(message: Message) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        released.wait(PATIENCE)
        ended.set()

    monkeypatch.setattr(os, "_exit", leave)
    layer = layer_of(route("work", consumer), layer=Crossing())
    layer.send("work", {})
    errors = StringIO()
    with default_layer(layer), pytest.raises(ExitedError, match=r"^1$"):
        call_command("runworker", "--stop-timeout", "0", stdout=StringIO(), stderr=errors, no_color=True)
    released.set()
    assert ended.wait(PATIENCE)
    assert errors.getvalue() == "Consumers still run after 0 s (--stop-timeout): their messages are lost.\n"


# -- as a process ------------------------------------------------------------------------------------------------------

PROJECT = {
    "manage.py": MANAGE,
    "mysite/__init__.py": "",
    "mysite/settings.py": """
SECRET_KEY = "for tests only"
ROOT_URLCONF = "mysite.urls"
INSTALLED_APPS = ["channels"]
CHANNEL_LAYERS = {"default": {"BACKEND": "mysite.routing.Crossing", "ROUTING": "mysite.routing.channel_routing"}}
""",
    "mysite/urls.py": "urlpatterns = []\n",
    "mysite/routing.py": """
import threading

from channel_layers.memory import MemoryChannelLayer
from channels import route
from channels.signals import worker_process_ready


class Crossing(MemoryChannelLayer):
    crosses_processes = True


def send_work(sender, **kwargs):
    sender.channel_layer.send("work", {})


def work(message):
    open("gate").read()
    print("the work is done", flush=True)
    raise ValueError("out of paper")


worker_process_ready.connect(send_work)
channel_routing = [route("work", work)]
""",
}


class RunWorker(RunServer):
    """A worker whose first consumer waits for the gate."""

    command = ("manage.py", "runworker")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a consumer that is slow, and raises."""
    directory = write_files(tmp_path_factory.mktemp("runworker"), PROJECT)
    os.mkfifo(directory / "gate")
    return directory


@contextmanager
def at_work(project: Path, *options: str) -> Iterator[tuple[RunWorker, Any]]:
    """Run a worker and hold its consumer, which has begun, until the gate is closed."""
    worker = RunWorker(project, *options)
    try:
        worker.wait_for("^Channels: ", timeout=STARTING)
        with (project / "gate").open("w") as gate:  # opens once the consumer waits for it
            yield worker, gate
    finally:
        worker.stop()


def test_process_finishes_what_it_has_taken(project: Path) -> None:
    """Then it ends with status 0; what a consumer raises is shown without DEBUG, and each call with -v 2."""
    with at_work(project, "-v", "2") as (worker, gate):
        worker.send(signal.SIGTERM)
        worker.wait_for("^Stopping: ")
        gate.close()
        assert worker.wait() == 0
    assert worker.matching("^the work is done$")
    assert worker.lines[-1] == "Stopped."
    assert worker.matching(r"^\[.*\] work  -> mysite\.routing\.work \d")
    assert len(worker.matching(r"ValueError: out of paper")) == 1


def test_second_signal_ends_the_process(project: Path) -> None:
    """At once, whatever runs."""
    with at_work(project) as (worker, _):
        worker.interrupt()
        worker.wait_for("^Stopping: ")
        worker.send(signal.SIGTERM)
        assert worker.wait() == -signal.SIGTERM
    assert not worker.matching("work is done|Stopped")


def test_time_limit_ends_the_process(project: Path) -> None:
    """With status 1."""
    with at_work(project, "--stop-timeout", "0.1") as (worker, _):
        worker.send(signal.SIGTERM)
        assert worker.wait() == 1
    assert worker.lines[-1] == "Consumers still run after 0.1 s (--stop-timeout): their messages are lost."
