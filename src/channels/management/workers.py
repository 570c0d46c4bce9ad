"""Options of commands that run workers, and what is made of them."""

from __future__ import annotations

import os
from argparse import SUPPRESS
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.utils.module_loading import import_string

from channels.coroutines import LIMIT
from channels.handler import ViewConsumer
from channels.layers import ChannelLayerWrapper
from channels.processes.commands import common_options
from channels.processes.memory import fault_of_bound
from channels.processes.workers import STOP_TIMEOUT, WorkerOptions
from channels.reservation import parse
from channels.staticfiles import WHITENOISE, StaticFilesConsumer
from channels.worker import Worker, readable_channels

FLEET_OPTIONS = ("processes", "max_messages", "max_rss", "max_memory", "reload", "pidfile")


def add_worker_options(parser: CommandParser) -> None:
    """Add the options that say what each worker process does."""
    _add_channels(parser, "--only-channels", "Take messages of matching channels only; may be given several times.")
    _add_channels(parser, "--exclude-channels", "Take no messages of matching channels; may be given several times.")
    parser.add_argument("--threads", type=int, default=1, help="Consumers that may run at the same time (1).")
    parser.add_argument(
        "--reserve",
        action="append",
        default=[],
        metavar="[WHAT=]N",
        help="Keep N threads free for foreground (HTTP and WebSockets, the default), http, websocket or background. "
        "May be given several times. Without it, background work never takes the last of several threads.",
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        default=LIMIT,
        metavar="N",
        help=f"Consumers with async def that may run at the same time, beside the threads ({LIMIT}).",
    )
    parser.add_argument(
        "--stop-timeout",
        type=float,
        default=STOP_TIMEOUT,
        metavar="SECONDS",
        help=f"How long running consumers may take once the worker has been told to stop ({STOP_TIMEOUT:g}).",
    )


def add_fleet_options(parser: CommandParser) -> None:
    """Add the options that say how many processes there are, and when one is replaced."""
    parser.add_argument("--processes", type=int, metavar="N", help="Processes, each with its threads (1).")
    parser.add_argument(
        "--max-messages",
        type=int,
        metavar="N",
        help="Replace a process when it has handled that many messages, or up to a tenth more.",
    )
    parser.add_argument(
        "--max-rss", type=float, metavar="MIB", help="Replace a process that has more in memory, or up to a tenth more."
    )
    parser.add_argument(
        "--max-memory",
        type=float,
        metavar="MIB",
        help="What a process may have of its own: a consumer that wants more gets a MemoryError.",
    )
    parser.add_argument("--reload", action="store_true", help="Restart workers when their code changes.")
    parser.add_argument("--pidfile", metavar="PATH", help="Write the number of the supervisor's process there.")


def add_options_of_supervisors(parser: CommandParser) -> None:
    """Add what a supervisor tells the processes that it starts."""
    parser.add_argument("--parent-fd", type=int, help=SUPPRESS)
    parser.add_argument("--name", default="", help=SUPPRESS)
    parser.add_argument("--http-consumer", help=SUPPRESS)
    parser.add_argument("--born", type=float, help=SUPPRESS)


def wants_supervisor(options: Mapping[str, Any]) -> bool:
    """Return whether an option is given that takes a supervisor: without any, the command is the worker itself."""
    return any(options[name] is not None and options[name] is not False for name in FLEET_OPTIONS)


def worker_options(options: Mapping[str, Any], as_called: bool) -> WorkerOptions:
    """Return how the processes are started; raise :exc:`CommandError` for a number that makes no sense."""
    for name in ("processes", "max_messages", "max_rss", "max_memory"):
        if options[name] is not None and not options[name] > 0:
            raise CommandError(f"--{name.replace('_', '-')} is more than 0, not {options[name]}")
    if options["max_memory"] is not None and (fault := fault_of_bound(options["max_memory"])):
        raise CommandError(f"--max-memory {fault}")
    return WorkerOptions(
        layer=options.get("layer", WorkerOptions.layer),
        processes=options["processes"] or 1,
        threads=options["threads"],
        reserve=options["reserve"],
        concurrency=options["concurrency"],
        only_channels=options["only_channels"],
        exclude_channels=options["exclude_channels"],
        stop_timeout=options["stop_timeout"],
        max_messages=options["max_messages"],
        max_rss=options["max_rss"],
        max_memory=options["max_memory"],
        reload=options["reload"],
        verbosity=options["verbosity"],
        others=common_options(options),
        as_called=as_called,
    )


def make_worker(layer: ChannelLayerWrapper, options: Mapping[str, Any]) -> Worker:
    """Return the worker that ``options`` describe; raise :exc:`CommandError` for one that could do nothing."""
    if options["threads"] < 1:
        raise CommandError(f"--threads is 1 or more, not {options['threads']}")
    if options["concurrency"] < 1:
        raise CommandError(f"--concurrency is 1 or more, not {options['concurrency']}")
    if not options["stop_timeout"] >= 0:
        raise CommandError(f"--stop-timeout is 0 or more seconds, not {options['stop_timeout']}")
    try:
        layer.router.check_default(http_consumer=http_consumer(options.get("http_consumer")))
    except (ImproperlyConfigured, TypeError, ValueError) as error:
        raise CommandError(f"CHANNEL_LAYERS[{layer.alias!r}]['ROUTING']: {error}") from error
    try:
        worker = Worker(
            layer,
            only_channels=options["only_channels"],
            exclude_channels=options["exclude_channels"],
            threads=options["threads"],
            reserve=parse(options["reserve"]) if options["reserve"] else None,
            concurrency=options["concurrency"],
            trace=options["verbosity"] > 1,
        )
    except ValueError as error:
        raise CommandError(str(error)) from error
    if not worker.channels:
        known = ", ".join(readable_channels(layer))
        raise CommandError(f"--only-channels and --exclude-channels leave no channel; there are: {known}")
    return worker


def http_consumer(path: str | None) -> ViewConsumer:
    """Return what handles requests that no route wants: what ``path`` names, or what runserver would have."""
    if path is None:
        return default_http_consumer()
    consumer: ViewConsumer = import_string(path)()
    return consumer


def default_http_consumer() -> ViewConsumer:
    """Return what handles requests that no route wants: Django's views, and static files where runserver has them."""
    installed = apps.is_installed("django.contrib.staticfiles") and not apps.is_installed(WHITENOISE)
    return StaticFilesConsumer() if settings.DEBUG and installed else ViewConsumer()


def processes_text(processes: int) -> str:
    """Return how many processes there are, for a person."""
    return f"{processes} process{'es' if processes != 1 else ''}"


@contextmanager
def pid_file(path: str | None) -> Iterator[None]:
    """Keep the number of this process in a file for a block, if there is a ``path``."""
    if path is None:
        yield
        return
    file = Path(path)
    try:
        file.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise CommandError(f"--pidfile {path} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _add_channels(parser: CommandParser, name: str, text: str) -> None:
    parser.add_argument(name, action="append", default=[], metavar="GLOB", help=text)
