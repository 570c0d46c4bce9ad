"""The command ``daphne``: an interface server as a process of its own.

A package and not a module, so that the command speaks of it if another ``daphne`` was installed over this one: that
writes a module ``daphne/cli.py`` and calls it, and Python takes the package.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import resource
import signal
import ssl
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import daphne

try:
    from channel_layers.base import BaseChannelLayer
except ImportError as error:
    sys.exit(f"daphne: {error}")

from channel_layers.readiness import wait_until_usable
from daphne.access_format import TEXT
from daphne.cli.intake import add_intake, completed
from daphne.config import LIMITS, Config, text_of
from daphne.endpoints import (
    HOST,
    PORT,
    EndpointError,
    Listener,
    Unix,
    address_of,
    choose,
    listen_on,
    parse_descriptor,
    parse_endpoint,
    parse_port,
    passed_on,
)
from daphne.layer_path import BUILT_IN, LayerPathError, load_layer
from daphne.parent import Parent
from daphne.server import Server, new_event_loop
from daphne.tls import Certificate, CertificateError

T = TypeVar("T")

OPTIONS: Final = frozenset(field.name for field in fields(Config))
ALIASES: Final = {"http_timeout": ["-t"], "handshake_timeout": ["--websocket-connect-timeout"]}
"""What 1.x calls such an option besides."""
WITHOUT_MEANING: Final = {
    "force_sync": "the layer is always read in the same way",
    "websocket_timeout": "a socket stays open for as long as both of its ends want",
}
"""Options of 1.x that are accepted with a note."""

LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
OTHER_FILES: Final = 64
"""Descriptors kept free for the layer, logs and listening sockets."""
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

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
    except (LayerPathError, EndpointError, CertificateError, OSError) as error:
        if options.verbosity > 1:
            raise
        sys.exit(f"daphne: {error}")
    except KeyboardInterrupt:  # while it waited for the layer
        sys.exit(130)


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
    add_intake(parser)
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
    add(
        "-e",
        "--endpoint",
        parse=parse_endpoint,
        dest="others",
        metavar="STRING",
        text="tcp:, ssl:, unix: or fd: as in 1.x",
    )
    group.add_argument("--ssl-certfile", metavar="FILE", help="certificate with its chain, for TLS on the ports above")
    group.add_argument("--ssl-keyfile", metavar="FILE", help="its key, if that is in a file of its own")


def _add_logs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-v", "--verbosity", type=int, choices=range(len(LEVELS)), default=1, help="0: problems, 1: notes, 2: debugging"
    )
    group.add_argument(
        "--access-log", metavar="FILE", help="file for a line per request and socket; - is standard output, the default"
    )


def _add_application(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--root-path", default=argparse.SUPPRESS, metavar="PATH", help=text_of("root_path"))
    group.add_argument(
        "--write-policy",
        dest="write_policies",
        action="append",
        default=argparse.SUPPRESS,
        type=_argument(_pair),
        metavar="GROUPS=POLICY",
        help=text_of("write_policies"),
    )
    group.add_argument(
        "--idle-timeout-of",
        dest="idle_timeouts",
        action="append",
        default=argparse.SUPPRESS,
        type=_argument(_path_and_seconds),
        metavar="PATH=SECONDS",
        help=text_of("idle_timeouts"),
    )
    group.add_argument(
        "--ws-protocol",
        dest="subprotocols",
        nargs="*",
        action="extend",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help=text_of("subprotocols"),
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
            help=f"{text_of(field.name)} ({field.default})",
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _pair(text: str) -> tuple[str, str]:
    """Return both sides of the last equals sign."""
    name, equals, value = text.rpartition("=")
    if not equals:
        raise ValueError(f"there is no = in {text!r}")
    return name, value


def _path_and_seconds(text: str) -> tuple[str, float]:
    path, seconds = _pair(text)
    return path, float(seconds)


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return ``parse`` with its errors as :mod:`argparse` shows them."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except (EndpointError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


# -- the process -------------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> None:
    """Serve as ``options`` say, until a signal."""
    layer = load_layer(options.layer)
    given = given_options(options)
    config = configured({**layer.server_options, **given})
    show_logs(options, config.access_log_format)
    config = completed(config, options)
    for name in WITHOUT_MEANING.keys() & vars(options).keys():
        logger.warning("%s has no effect: %s", _option(name), WITHOUT_MEANING[name])
    others = [*options.others, *passed_on(os.environ)]
    wait_until_usable(layer, logger.warning)
    with ExitStack() as opened, asyncio.Runner(loop_factory=new_event_loop) as runner:
        listeners = listen_on(choose(options.hosts, options.ports, others, certificate_of(options)))
        probed = listen_on(options.probe_endpoints)
        for listener in (*listeners, *probed):
            opened.enter_context(listener.sock)
        runner.run(serve(layer, within_file_limit(config), listeners, given, options.parent_fd, probed))


def certificate_of(options: argparse.Namespace) -> Certificate | None:
    """Return what the command line says of TLS; exit with a sentence for a key without a certificate."""
    if options.ssl_certfile:
        return Certificate(options.ssl_certfile, options.ssl_keyfile)
    if options.ssl_keyfile:
        sys.exit("daphne: --ssl-keyfile needs --ssl-certfile, the certificate that the key belongs to")
    return None


def within_file_limit(config: Config) -> Config:
    """Allow as many open files as the system does, and no more connections than that leaves room for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    room = hard - OTHER_FILES
    if hard == resource.RLIM_INFINITY or 0 < config.max_connections <= room:
        return config
    if config.max_connections:
        logger.warning("max_connections %d: this process may open only %d files", config.max_connections, hard)
    return replace(config, max_connections=max(room, 1))


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of the configuration."""
    given = {name: value for name, value in vars(options).items() if name in OPTIONS}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def configured(options: dict[str, Any]) -> Config:
    """Return the configuration; exit with the sentence that says what is wrong with it."""
    try:
        return Config(**options)
    except ValueError as error:
        sys.exit(f"daphne: {error}")


def show_logs(options: argparse.Namespace, access_log_format: str = TEXT) -> None:
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
    form = "[%(asctime)s] %(message)s" if access_log_format == TEXT else "%(message)s"  # the others have the time
    handler.setFormatter(logging.Formatter(form, "%d/%b/%Y %H:%M:%S"))
    access_log.addHandler(handler)


async def serve(
    layer: BaseChannelLayer,
    config: Config,
    listeners: Sequence[Listener],
    given: Collection[str] = (),
    parent_fd: int | None = None,
    probed: Sequence[Listener] = (),
) -> None:
    """Serve on ``listeners`` until SIGTERM or SIGINT; a second one ends the process at once.

    SIGHUP reads certificates again. ``given`` are the options that the command line has set. ``parent_fd`` is the line
    to a process that has started this one: it is told when the server listens, its end is the server's, and signals of
    a terminal are left to it. On ``probed`` only probes are answered.
    """
    stop = asyncio.Event()
    server = Server(layer, config)
    contexts = [(each.certificate, each.certificate.context()) for each in listeners if each.certificate]
    _handle_signals(stop, contexts, has_parent=parent_fd is not None)
    await server.start([each.sock for each in listeners if not each.certificate])
    for listener in probed:
        await server.listen(listener.sock, only_probes=True)
    secured = [each.sock for each in listeners if each.certificate]
    for sock, (_, context) in zip(secured, contexts, strict=True):
        await server.listen(sock, context)
    parent = None if parent_fd is None else Parent(parent_fd, stop.set)
    logger.info("process %d listens on %s", os.getpid(), ", ".join(map(address_of, listeners)))
    if probed:
        logger.info("probes are answered on %s", ", ".join(map(address_of, probed)))
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


Secured: TypeAlias = tuple[Certificate, ssl.SSLContext]


def _handle_signals(stop: asyncio.Event, contexts: Sequence[Secured], *, has_parent: bool) -> None:
    """Let the first signal set ``stop``, and the next end the process. A parent says what those of a terminal mean."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM] if has_parent else SIGNALS

    def end() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    if has_parent:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in numbers:
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, renew, contexts)


def renew(contexts: Sequence[Secured]) -> None:
    """Read certificates again: new connections get the new ones, open sockets stay as they are."""
    if not contexts:
        logger.info("SIGHUP: there is no certificate to read again")
    for certificate, context in contexts:
        try:
            certificate.renew(context)
        except CertificateError as error:
            logger.error("%s; the one before stays in use", error)
        else:
            logger.info("certificate %s was read again", certificate.certfile)


def limits_text(config: Config, settings: Collection[str], given: Collection[str]) -> str:
    """Return the limits in force that are no defaults, and where they come from."""

    def source(name: str) -> str:
        return "command line" if name in given else "settings" if name in settings else "this machine"

    changed = [field for field in LIMITS if getattr(config, field.name) != field.default]
    texts = [f"{field.name} {getattr(config, field.name)} ({source(field.name)})" for field in changed]
    return ", ".join(texts) + "; all others are defaults" if texts else "all are defaults"
