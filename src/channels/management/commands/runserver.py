"""Django's ``runserver`` with an interface server and workers in one process."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import Command as StaticFilesCommand
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.core.management.base import CommandParser, OutputWrapper
from django.core.management.commands.runserver import Command as DjangoCommand
from django.utils import autoreload

import channel_layers as channel_layers_package
import channels as channels_package
import daphne as daphne_package
from channels import conf
from channels.handler import ViewConsumer
from channels.layers import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from channels.management.layer import wait_for
from channels.management.logs import TIME_FORMAT, access_log, show_logs
from channels.processes.background import BackgroundWorkers
from channels.processes.commands import common_options
from channels.processes.workers import WorkerOptions
from channels.staticfiles import WHITENOISE, StaticFilesConsumer
from channels.worker import Worker
from daphne.access import CLOSE, Access
from daphne.access_format import as_text
from daphne.config import LIMITS, Config, option_of, spelling
from daphne.server import Server, new_event_loop

if TYPE_CHECKING:
    Base = StaticFilesCommand
else:
    Base = StaticFilesCommand if apps.is_installed("django.contrib.staticfiles") else DjangoCommand

THREADS: Final = 4
HTTP_TIMEOUT: Final = 60
OWN_OPTIONS: Final = ("http_timeout", "handshake_timeout")
"""Limits whose options have names that 1.x gave them."""
FAREWELL: Final = 2.0
"""Seconds that a reload gives sockets to hear of it (close code 1012)."""
BEGINNING: Final = 30.0
"""Seconds that connections wait at most for worker processes that are starting."""
RELOAD_STATUS: Final = 3
"""What a process ends with that Django's autoreloader starts anew."""
OWN_CODE: Final = tuple(
    Path(package.__path__[0]) for package in (channel_layers_package, channels_package, daphne_package)
)
"""Where the code is that a server runs. All other code is run by the workers."""

logger = logging.getLogger("django.channels")


