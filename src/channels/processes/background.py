"""Worker processes of a process that has something else to do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from channels import asgi
from channels.layers import ChannelLayerWrapper
from channels.processes.workers import WorkerOptions, Workers


class BackgroundWorkers:
    """Keeps the processes that ``options`` describe from a thread.

    ``settings_changed`` is called there once new code brings other settings for an interface server than those that
    this process has read.
    """

    def __init__(
        self, layer: ChannelLayerWrapper, options: WorkerOptions, settings_changed: Callable[[], object]
    ) -> None:
        self._layer = layer
        self._options = options
        self._settings_changed = settings_changed
        self._settings = ServerSettings()
        self._begun = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="channels-supervisor", daemon=True)

    def start(self) -> None:
        """Start them."""
        self._thread.start()

    def wait_until_begun(self, timeout: float) -> None:
        """Wait until one of them works, or is found not to start; up to ``timeout`` seconds."""
        self._begun.wait(timeout)

    def stop(self, timeout: float) -> bool:
        """Let them finish and end; return whether all have within ``timeout`` seconds."""
        self._stop()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        workers = Workers(self._layer, self._options)
        workers.settings_told = self._compare
        workers.fleet.begun = self._begun.set
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(workers.stop) if not loop.is_closed() else None
        await workers.run()

    def _compare(self, told: str) -> None:
        if self._settings.are_old(told):
            self._settings_changed()


class ServerSettings:
    """What this process has read of the settings, against what a process with newer code has."""

    def __init__(self) -> None:
        self._own = asgi.settings_digest()
        self._are_comparable: bool | None = None

    def are_old(self, told: str) -> bool:
        """Return whether a process that tells ``told`` has read something else.

        The first one runs the same code: if it tells something else, there are values in the settings that never look
        the same twice, and nothing can be learnt from that.
        """
        if self._are_comparable is None:
            self._are_comparable = told == self._own
        return self._are_comparable and told != self._own
