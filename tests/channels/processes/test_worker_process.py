"""A worker in a process of its own, and in one that has a parent."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.dispatch import Signal
from django.test import override_settings

from channels import asgi, route
from channels.processes import worker_process
from channels.processes.code import Changed
from channels.processes.line import Parent
from channels.processes.worker_process import WorkerProcess
from channels.signals import worker_process_ready, worker_ready
from channels.worker import Worker
from tests.channels.workers import PATIENCE, layer_of


class Watch:
    """Stands for the watch of the code: sees one change when it begins."""

    def __init__(self, changed: Changed, early: Changed, since: float) -> None:
        self._changed, self._early, self._since = changed, early, since

    def start(self) -> None:
        self._changed(1.5, Path("/srv/site/views.py"))
        self._early(self._since, Path("/srv/site/urls.py"))


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, Parent]]:
    """The parent's end, and what the process has of the other."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    parent = Parent(theirs.detach())
    yield ours, parent
    ours.close()
    parent.close()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Signal, object]]:
    """Receivers that are disconnected after the test."""
    receivers: dict[Signal, object] = {}
    yield receivers
    for sent, receiver in receivers.items():
        sent.disconnect(receiver)  # type: ignore[arg-type]  # whatever was connected


def process(said: list[str], threads: int = 1) -> WorkerProcess:
    """Return a worker of a layer of its own."""
    return WorkerProcess(Worker(layer_of(route("work", print)), threads=threads), PATIENCE, said.append)


def seen_when_ready(look: Callable[[], float], connected: dict[Signal, object]) -> list[float]:
    """Have a process end once it is ready; return the list that is to have what ``look`` returns then."""
    found: list[float] = []

    def end(**kwargs: object) -> None:
        found.append(look())
        os.kill(os.getpid(), signal.SIGTERM)

    connected[worker_ready] = end
    worker_ready.connect(end)
    return found


@pytest.mark.parametrize(("chosen", "expected"), [(0.005, 0.001), (0.02, 0.02)])
def test_threads_alternate_quickly(chosen: float, expected: float, connected: dict[Signal, object]) -> None:
    """While it runs, and if the project has not said how quickly."""
    found = seen_when_ready(sys.getswitchinterval, connected)
    before = sys.getswitchinterval()
    sys.setswitchinterval(chosen)
    try:
        assert process([]).run()
        assert sys.getswitchinterval() == chosen
    finally:
        sys.setswitchinterval(before)
    assert found == [expected]


def test_garbage_is_not_looked_for_in_what_stays(connected: dict[Signal, object]) -> None:
    """What is there before the first message are modules, settings and routing."""
    found = seen_when_ready(gc.get_freeze_count, connected)
    assert process([]).run()
    assert found[0] > 0
    assert gc.get_freeze_count() == 0


def test_it_runs_until_a_signal(connected: dict[Signal, object]) -> None:
    """And says what it does."""
    said: list[str] = []
    ready: list[object] = []

    def end(sender: Worker, **kwargs: object) -> None:
        ready.append(sender)
        if len(ready) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    connected[worker_ready] = end
    worker_ready.connect(end)
    assert process(said, threads=2).run()
    assert said[0].endswith(f", process {os.getpid()}, 2 slots.")
    assert said[1:] == [
        "Channels: work.",
        "Stopping: what was taken is finished, nothing more is taken.",
    ]


@override_settings(DEBUG=True)
def test_while_developing_versions_of_the_code_are_compared(
    connected: dict[Signal, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process announces its own, and looks for others."""
    compared: list[Worker] = []
    codes: list[str] = []
    monkeypatch.setattr(worker_process, "compare_soon", compared.append)

    def end(sender: Worker, **kwargs: object) -> None:
        codes.extend(process.code for process in sender.channel_layer.processes())
        os.kill(os.getpid(), signal.SIGTERM)

    connected[worker_ready] = end
    worker_ready.connect(end)
    assert process([]).run()
    assert codes == [compared[0].code]
    assert len(codes[0]) == 16


def test_it_tells_its_parent_and_ends_with_it(
    line: tuple[socket.socket, Parent], connected: dict[Signal, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has read of the settings, that it is ready, and that code has changed."""
    monkeypatch.setattr(worker_process, "CodeWatch", Watch)
    ours, parent = line
    begun: list[Worker] = []

    def note(sender: Worker, **kwargs: object) -> None:
        begun.append(sender)

    connected[worker_process_ready] = note
    worker_process_ready.connect(note)
    received: list[str] = []

    def listen() -> None:
        while len(received) < 5:
            received.extend(ours.recv(1000).decode().splitlines())
        ours.shutdown(socket.SHUT_RDWR)

    listener = threading.Thread(target=listen)
    listener.start()
    assert process([]).run_for(parent, watches_code_since=2.5)
    listener.join(PATIENCE)
    assert received == [
        f"name {begun[0].process}",
        "changed 1.5 /srv/site/views.py",
        "early 2.5 /srv/site/urls.py",
        f"settings {asgi.settings_digest()}",
        f"ready {begun[0].process}",
    ]
