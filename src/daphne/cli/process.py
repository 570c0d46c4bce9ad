"""The process of an interface server: what it listens on, and how signals end it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import ssl
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from channel_layers.base import BaseChannelLayer
from daphne.config import LIMITS, Config
from daphne.endpoints import Listener, address_of
from daphne.parent import Parent
from daphne.server import Server
from daphne.tls import Certificate, CertificateError

OTHER_FILES: Final = 64
"""Descriptors kept free for the layer, logs and listening sockets."""
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

Secured: TypeAlias = tuple[Certificate, ssl.SSLContext]

logger = logging.getLogger("daphne.cli")


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
    gc.collect()
    gc.freeze()  # else each collection of everything, which stops every socket, looks at all modules again
    contexts = [(each.certificate, each.certificate.context()) for each in listeners if each.certificate]
    _handle_signals(stop, contexts, has_parent=parent_fd is not None)
    await _listen(server, listeners, contexts, probed)
    parent = None if parent_fd is None else Parent(parent_fd, stop.set)
    _tell_where(listeners, probed)
    logger.info("channel layer %s.%s", type(layer).__module__, type(layer).__qualname__)
    logger.info("limits: %s", limits_text(config, layer.server_options, given))
    if parent is not None:
        parent.ready(layer.process)
    await stop.wait()
    await _end(server)
    await layer.aclose()


async def _listen(
    server: Server, listeners: Sequence[Listener], contexts: Sequence[Secured], probed: Sequence[Listener]
) -> None:
    await server.start([each.sock for each in listeners if not each.certificate])
    for listener in probed:
        await server.listen(listener.sock, only_probes=True)
    secured = [each.sock for each in listeners if each.certificate]
    for sock, (_, context) in zip(secured, contexts, strict=True):
        await server.listen(sock, context)


def _tell_where(listeners: Sequence[Listener], probed: Sequence[Listener]) -> None:
    logger.info("process %d listens on %s", os.getpid(), ", ".join(map(address_of, listeners)))
    if probed:
        logger.info("probes are answered on %s", ", ".join(map(address_of, probed)))


async def _end(server: Server) -> None:
    logger.info("ending: requests in progress finish, sockets are closed with 1012")
    try:
        await server.stop()
    except OSError as error:
        logger.warning("the end of this server could not be announced: %s", error)


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
