"""An interface server and its workers with one command, for a site on one machine."""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels.layers import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper
from channels.management.layer import shared_layer
from channels.management.logs import show_consumer_logs, show_logs
from channels.management.workers import (
    add_fleet_options,
    add_worker_options,
    make_worker,
    pid_file,
    processes_text,
    worker_options,
)
from channels.processes.child import Launch
from channels.processes.commands import import_path, inherited_descriptors
from channels.processes.fleet import Fleet
from channels.processes.signals import run_with_signals
from channels.processes.tree import Tree
from channels.processes.workers import Workers, reporting_to

LAYER: Final = "channels.asgi:channel_layer"
SERVER_TIMEOUT: Final = 30.0
"""Seconds that the server gets to finish requests and to close its sockets; it has shorter limits of its own."""


class Command(BaseCommand):
    """Runs ``daphne`` and workers as processes below this one, until SIGTERM or SIGINT."""

    help = (
        "Runs an interface server (daphne) and workers. All options that are not listed here are daphne's, such as "
        "-b, -p and -u: see daphne --help."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return a parser that leaves to daphne what it does not know."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.allow_abbrev = False  # what looks like the beginning of an option of ours may be one of daphne's
        parser.parse_args = partial(parse_known, parser)  # type: ignore[assignment, method-assign]  # all Django calls
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options of workers."""
        add_worker_options(parser)
        add_fleet_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until the first signal; then let requests and consumers finish and return."""
        show_logs(trace=False)
        show_consumer_logs()
        layer = shared_layer(DEFAULT_CHANNEL_LAYER)
        tree, text = self._tree(layer, options)
        if options["verbosity"]:
            self.stdout.write(f"Channel layer {layer}, supervisor {os.getpid()}, {text}.")
            self.stdout.flush()
        with pid_file(options["pidfile"]):
            if not asyncio.run(run_with_signals(tree.run, tree.stop, tree.roll)):
                raise CommandError(tree.fault or "not every process has ended in order: see what was logged")
        if options["verbosity"]:
            self.stdout.write("Stopped.")

    def _tree(self, layer: ChannelLayerWrapper, options: Mapping[str, Any]) -> tuple[Tree, str]:
        make_worker(layer, options)  # what is refused is refused here
        settings = worker_options(options, getattr(self, "_called_from_command_line", False))
        launch = server_launch(options["verbosity"], options.get("daphne", ()))
        server = Fleet("server", 1, lambda name, is_new: launch, stop_timeout=SERVER_TIMEOUT, ended=reporting_to(layer))
        text = f"a server and {processes_text(settings.processes)} of workers"
        return Tree(server, Workers(layer, settings), layer, settings.stop_timeout), text


def parse_known(parser: ArgumentParser, args: Sequence[str] | None = None, namespace: None = None) -> Namespace:
    """Return the options of ``parser``, and as ``daphne`` all others, in their order."""
    known, others = parser.parse_known_args(args, namespace)
    known.daphne = [word for word in others if word != "--"]
    return known


def server_launch(verbosity: int, options: Sequence[str]) -> Launch:
    """Return how the interface server is started: it finds the modules that this process finds."""
    command = [sys.executable, "-m", "daphne", f"--verbosity={min(verbosity, 2)}", *options, LAYER]
    return Launch(command, {**os.environ, "PYTHONPATH": import_path()}, inherited_descriptors())
