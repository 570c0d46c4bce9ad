"""What the command logs, and where to."""

from __future__ import annotations

import argparse
import logging
import sys
from logging.handlers import WatchedFileHandler
from typing import Final

from daphne.access_format import TEXT

LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
"""What is logged with each verbosity."""


def add_logs(group: argparse._ArgumentGroup) -> None:
    """Add the options."""
    group.add_argument(
        "-v", "--verbosity", type=int, choices=range(len(LEVELS)), default=1, help="0: problems, 1: notes, 2: debugging"
    )
    group.add_argument(
        "--access-log", metavar="FILE", help="file for a line per request and socket; - is standard output, the default"
    )


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