class Command(Base):
    """Serves HTTP and WebSockets where ``CHANNEL_LAYERS`` has a default layer, and is Django's own elsewhere."""

    help = "Starts a development server for HTTP and WebSockets, with workers in the same process."
    _development: type[DevelopmentServer] | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ours to the options of Django and of staticfiles."""
        super().add_arguments(parser)
        parser.add_argument(
            "--noworker",
            action="store_false",
            dest="run_worker",
            help="Run no workers here; start them with runworker.",
        )
        parser.add_argument(
            "--noasgi", action="store_false", dest="use_asgi", help="Use Django's own server: WSGI, no WebSockets."
        )
        _add_timeouts(parser)
        _add_limits(parser)
        if apps.is_installed(WHITENOISE):
            parser.set_defaults(use_static_handler=False)

    def get_handler(self, *args: Any, **options: Any) -> Any:
        """Choose the server, and return what it calls: WSGI only where the server is Django's.

        Django asks for it once the system checks have passed, so a bad setting is reported by them.
        """
        if not options["use_asgi"] or DEFAULT_CHANNEL_LAYER not in channel_layers:
            return super().get_handler(*args, **options)
        self._development = self._server_class(options)
        self.server_cls = self._development  # type: ignore[assignment]  # made like Django's, no WSGI inside
        return None

    def on_bind(self, server_port: int) -> None:
        """Say what runs where, after Django's own lines."""
        if not self._development:
            super().on_bind(server_port)
            return
        terminal, lines = self.stdout, StringIO()
        self.stdout = OutputWrapper(lines)
        super().on_bind(server_port)
        self.stdout = terminal
        layer, workers = self._development.layer, self._development.workers_text()
        # Django 6.1 calls its server a WSGI server, which this one is not.
        self.stdout.write(lines.getvalue().replace("WSGI development server", "development server"), ending="")
        self.stdout.write(f"Channel layer {layer}, {workers}, HTTP and WebSocket.")
        if self._development.outlives_code:
            self.stdout.write("When code changes, the workers restart; sockets stay open.")

    def _server_class(self, options: dict[str, Any]) -> type[DevelopmentServer]:
        try:
            layer, config = channel_layers[DEFAULT_CHANNEL_LAYER], server_config(options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except (TypeError, ValueError) as error:
            raise CommandError(f"CHANNELS or an option: {error}") from error
        wait_for(layer)
        attributes = {
            "layer": layer,
            "config": config,
            "threads": (THREADS if options["use_threading"] else 1) if options["run_worker"] else 0,
            "trace": options["verbosity"] > 1,
            "http_consumer": self._http_consumer(options),
            "outlives_code": options["use_reloader"] and not layer.local_only(),
            "worker_options": self._worker_options(options),
        }
        return type("DevelopmentServer", (DevelopmentServer,), attributes)

    def _worker_options(self, options: dict[str, Any]) -> WorkerOptions:
        consumer = self._http_consumer(options)
        return WorkerOptions(
            threads=THREADS if options["use_threading"] else 1,
            stop_timeout=FAREWELL,
            reload=True,
            verbosity=2 if options["verbosity"] > 1 else 0,
            http_consumer=f"{consumer.__module__}.{consumer.__qualname__}",
            others=common_options(options),
            as_called=getattr(self, "_called_from_command_line", False),
        )

    def _http_consumer(self, options: dict[str, Any]) -> type[ViewConsumer]:
        serves_static = options.get("use_static_handler") and (settings.DEBUG or options.get("insecure_serving"))
        return StaticFilesConsumer if serves_static else ViewConsumer


def _add_timeouts(parser: CommandParser) -> None:
    """Add the limits that have an option of their own, spelt as in 1.x."""
    parser.add_argument(
        "--http_timeout",
        "--http-timeout",
        type=float,
        help=f"Seconds a response may take to begin ({HTTP_TIMEOUT}).",
    )
    parser.add_argument(
        "--websocket_handshake_timeout",
        "--handshake-timeout",
        type=float,
        dest="handshake_timeout",
        help="Seconds a connect consumer may take to decide.",
    )


def _add_limits(parser: CommandParser) -> None:
    """Add an option for each limit of the server that has none of its own above."""
    group = parser.add_argument_group("limits", "Sizes are bytes, times are seconds. The same as for daphne.")
    for field in LIMITS:
        if field.name not in OWN_OPTIONS:
            group.add_argument(spelling(field.name), **option_of(field))


def concerns_workers(file_path: str | os.PathLike[str], **kwargs: object) -> bool:
    """Return whether a changed file is none of the server's, which then goes on; receives ``file_changed``."""
    return not any(own in Path(file_path).parents for own in OWN_CODE)


def server_config(options: dict[str, Any]) -> Config:
    """Return the configuration: command line, then settings, then defaults."""
    chosen = {"http_timeout": HTTP_TIMEOUT, **conf.server_options()}
    given = {field.name: options.get(field.name) for field in LIMITS}
    chosen.update({name: value for name, value in given.items() if value is not None})
    return Config(**chosen)


class DevelopmentServer:
    """Stands where Django's command expects a ``socketserver``: bound when made, then told to serve."""

    layer: ClassVar[ChannelLayerWrapper]
    config: ClassVar[Config]
    threads: ClassVar[int]
    trace: ClassVar[bool]
    http_consumer: ClassVar[type[ViewConsumer]]
    outlives_code: ClassVar[bool] = False
    """Whether sockets stay open when code changes: it is run by processes that are restarted without this one."""
    worker_options: ClassVar[WorkerOptions]

    def __init__(self, address: tuple[str, int], handler_class: type, ipv6: bool = False) -> None:
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        self.socket = socket.create_server(address, family=family)
        self.server_port: int = self.socket.getsockname()[1]
        self._stop: Callable[[], object] | None = None
        self._stopped = threading.Event()
        self._starts_over = False

    @classmethod
    def workers_text(cls) -> str:
        """Return how many consumers run at once, for the banner."""
        if not cls.threads:
            return "no workers here"
        where = " in a process of their own" if cls.outlives_code else ""
        return f"{cls.threads} worker thread{'s'[: cls.threads != 1]}{where}"

    def set_app(self, application: object) -> None:
        """Part of what Django expects; consumers are found by routing."""

    def serve_forever(self) -> None:
        """Serve until interrupted."""
        show_logs(self.trace)
        if self.outlives_code:
            autoreload.file_changed.connect(concerns_workers, dispatch_uid="channels.runserver")
        worker = self._start_worker()
        atexit.register(self._farewell)
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve(worker))
        finally:
            if worker is not None:
                worker.stop(timeout=FAREWELL)
        if self._starts_over:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(RELOAD_STATUS)  # this is not the main thread, which could exit in another way

    def _start_worker(self) -> Worker | BackgroundWorkers | None:
        if not self.threads:
            if self.layer.local_only():
                logger.warning("nothing will be answered: no workers here, and none elsewhere can read %s", self.layer)
            return None
        worker = self._processes() if self.outlives_code else self._slots()
        worker.start()
        return worker

    def _slots(self) -> Worker:
        self.layer.router.check_default(http_consumer=self.http_consumer())
        return Worker(self.layer, threads=self.threads, trace=self.trace)

    def _processes(self) -> BackgroundWorkers:
        return BackgroundWorkers(self.layer, self.worker_options, self._start_over)

    def _start_over(self) -> None:
        logger.info("settings of the server have changed: it restarts, and closes its sockets with 1012.")
        self._starts_over = True
        if self._stop is not None:
            self._stop()

    async def _serve(self, worker: Worker | BackgroundWorkers | None) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        if isinstance(worker, BackgroundWorkers):  # browsers wait for it rather than be told that there is none
            await asyncio.to_thread(worker.wait_until_begun, BEGINNING)
        server = Server(self.layer.channel_layer, self.config, log_access)
        await server.start([self.socket])
        try:
            await stop.wait()
        finally:
            await server.stop()
            self._stopped.set()

    def _farewell(self) -> None:
        """A reload ends the process: let clients know that it is one."""
        if self._stop is not None and not self._stopped.is_set():
            with suppress(RuntimeError):  # the loop is closed already: interrupted twice
                self._stop()
                self._stopped.wait(FAREWELL)


def log_access(access: Access) -> None:
    """Log in the format and the colours of Django's development server."""
    # The status of a socket that has closed is its close code, which has no colour.
    status = HTTPStatus.OK if access.event == CLOSE else access.status
    level = logging.INFO
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        level = logging.ERROR
    elif access.failed:
        level = logging.WARNING
    extra = {"server_time": time.strftime(TIME_FORMAT), "status_code": status}
    access_log.log(level, "%s", as_text(access), extra=extra)
