"""Sends a thousand times from each kind of place a Django process has, and counts connections to Redis."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence

import django

django.setup()

from asgiref.sync import async_to_sync  # noqa: E402 -- needs no settings, but stands with the rest
from django.core.management import call_command  # noqa: E402
from django.dispatch import Signal  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.test import AsyncRequestFactory, RequestFactory  # noqa: E402

from benchmarks.redis_client import RedisClient  # noqa: E402
from channels import Group  # noqa: E402
from channels.layers import channel_layers  # noqa: E402

TIMES = 1000
changed = Signal()


def send() -> None:
    """The one line."""
    Group("room-all").send({"text": "x"})


def view(request: HttpRequest) -> HttpResponse:
    """A view as WSGI calls it."""
    send()
    return HttpResponse()


async def async_view(request: HttpRequest) -> HttpResponse:
    """A view as an ASGI server calls it, on its loop."""
    send()
    return HttpResponse()


def receiver(**kwargs: object) -> None:
    """A receiver of a signal."""
    send()


def from_view() -> None:
    """Call the view."""
    request = RequestFactory().get("/")
    for _ in range(TIMES):
        view(request)


def from_async_view() -> None:
    """Call the asynchronous view, each time on a loop of its own, as a WSGI server would, and on one loop."""
    request = AsyncRequestFactory().get("/")
    for _ in range(TIMES // 2):
        async_to_sync(async_view)(request)

    async def on_one_loop() -> None:
        for _ in range(TIMES // 2):
            await async_view(request)

    asyncio.run(on_one_loop())


def from_signal() -> None:
    """Send the signal."""
    changed.connect(receiver)
    for _ in range(TIMES):
        changed.send(sender=None)


def from_threads() -> None:
    """Send from ten threads."""

    def send_many() -> None:
        for _ in range(TIMES // 10):
            send()

    threads = [threading.Thread(target=send_many) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def from_shell() -> None:
    """Send in ``manage.py shell -c``."""
    code = f"from channels import Group\nfor _ in range({TIMES}): Group('room-all').send({{'text': 'x'}})"
    call_command("shell", "-c", code)


def from_child() -> None:
    """Send from a process that was forked with open connections."""
    child = os.fork()
    if not child:
        for _ in range(TIMES):
            send()
        os._exit(0 if connections() <= 2 else 1)  # its own, and its parent's
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child has more than one connection"


def connections() -> int:
    """Return how many connections to Redis this process and its children have, told by the name they give."""
    port = int(os.environ["BENCHMARK_LAYER"].rpartition(":")[2].partition("/")[0])
    listed: str = RedisClient(port).ask("CLIENT", "LIST").decode()
    return listed.count(f"name=channels-{channel_layers['default'].process}")


def main(ways: Sequence[Callable[[], None]]) -> None:
    """Send in each way and say what it left open."""
    for way in ways:
        way()
        found = connections()
        print(f"{way.__name__}: {TIMES} messages, {found} connection{'s'[: found != 1]}")
        assert found == 1, way.__name__
    print("sent", TIMES * len(ways))


if __name__ == "__main__":
    main([from_view, from_signal, from_threads, from_shell, from_child, from_async_view])
