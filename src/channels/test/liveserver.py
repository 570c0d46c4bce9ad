"""A real interface server and a real worker in the process of the tests, on a real port: for browsers."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context
from types import TracebackType
from typing import Any, ClassVar, Final, Self

from asgiref.sync import sync_to_async
from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase, modify_settings

from channel_layers.memory import MemoryChannelLayer
from channels import conf
from channels.handler import ViewConsumer
from channels.layers import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers, common_options
from channels.loop import run_on_loop
from channels.message import Message
from channels.signals import worker_ready
from channels.staticfiles import StaticFilesConsumer
from channels.worker import Worker
from daphne.config import Config
from daphne.server import Server, new_event_loop

STOP_TIMEOUT: Final = 10.0
"""Seconds that running consumers get when the server ends."""
IDLE_TIMEOUT: Final = 10.0
ASYNC_UNSAFE: Final = "DJANGO_ALLOW_ASYNC_UNSAFE"


class LiveServer:
    """Serves HTTP and WebSockets on ``host`` while its ``with`` block runs, with ``threads`` consumers at a time.

    The layer ``alias`` is in memory, with the routing of the settings. Databases in memory are shared with the thread
    of the test; others are used by connections of their own, so what a test writes has to be committed. ``port`` 0
    takes a free one. With ``serve_static`` files of apps are served below ``STATIC_URL``.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 0,
        threads: int = 1,
        serve_static: bool = True,
        alias: str = DEFAULT_CHANNEL_LAYER,
    ) -> None:
        config = channel_layers.config(alias)
        self.host = host
        self.port = port
        self.layer = ChannelLayerWrapper(MemoryChannelLayer(**common_options(config)), alias, config["ROUTING"])
        serve_static = serve_static and apps.is_installed("django.contrib.staticfiles")
        self.layer.router.check_default(http_consumer=(StaticFilesConsumer if serve_static else ViewConsumer)())
        self._worker = Worker(self.layer, threads=threads)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="channels-live-server", daemon=True)
        self._exits = ExitStack()

    @property
    def url(self) -> str:
        """Where it serves HTTP, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where it serves WebSockets, without a slash at the end."""
        return f"ws://{self.host}:{self.port}"

    def wait_until_idle(self, timeout: float = IDLE_TIMEOUT) -> None:
        """Wait until no message waits for a consumer and none is being handled.

        Raises :exc:`TimeoutError` after ``timeout`` seconds.
        """
        layer, deadline = self.layer.channel_layer, time.monotonic() + timeout
        assert isinstance(layer, MemoryChannelLayer)
        while any(slot.claimed for slot in layer.slots) or any(map(layer.depth, self._worker.channels)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout} s consumers still had something to do")
            time.sleep(0.005)

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            exits.enter_context(modify_settings(ALLOWED_HOSTS={"append": self.host}))
            exits.enter_context(_async_unsafe())
            exits.callback(channel_layers.set, self.layer.alias, channel_layers.set(self.layer.alias, self.layer))
            shared = exits.enter_context(_shared_connections())
            exits.enter_context(_given_to_threads_of(self._worker, shared))
            self._worker.start()
            exits.callback(self._stop_worker)
            self._thread.start()
            exits.callback(self._stop_server)
            self._ready.wait()
            if self._error is not None:
                raise self._error
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised in the thread of the test
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        listener = socket.create_server((self.host, self.port))
        self.port = listener.getsockname()[1]
        self._loop = asyncio.get_running_loop()
        server = Server(self.layer.channel_layer, Config(**conf.server_options()), lambda access: None)
        await server.start([listener])
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            await server.stop()

    def _stop_server(self) -> None:
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _stop_worker(self) -> None:
        self._worker.stop(STOP_TIMEOUT)
        if any(route.is_async for route in self.layer.router.routes):
            message = Message({}, "", self.layer)
            run_on_loop(_let_go_of_connections, message, {}, Context())


class ChannelLiveServerTestCase(TransactionTestCase):
    """A test case with a server for browsers, driven by Selenium, Playwright or any client.

    The server runs from before the first test of the class until after the last, in threads of this process, at
    ``live_server_url`` and ``live_server_ws_url``. ``host``, ``port``, ``worker_threads`` and ``serve_static`` are
    those of :class:`LiveServer`.
    """

    host: ClassVar[str] = "localhost"
    port: ClassVar[int] = 0
    worker_threads: ClassVar[int] = 1
    serve_static: ClassVar[bool] = True
    live_server: ClassVar[LiveServer]
    live_server_url: ClassVar[str]
    live_server_ws_url: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Start the server."""
        super().setUpClass()
        cls.live_server = cls.enterClassContext(LiveServer(cls.host, cls.port, cls.worker_threads, cls.serve_static))
        cls.live_server_url, cls.live_server_ws_url = cls.live_server.url, cls.live_server.ws_url

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test, then wait for consumers: the tables are emptied behind it, when none should be writing."""
        self.addCleanup(self.live_server.wait_until_idle)
        return super().run(result)


@contextmanager
def _shared_connections() -> Iterator[dict[str, BaseDatabaseWrapper]]:
    """Let other threads use the connections to databases in memory, which are nowhere else."""
    shared = {
        connection.alias: connection
        for connection in connections.all()
        if connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined]  # SQLite's own
    }
    for connection in shared.values():
        connection.inc_thread_sharing()
    try:
        yield shared
    finally:
        for connection in shared.values():
            connection.dec_thread_sharing()


@contextmanager
def _given_to_threads_of(worker: Worker, shared: dict[str, BaseDatabaseWrapper]) -> Iterator[None]:
    def give(sender: Any, **kwargs: Any) -> None:
        for alias, connection in shared.items():
            connections[alias] = connection

    worker_ready.connect(give, sender=worker, weak=False)
    try:
        yield
    finally:
        worker_ready.disconnect(give, sender=worker)


@contextmanager
def _async_unsafe() -> Iterator[None]:
    """Let the test use the database: Playwright runs an event loop in its thread, so that Django would refuse."""
    former = os.environ.get(ASYNC_UNSAFE)
    os.environ[ASYNC_UNSAFE] = "true"
    try:
        yield
    finally:
        if former is None:
            del os.environ[ASYNC_UNSAFE]
        else:
            os.environ[ASYNC_UNSAFE] = former


async def _let_go_of_connections(message: Message) -> None:
    """Close the connections of the thread that asynchronous consumers use: it lives on, after this server."""
    await sync_to_async(_let_go)()


def _let_go() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.allow_thread_sharing:
            BaseDatabaseWrapper.close(connection)  # that of SQLite leaves a connection to a database in memory open
        del connections[connection.alias]
