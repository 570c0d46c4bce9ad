"""Workers as processes of their own."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels.layers import ChannelLayerWrapper
from channels.management.layer import add_layer_option, shared_layer, wait_for
from channels.management.logs import name_process, show_consumer_logs, show_logs
from channels.management.workers import (
    add_fleet_options,
    add_options_of_supervisors,
    add_worker_options,
    make_worker,
    pid_file,
    processes_text,
    wants_supervisor,
    worker_options,
)
from channels.processes.limits import Limits
from channels.processes.line import REPLACE, Parent
from channels.processes.memory import bound
from channels.processes.signals import run_with_signals
from channels.processes.worker_process import WorkerProcess
from channels.processes.workers import Workers


class Command(BaseCommand):
    """Runs a worker, or a supervisor with several below it, until SIGTERM or SIGINT."""

    help = "Takes messages from a channel layer and runs the consumers they are routed to."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options of 1.x, and those of a supervisor."""
        add_layer_option(parser)
        add_worker_options(parser)
        add_fleet_options(parser)
        add_options_of_supervisors(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Take messages until the first signal; then finish what was taken and return."""
        self._speaks, self._name = options["verbosity"] > 0, options["name"]
        if self._name:
            name_process(self._name)
        show_logs(trace=options["verbosity"] > 1)
        show_consumer_logs()
        layer = shared_layer(options["layer"])
        if options["parent_fd"] is None and wants_supervisor(options):
            self._supervise(layer, options)
        else:
            self._work(layer, options)
        self._say("Stopped.")

    def _supervise(self, layer: ChannelLayerWrapper, options: Mapping[str, Any]) -> None:
        make_worker(layer, options)  # what is refused is refused here
        wait_for(layer)
        settings = worker_options(options, getattr(self, "_called_from_command_line", False))
        workers = Workers(layer, settings)
        self._say(f"Channel layer {layer}, supervisor {os.getpid()}, {processes_text(settings.processes)}.")
        with pid_file(options["pidfile"]):
            if not asyncio.run(run_with_signals(workers.run, workers.stop, workers.roll)):
                raise CommandError(workers.fleet.fault or "not every worker has ended in order: see what was logged")

    def _work(self, layer: ChannelLayerWrapper, options: Mapping[str, Any]) -> None:
        worker = make_worker(layer, options)
        wait_for(layer)
        process = WorkerProcess(worker, options["stop_timeout"], self._say)
        if options["parent_fd"] is None:
            worker.overdue = lambda reason: os.kill(os.getpid(), signal.SIGTERM)  # whoever supervises starts another
            has_finished = process.run() and not worker.is_damaged
        else:
            with closing(Parent(options["parent_fd"])) as parent:
                worker.overdue = partial(parent.say, REPLACE)
                self._limit(options, worker.overdue)
                has_finished = process.run_for(parent, watches_code_since=options["born"])
        if not has_finished:
            self._give_up(options["stop_timeout"])
        layer.close()
        if worker.is_damaged:
            self._leave()

    def _limit(self, options: Mapping[str, Any], exceeded: Callable[[str], object]) -> None:
        if options["max_memory"] is not None:
            bound(options["max_memory"])
        Limits(options["max_messages"], options["max_rss"], exceeded, options["max_memory"]).watch()

    def _say(self, text: str) -> None:
        if self._speaks:
            self.stdout.write(f"{self._name}: {text}" if self._name else text)
            self.stdout.flush()  # a supervisor reads it from a pipe

    def _leave(self) -> NoReturn:
        """End without waiting for threads that were given up, some of which Python would wait for."""
        self._say("Stopped.")
        atexit._run_exitfuncs()
        os._exit(0)

    def _give_up(self, timeout: float) -> NoReturn:
        name = f"{self._name}: " if self._name else ""
        self.stderr.write(f"{name}Consumers still run after {timeout:g} s (--stop-timeout): their messages are lost.")
        self.stderr.flush()
        os._exit(1)  # whatever those consumers wait for, such as threads of their own, must not keep the process
