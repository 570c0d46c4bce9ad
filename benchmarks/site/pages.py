"""Views that need nothing but Django: every server that is measured over HTTP runs these."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

LARGE = b"x" * 100 * 1024
PIECE = b"x" * 1024
PIECES = 100


def hello(request: HttpRequest) -> HttpResponse:
    """The smallest answer."""
    return HttpResponse("Hello, world")


async def ahello(request: HttpRequest) -> HttpResponse:
    """The same by a coroutine, which an ASGI server need not hand to a thread."""
    return HttpResponse("Hello, world")


def rows() -> str:
    """Return some data as an API would send them."""
    found = [
        {"id": number, "name": f"item {number}", "price": number * 1.5, "tags": ["a", "b"]} for number in range(20)
    ]
    return json.dumps({"count": len(found), "results": found})


def as_json(request: HttpRequest) -> HttpResponse:
    """Make some data and send them."""
    return HttpResponse(rows(), content_type="application/json")


def large(request: HttpRequest) -> HttpResponse:
    """A hundred KiB."""
    return HttpResponse(LARGE)


def upload(request: HttpRequest) -> HttpResponse:
    """Read the body, and say how long it was."""
    return HttpResponse(f"{len(request.body):012d}")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """A hundred pieces of a KiB each, by the kind of iterator that the server wants."""
    return StreamingHttpResponse(apieces() if isinstance(request, ASGIRequest) else pieces())


def pieces() -> Iterator[bytes]:
    """One piece after another."""
    for _ in range(PIECES):
        yield PIECE


async def apieces() -> AsyncIterator[bytes]:
    """One piece after another, for ASGI."""
    for piece in pieces():
        yield piece


urlpatterns = [
    path("", hello),
    path("async/", ahello),
    path("json/", as_json),
    path("large/", large),
    path("upload/", csrf_exempt(upload)),
    path("stream/", stream),
]
