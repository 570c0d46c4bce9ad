"""The command ``daphne``: an interface server as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from functools import cache
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final, TypeVar

import daphne
from channel_layers.base import BaseChannelLayer
from daphne.config import Config
from daphne.endpoints import (
    HOST,
    PORT,
    EndpointError,
    Unix,
    address_of,
    choose,
    listen_on,
    parse_descriptor,
    parse_endpoint,
    parse_port,
)
from daphne.layer_path import BUILT_IN, LayerPathError, load_layer
from daphne.parent import Parent
from daphne.server import Server, new_event_loop

T = TypeVar("T")

OPTIONS: Final = frozenset(field.name for field in fields(Config))
LIMITS: Final = tuple(field for field in fields(Config) if type(field.default) in (int, float))
"""Numbers of the configuration; each is an option of the command."""
ALIASES: Final = {"http_timeout": ["-t"], "handshake_timeout": ["--websocket-connect-timeout"]}
"""What 1.x calls such an option besides."""
WITHOUT_MEANING: Final = {
    "force_sync": "the layer is always read in the same way",
    "proxy_headers": "forwarded headers are not read; client and scheme are those of the connection itself",
    "websocket_timeout": "a socket stays open for as long as both of its ends want",
}
"""Options of 1.x that are accepted with a note."""

LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
OF_A_TERMINAL: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))
"""Signals that a terminal sends to a whole group of processes. It is for a parent among them to say what they mean."""

logger = logging.getLogger("daphne.cli")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, with the ``arguments`` of the process unless others are given.

    Raises :exc:`SystemExit`: with status 2 for options that cannot be understood, and with one sentence and status 1
    where the server cannot start. With ``-v 2`` the error itself is raised, for its traceback.
    """
    sys.path.insert(0, str(Path.cwd()))
    options = make_parser().parse_args(dashed(sys.argv[1:] if arguments is None else arguments))
    try:
        run(options)
    except (LayerPathError, EndpointError, OSError) as error:
        if options.verbosity > 1:
            raise
        sys.exit(f"daphne: {error}")


# -- options -----------------------------------------------------------------------------------------------------------


def dashed(arguments: Iterable[str]) -> list[str]:
    """Return ``arguments`` with dashes in the names of options, where 1.x has underscores in some."""
    return [re.sub(r"^--[\w-]+", lambda name: name[0].replace("_", "-"), argument) for argument in arguments]


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line. What is not given of the configuration is not in its result."""
    parser = argparse.ArgumentParser(
        prog="daphne",
        usage="%(prog)s [options] module:object",
        description="Serves HTTP and WebSockets, and hands what arrives to workers through a channel layer.",
        epilog="Options may be spelt with underscores in place of dashes. Limits that are not given here are those of "
        "Django's settings, where the layer is.",
    )
    parser.add_argument("layer", metavar="module:object", help=f"the channel layer, such as {BUILT_IN}")
    parser.add_argument("--version", action="version", version=f"%(prog)s {daphne.__version__}")
    parser.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    _add_endpoints(parser.add_argument_group("where to listen", "Each may be given several times."))
    _add_logs(parser.add_argument_group("what to log"))
    _add_application(parser.add_argument_group("what the application sees"))
    _add_limits(parser.add_argument_group("limits", "Sizes are bytes, times are seconds."))
    for name in WITHOUT_MEANING:
        action = "store" if name.endswith("_timeout") else "store_true"
        parser.add_argument(_option(name), action=action, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _add_endpoints(group: argparse._ArgumentGroup) -> None:
    def add(*names: str, parse: Callable[[str], object], dest: str, metavar: str, text: str) -> None:
        group.add_argument(
            *names, action="append", default=[], type=_argument(parse), dest=dest, metavar=metavar, help=text
        )

    add("-b", "--bind", parse=str, dest="hosts", metavar="HOST", text=f"name or address ({HOST})")
    add("-p", "--port", parse=parse_port, dest="ports", metavar="PORT", text=f"TCP port ({PORT})")
    add("-u", "--unix-socket", parse=Unix, dest="others", metavar="PATH", text="Unix socket")
    add("--fd", parse=parse_descriptor, dest="others", metavar="NUMBER", text="descriptor of a bound socket, inherited")
    add("-e", "--endpoint", parse=parse_endpoint, dest="others", metavar="STRING", text="tcp:, unix: or fd: as in 1.x")


def _add_logs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-v", "--verbosity", type=int, choices=range(len(LEVELS)), default=1, help="0: problems, 1: notes, 2: debugging"
    )
    group.add_argument(
        "--access-log", metavar="FILE", help="file for a line per request and socket; - is standard output, the default"
    )


def _add_application(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--root-path", default=argparse.SUPPRESS, metavar="PATH", help=_text_of("root_path"))
    group.add_argument(
        "--ws-protocol",
        dest="subprotocols",
        nargs="*",
        action="extend",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help=_text_of("subprotocols"),
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    for field in LIMITS:
        group.add_argument(
            *ALIASES.get(field.name, ()),
            _option(field.name),
            dest=field.name,
            type=type(field.default),
            default=argparse.SUPPRESS,
            metavar="SECONDS" if type(field.default) is float else "NUMBER",
            help=f"{_text_of(field.name)} ({field.default})",
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _text_of(name: str) -> str:
    """Return the docstring of a field of the configuration, without markup."""
    return _texts()[name].replace("``", "")


@cache
def _texts() -> dict[str, str]:
    return dict(re.findall(r'^    (\w+): .*\n    """(.*)"""$', inspect.getsource(Config), re.MULTILINE))


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return ``parse`` with its errors as :mod:`argparse` shows them."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except EndpointError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


# -- the process -------------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> None:
    """Serve as ``options`` say, until a signal."""
    layer = load_layer(options.layer)
    given = given_options(options)
    config = configured({**layer.server_options, **given})
    show_logs(options)
    for name in WITHOUT_MEANING.keys() & vars(options).keys():
        logger.warning("%s has no effect: %s", _option(name), WITHOUT_MEANING[name])
    with ExitStack() as opened, asyncio.Runner(loop_factory=new_event_loop) as runner:
        sockets = [opened.enter_context(s) for s in listen_on(choose(options.hosts, options.ports, options.others))]
        runner.run(serve(layer, config, sockets, given, options.parent_fd))


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of the configuration."""
    given = {name: value for name, value in vars(options).items() if name in OPTIONS}
    if "subprotocols" in given:
        given["subprotocols"] = tuple(given["subprotocols"])
    return given


