"""The command ``daphne``: an interface server as a process of its own.

A package and not a module, so that the command speaks of it if another ``daphne`` was installed over this one: that
writes a module ``daphne/cli.py`` and calls it, and Python takes the package.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

try:
    import channel_layers  # noqa: F401 - looks at the installation before anything of it is used
except ImportError as error:
    sys.exit(f"daphne: {error}")

from channel_layers.readiness import wait_until_usable
from daphne.cli.intake import completed
from daphne.cli.logs import show_logs
from daphne.cli.options import WITHOUT_MEANING, dashed, given_options, make_parser, parent_among
from daphne.cli.process import serve, within_file_limit
from daphne.config import Config, spelling
from daphne.endpoints import EndpointError, choose, listen_on, passed_on
from daphne.layer_path import LayerPathError, load_layer
from daphne.parent import tell_failure
from daphne.server import new_event_loop
from daphne.tls import Certificate, CertificateError

logger = logging.getLogger("daphne.cli")


class Unfit(Exception):
    """Options that were understood, and that no server can have; the text says which and why."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, with the ``arguments`` of the process unless others are given.

    Raises :exc:`SystemExit`: with status 2 for options that cannot be understood, and with one sentence and status 1
    where the server cannot start. With ``-v 2`` the error itself is raised, for its traceback.
    """
    sys.path.insert(0, str(Path.cwd()))
    options = parsed(dashed(sys.argv[1:] if arguments is None else arguments))
    try:
        run(options)
    except (Unfit, LayerPathError, EndpointError, CertificateError, OSError) as error:
        tell_failure(options.parent_fd, error)
        if options.verbosity > 1:
            raise
        sys.exit(f"daphne: {error}")
    except KeyboardInterrupt:  # while it waited for the layer
        sys.exit(130)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options that ``arguments`` give; exit with the fault, which the parent process is told as well."""
    parser = make_parser()
    try:
        return parser.parse_args(arguments)
    except SystemExit:
        if parser.fault:
            tell_failure(parent_among(arguments), parser.fault)
        raise


def run(options: argparse.Namespace) -> None:
    """Serve as ``options`` say, until a signal."""
    layer = load_layer(options.layer)
    given = given_options(options)
    config = configured({**layer.server_options, **given})
    show_logs(options, config.access_log_format)
    config = completed(config, options)
    for name in WITHOUT_MEANING.keys() & vars(options).keys():
        logger.warning("%s has no effect: %s", spelling(name), WITHOUT_MEANING[name])
    others = [*options.others, *passed_on(os.environ)]
    wait_until_usable(layer, logger.warning)
    with ExitStack() as opened, asyncio.Runner(loop_factory=new_event_loop) as runner:
        listeners = listen_on(choose(options.hosts, options.ports, others, certificate_of(options)))
        probed = listen_on(options.probe_endpoints)
        for listener in (*listeners, *probed):
            opened.enter_context(listener.sock)
        runner.run(serve(layer, within_file_limit(config), listeners, given, options.parent_fd, probed))


def certificate_of(options: argparse.Namespace) -> Certificate | None:
    """Return what the command line says of TLS; raise :exc:`Unfit` for a key without a certificate."""
    if options.ssl_certfile:
        return Certificate(options.ssl_certfile, options.ssl_keyfile)
    if options.ssl_keyfile:
        raise Unfit("--ssl-keyfile needs --ssl-certfile, the certificate that the key belongs to")
    return None


def configured(options: dict[str, Any]) -> Config:
    """Return the configuration; raise :exc:`Unfit` with the sentence that says what is wrong with it."""
    try:
        return Config(**options)
    except ValueError as error:
        raise Unfit(str(error)) from error
