from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daphne.cli.commands import PROJECT
from tests.runserver import write_files


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the module that has the layers, and the gate."""
    directory = write_files(tmp_path_factory.mktemp("daphne"), PROJECT)
    os.mkfifo(directory / "gate")
    return directory


@pytest.fixture
def unchanged_logging() -> Iterator[None]:
    """The loggers that the command configures, as they were."""
    loggers = [logging.getLogger(name) for name in ("daphne", "channel_layers", "daphne.access")]
    before = [(each.level, each.propagate, each.disabled, each.handlers[:]) for each in loggers]
    yield
    for logger, (level, propagate, disabled, handlers) in zip(loggers, before, strict=True):
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
        logger.setLevel(level)
        logger.propagate, logger.disabled, logger.handlers = propagate, disabled, handlers