def configured(options: dict[str, Any]) -> Config:
    """Return the configuration; exit with the sentence that says what is wrong with it."""
    try:
        return Config(**options)
    except ValueError as error:
        sys.exit(f"daphne: {error}")


def show_logs(options: argparse.Namespace) -> None:
    """Log to standard error unless the project has its own logging, and each access where the options say."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("daphne", "channel_layers"):
        logging.getLogger(name).setLevel(LEVELS[options.verbosity])
    access_log = logging.getLogger("daphne.access")
    access_log.propagate = False
    target = options.access_log or ("-" if options.verbosity else "")
    if not target:
        access_log.disabled = True
        return
    handler = logging.StreamHandler(sys.stdout) if target == "-" else WatchedFileHandler(target)
    handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%d/%b/%Y %H:%M:%S"))
    access_log.addHandler(handler)


async def serve(
    layer: BaseChannelLayer,
    config: Config,
    sockets: Sequence[socket.socket],
    given: Collection[str] = (),
    parent_fd: int | None = None,
) -> None:
    """Serve on bound ``sockets`` until SIGTERM or SIGINT; a second one ends the process at once.

    ``given`` are the options that the command line has set. ``parent_fd`` is the line to a process that has started
    this one: it is told when the server listens, its end is the server's, and signals of a terminal are left to it.
    """
    stop = asyncio.Event()
    server = Server(layer, config)
    _heed_signals(stop, has_parent=parent_fd is not None)
    await server.start(sockets)
    parent = None if parent_fd is None else Parent(parent_fd, stop.set)
    logger.info("process %d listens on %s", os.getpid(), ", ".join(address_of(sock) for sock in sockets))
    logger.info("channel layer %s.%s", type(layer).__module__, type(layer).__qualname__)
    logger.info("limits: %s", limits_text(config, layer.server_options, given))
    if parent is not None:
        parent.ready(layer.process)
    await stop.wait()
    logger.info("ending: requests in progress finish, sockets are closed with 1012")
    try:
        await server.stop()
    except OSError as error:
        logger.warning("the end of this server could not be announced: %s", error)
    await layer.aclose()


def limits_text(config: Config, settings: Collection[str], given: Collection[str]) -> str:
    """Return all limits in force, and where those come from that are not defaults."""

    def source(name: str) -> str:
        return " (command line)" if name in given else " (settings)" if name in settings else ""

    return ", ".join(f"{field.name} {getattr(config, field.name)}{source(field.name)}" for field in LIMITS)


def _heed_signals(stop: asyncio.Event, *, has_parent: bool) -> None:
    """Let the first signal set ``stop``, and the next end the process."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM] if has_parent else SIGNALS

    def end() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in OF_A_TERMINAL if has_parent else ():
        signal.signal(number, signal.SIG_IGN)
    for number in numbers:
        loop.add_signal_handler(number, end)
