"""Workers as a process of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, Self

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels.handler import ViewConsumer
from channels.layers import ChannelLayerWrapper
from channels.management.layer import add_layer_option, shared_layer, wait_for
from channels.management.logs import show_consumer_logs, show_logs
from channels.signals import worker_process_ready
from channels.staticfiles import WHITENOISE, StaticFilesConsumer
from channels.worker import Worker, readable_channels

STOP_TIMEOUT: Final = 30.0
"""Seconds that running consumers get; what supervisors mostly allow (Kubernetes 30, gunicorn 30, systemd 90)."""
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    """Runs a worker until SIGTERM or SIGINT."""

    help = "Takes messages from a channel layer and runs the consumers they are routed to."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options of 1.x, and ``--stop-timeout``."""
        add_layer_option(parser)
        parser.add_argument(
            "--only-channels",
            action="append",
            default=[],
            metavar="GLOB",
            help="Take messages of matching channels only; may be given several times.",
        )
        parser.add_argument(
            "--exclude-channels",
            action="append",
            default=[],
            metavar="GLOB",
            help="Take no messages of matching channels; may be given several times.",
        )
        parser.add_argument("--threads", type=int, default=1, help="Consumers that may run at the same time (1).")
        parser.add_argument(
            "--stop-timeout",
            type=float,
            default=STOP_TIMEOUT,
            metavar="SECONDS",
            help=f"How long running consumers may take once the worker has been told to stop ({STOP_TIMEOUT:g}).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Take messages until the first signal; then finish what was taken and return."""
        show_logs(trace=options["verbosity"] > 1)
        show_consumer_logs()
        layer = shared_layer(options["layer"])
        worker = make_worker(layer, options)
        wait_for(layer)
        with StopSignals() as signals:
            worker_process_ready.send(sender=worker)
            worker.start()
            self._say(f"Channel layer {layer}, process {os.getpid()}, {_slots(options['threads'])}.")
            self._say(f"Channels: {', '.join(worker.channels)}.")
            signals.wait()
            self._say("Stopping: what was taken is finished, nothing more is taken.")
            if not worker.stop(options["stop_timeout"]):
                self._give_up(options["stop_timeout"])
        layer.close()
        self._say("Stopped.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()  # a supervisor reads it from a pipe

    def _give_up(self, timeout: float) -> NoReturn:
        self.stderr.write(f"Consumers still run after {timeout:g} s (--stop-timeout): their messages are lost.")
        self.stderr.flush()
        os._exit(1)  # whatever those consumers wait for, such as threads of their own, must not keep the process


class StopSignals:
    """SIGTERM and SIGINT: :meth:`wait` returns at the first, the second ends the process at once."""

    def __init__(self) -> None:
        self._received: SimpleQueue[int] = SimpleQueue()  # put() may interrupt get(), unlike set() and wait()

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def wait(self) -> None:
        """Wait for the first signal."""
        self._received.get()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._received.put(number)


def make_worker(layer: ChannelLayerWrapper, options: Mapping[str, Any]) -> Worker:
    """Return the worker that ``options`` describe; raise :exc:`CommandError` for one that could do nothing."""
    if options["threads"] < 1:
        raise CommandError(f"--threads is 1 or more, not {options['threads']}")
    if not options["stop_timeout"] >= 0:
        raise CommandError(f"--stop-timeout is 0 or more seconds, not {options['stop_timeout']}")
    try:
        layer.router.check_default(http_consumer=default_http_consumer())
    except (ImproperlyConfigured, TypeError, ValueError) as error:
        raise CommandError(f"CHANNEL_LAYERS[{layer.alias!r}]['ROUTING']: {error}") from error
    worker = Worker(
        layer,
        only_channels=options["only_channels"],
        exclude_channels=options["exclude_channels"],
        threads=options["threads"],
        trace=options["verbosity"] > 1,
    )
    if not worker.channels:
        known = ", ".join(readable_channels(layer))
        raise CommandError(f"--only-channels and --exclude-channels leave no channel; there are: {known}")
    return worker


def default_http_consumer() -> ViewConsumer:
    """Return what handles requests that no route wants: Django's views, and static files where runserver has them."""
    installed = apps.is_installed("django.contrib.staticfiles") and not apps.is_installed(WHITENOISE)
    return StaticFilesConsumer() if settings.DEBUG and installed else ViewConsumer()


def _slots(threads: int) -> str:
    return f"{threads} slot{'s'[: threads != 1]}"
