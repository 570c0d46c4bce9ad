import asyncio
import logging
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import got_request_exception, request_finished, request_started
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.test import override_settings
from django.urls import path, reverse
from django.utils.datastructures import MultiValueDict
from django.views.decorators.csrf import csrf_exempt
from hypothesis import given
from hypothesis import strategies as st

from channel_layers.body import PIECE_SIZE
from channel_layers.exceptions import ReaderGone
from channels.answer import BEGINNING
from channels.exceptions import RequestAborted, RequestTimeout, ResponseLater
from channels.handler import AsgiHandler, AsgiRequest, NoResponse, ViewConsumer
from tests.stand_ins import Layer, ReplyChannel, message

View = Callable[..., Any]

HTML = [[b"Content-Type", b"text/html; charset=utf-8"]]


class SmallHandler(AsgiHandler):
    """Cuts bodies into small pieces."""

    chunk_size = 30


def request(**content: Any) -> Any:
    """Return an ``http.request`` message."""
    base = {"http_version": "1.1", "method": "GET", "path": "/", "headers": [(b"host", b"testserver")]}
    return message("http.request", {**base, **content}, ReplyChannel(), Layer())


@pytest.fixture
def answer() -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Serve a view at ``/`` (and ``/named/``) and return the replies to a request."""

    def replies(view: View, handler: type[AsgiHandler] = SmallHandler, **content: Any) -> list[dict[str, Any]]:
        urls = type("Urls", (), {"urlpatterns": [path("", view), path("named/", view, name="named")]})
        with override_settings(ROOT_URLCONF=urls):
            return list(handler()(request(**content)))

    started: list[Any] = []
    finished: list[Any] = []

    def start(sender: object, **kwargs: Any) -> None:
        started.append((sender, kwargs["message"].content["path"]))

    def finish(sender: object, **kwargs: Any) -> None:
        finished.append(sender)

    request_started.connect(start)
    request_finished.connect(finish)
    yield replies
    request_started.disconnect(start)
    request_finished.disconnect(finish)
    assert [sender for sender, _ in started] == finished, "every request that started has finished"


def encoded(response: HttpResponseBase, handler: type[AsgiHandler] = SmallHandler) -> list[dict[str, Any]]:
    """Return the replies that a response becomes."""
    replies = list(handler.encode_response(response))
    response.close()
    return replies


Answer = Callable[..., list[dict[str, Any]]]


# -- encoding ----------------------------------------------------------------------------------------------------------


def test_short_response_is_one_message() -> None:
    """Status, headers and all of the body in one, with names as they were written."""
    reply = {"status": 200, "headers": HTML, "content": b"Hi there!", "more_content": False}
    assert encoded(HttpResponse(b"Hi there!")) == [reply]


def test_long_response_is_cut() -> None:
    """Only the first message has status and headers, only the last ends the response."""
    body = b"Thefirstthirtybytesisrighthereandhereistherest"
    assert encoded(HttpResponse(body)) == [
        {"status": 200, "headers": HTML, "content": body[:30], "more_content": True},
        {"content": body[30:], "more_content": False},
    ]


@pytest.mark.parametrize(
    ("size", "pieces"), [(0, [(0, True)]), (29, [(29, True)]), (30, [(30, True)]), (31, [(30, False), (1, True)])]
)
def test_chunk_bytes(size: int, pieces: list[tuple[int, bool]]) -> None:
    """Pieces are as large as they may be; none is empty but the only one of nothing."""
    assert [(len(piece), is_last) for piece, is_last in SmallHandler.chunk_bytes(b"x" * size)] == pieces


@given(st.binary(max_size=200))
def test_chunk_bytes_loses_nothing(data: bytes) -> None:
    """The pieces are the data again, and the last one says so."""
    pieces = list(SmallHandler.chunk_bytes(data))
    assert b"".join(piece for piece, _ in pieces) == data
    assert [is_last for _, is_last in pieces] == [False] * (len(pieces) - 1) + [True]


def test_default_chunk_size() -> None:
    """512 KiB."""
    assert AsgiHandler.chunk_size == 512 * 1024


def test_cookies_follow_the_headers() -> None:
    """One Set-Cookie each, at the end, without a space in front."""
    response = HttpResponse()
    response.set_signed_cookie("foo", "1", max_age=3600)
    response.set_cookie("bar", "é")
    _, first, second = encoded(response)[0]["headers"]
    assert first[0] == second[0] == b"Set-Cookie"
    assert first[1].startswith(b"foo=")
    assert second[1].startswith(b'bar="\\')


def test_header_values() -> None:
    """Numbers are written out, deleted headers are gone, Latin-1 stays Latin-1."""
    response = HttpResponse()
    response["X-Number"] = 12
    response["X-Text"] = "é"
    response["X-Gone"] = "1"
    del response["X-Gone"]
    assert encoded(response)[0]["headers"] == [*HTML, [b"X-Number", b"12"], [b"X-Text", b"\xe9"]]


@pytest.mark.parametrize("response", [HttpResponseNotModified(), StreamingHttpResponse(status=304)])
def test_empty_response_is_one_message_with_status(response: HttpResponseBase) -> None:
    """Whether it streams or not."""
    (reply,) = encoded(response)
    assert (reply["status"], reply["content"], reply["more_content"]) == (304, b"", False)


def test_content_from_an_iterator() -> None:
    """What a plain response is made of is joined."""
    assert encoded(HttpResponse(range(10)))[0]["content"] == b"0123456789"


def test_streaming_response_is_sent_part_by_part() -> None:
    """A message for each part, and one that ends the response."""
    replies = encoded(StreamingHttpResponse([f"Line: {n}" for n in range(10)]))
    assert [reply["content"] for reply in replies] == [b"Line: %d" % n for n in range(10)] + [b""]
    assert [reply["more_content"] for reply in replies] == [True] * 10 + [False]
    assert ["status" in reply for reply in replies] == [True] + [False] * 10


def test_parts_of_a_stream_are_cut() -> None:
    """Also a part is at most a piece long."""
    replies = encoded(StreamingHttpResponse([b"x" * 31]))
    assert [(len(reply["content"]), reply["more_content"]) for reply in replies] == [(30, True), (1, True), (0, False)]


def test_streaming_response_is_iterated_itself() -> None:
    """A subclass that overrides __iter__ decides what is sent."""

    class Shouting(StreamingHttpResponse):
        def __iter__(self) -> Iterator[bytes]:
            return (part.upper() for part in super().__iter__())

    assert encoded(Shouting(["a"]))[0]["content"] == b"A"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BytesIO(b"sadfdasfsdfsadf"), [b"sadfdasfsdfsadf", b""]),
        ("abcd", [b"a", b"b", b"c", b"d", b""]),
        (BytesIO(), [b""]),
    ],
)
def test_file_response(content: Any, expected: list[bytes]) -> None:
    """Files are read in blocks, anything else part by part."""
    assert [reply["content"] for reply in encoded(FileResponse(content))] == expected


def test_file_that_cannot_be_closed() -> None:
    """An object with read() alone is enough."""
    file: Any = type("File", (), {"read": lambda self, size: b""})()
    assert len(encoded(FileResponse(file))) == 1


def test_file_response_cannot_be_forced_not_to_stream() -> None:
    """It has no content to send at once."""
    response = FileResponse(BytesIO(b"x"))
    response.streaming = False
    with pytest.raises(AttributeError):
        encoded(response)
    response.close()


def test_json_response() -> None:
    """JSON arrives as bytes."""
    (reply,) = encoded(JsonResponse({"foo": (1, 2)}))
    assert reply["content"] == b'{"foo": [1, 2]}'


@pytest.mark.parametrize("target", ["/", "..", "https://example.com"])
def test_redirect(target: str) -> None:
    """The Location is sent as it is."""
    (reply,) = encoded(HttpResponseRedirect(target))
    assert reply["status"] == 302
    assert [b"Location", target.encode()] in reply["headers"]


# -- asynchronous streams ----------------------------------------------------------------------------------------------


def test_async_stream_is_sent_as_it_comes() -> None:
    """Each part leaves before the next is asked for, and all are made on one loop."""
    asked: list[int] = []
    loops = set()

    async def parts() -> AsyncIterator[str]:
        for n in range(3):
            asked.append(n)
            await asyncio.sleep(0)
            loops.add(asyncio.get_running_loop())
            yield str(n)

    replies = SmallHandler.encode_response(StreamingHttpResponse(parts()))
    assert next(replies)["content"] == b"0"
    assert asked == [0]
    assert [reply["content"] for reply in replies] == [b"1", b"2", b""]
    assert len(loops) == 1


def test_async_stream_that_is_given_up_is_closed() -> None:
    """Its cleanup runs when nobody wants the rest."""
    closed = []

    async def parts() -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
        finally:
            closed.append(True)

    replies: Any = SmallHandler.encode_response(StreamingHttpResponse(parts()))
    next(replies)
    replies.close()
    assert closed == [True]


# -- requests and views ------------------------------------------------------------------------------------------------


def test_view_is_called_without_an_event_loop(answer: Answer) -> None:
    """A synchronous view is a plain call in the caller's thread."""

    def view(request: HttpRequest) -> HttpResponse:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        assert isinstance(request, AsgiRequest)
        return HttpResponse(f"{request.method} {threading.get_ident()}")

    (reply,) = answer(view)
    assert reply["content"] == f"GET {threading.get_ident()}".encode()


def test_async_view_is_awaited(answer: Answer) -> None:
    """Django adapts ``async def`` views."""

    async def view(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse("later")

    assert iscoroutinefunction(view)
    assert answer(view)[0]["content"] == b"later"


def test_body_reaches_the_view(answer: Answer) -> None:
    """The view reads what the message carries."""
    (reply,) = answer(csrf_exempt(lambda request: HttpResponse(request.body)), method="PUT", body=b"data")
    assert reply["content"] == b"data"


def test_script_prefix_is_the_root_path(answer: Answer) -> None:
    """URLs are reversed below the mount point, and resolved without it."""

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(reverse("named"))

    assert answer(view, path="/app/", root_path="/app")[0]["content"] == b"/app/named/"
    assert answer(view, root_path=None)[0]["content"] == b"/named/"


def test_signals_carry_handler_and_message() -> None:
    """request_started has the message, both signals the handler's class."""
    seen: list[Any] = []

    def receiver(sender: object, **kwargs: Any) -> None:
        seen.append((sender, kwargs.get("message")))

    request_started.connect(receiver)
    request_finished.connect(receiver)
    try:
        sent = request(path="/hello/")
        list(SmallHandler()(sent))
    finally:
        request_started.disconnect(receiver)
        request_finished.disconnect(receiver)
    assert seen == [(SmallHandler, sent), (SmallHandler, None)]


def test_response_is_closed_also_when_given_up(answer: Answer) -> None:
    """Whoever stops asking for messages gets files closed and request_finished sent."""
    file = BytesIO(b"x" * 100)
    urls = type("Urls", (), {"urlpatterns": [path("", lambda request: FileResponse(file))]})
    with override_settings(ROOT_URLCONF=urls):
        replies = SmallHandler()(request())
        assert next(replies)["more_content"]
        assert not file.closed
        replies.close()
    assert file.closed


def test_file_responses_are_read_in_large_blocks(answer: Answer) -> None:
    """The block size is that of a message, not the 4 KiB of Django."""
    data = b"x" * 20_000
    replies = answer(lambda r: FileResponse(BytesIO(data)), handler=AsgiHandler)
    assert [len(reply["content"]) for reply in replies] == [20_000, 0]


def test_real_file(answer: Answer) -> None:
    """A file from disk is sent with its length and closed."""
    files = []

    def view(request: HttpRequest) -> FileResponse:
        files.append(Path(__file__).open("rb"))  # noqa: SIM115 - the response closes it
        return FileResponse(files[0])

    replies = answer(view, handler=AsgiHandler)
    assert b"".join(reply["content"] for reply in replies) == Path(__file__).read_bytes()
    assert [b"Content-Length", str(Path(__file__).stat().st_size).encode()] in replies[0]["headers"]
    assert files[0].closed


def test_template_responses_are_rendered(answer: Answer) -> None:
    """Django's deferred rendering takes place."""
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates"}
    with override_settings(TEMPLATES=[engine]):
        from django.template import engines  # templates are configured by now

        template: Any = engines["django"].from_string("Hi {{ name }}")
        (reply,) = answer(lambda r: TemplateResponse(r, template, {"name": "Ada"}))
    assert reply["content"] == b"Hi Ada"


# -- HEAD --------------------------------------------------------------------------------------------------------------


def test_head_has_headers_and_no_body(answer: Answer) -> None:
    """The length is that of the body that is not sent."""
    (reply,) = answer(lambda r: HttpResponse("x" * 100), method="HEAD")
    assert (reply["content"], reply["more_content"]) == (b"", False)
    assert [b"Content-Length", b"100"] in reply["headers"]


def test_head_reads_no_stream(answer: Answer) -> None:
    """A file is opened, told about and closed, never read."""
    file = BytesIO(b"x" * 100)
    (reply,) = answer(lambda r: FileResponse(file), method="HEAD")
    assert reply["content"] == b""
    assert [b"Content-Length", b"100"] in reply["headers"]
    assert file.closed


# -- errors ------------------------------------------------------------------------------------------------------------


def test_undecodable_request_is_400(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    """No view is asked; the log has the reason."""
    (reply,) = answer(lambda r: HttpResponse(), query_string=b"\xff")
    assert (reply["status"], reply["content"]) == (400, b"")
    (record,) = caplog.records
    assert (record.name, record.levelno, record.message) == (
        "django.request",
        logging.WARNING,
        "Bad Request (UnicodeDecodeError)",
    )


def test_errors_of_views_are_django_s(answer: Answer) -> None:
    """404, 403 and 500 are pages of Django; the 500 sends got_request_exception."""

    def forbidden(request: HttpRequest) -> HttpResponse:
        raise PermissionDenied

    def broken(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    seen: list[Any] = []

    def receiver(sender: object, request: HttpRequest, **kwargs: Any) -> None:
        seen.append(request.path)

    got_request_exception.connect(receiver)
    try:
        assert answer(forbidden, path="/nowhere/")[0]["status"] == 404
        assert answer(forbidden)[0]["status"] == 403
        assert answer(broken)[0]["status"] == 500
    finally:
        got_request_exception.disconnect(receiver)
    assert seen == ["/"]


class BrokenErrorPage(AsgiHandler):
    """Fails behind all that Django catches."""

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        raise ZeroDivisionError("even the error page")


@pytest.mark.parametrize(("debug", "text"), [(False, b"Internal Server Error"), (True, b"Traceback")])
def test_broken_error_page_is_plain_text(answer: Answer, debug: bool, text: bytes) -> None:
    """Where Django's own error handling fails the client still gets a 500; a traceback only in DEBUG."""
    with override_settings(DEBUG=debug):
        (reply,) = answer(lambda r: HttpResponse(), handler=BrokenErrorPage)
    assert reply["status"] == 500
    assert reply["headers"] == [[b"Content-Type", b"text/plain"]]
    assert reply["content"].startswith(text)


@override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True)
def test_exceptions_can_be_propagated() -> None:
    """Django's setting lets an error through to the worker."""
    with pytest.raises(ZeroDivisionError):
        list(BrokenErrorPage()(request()))


# -- decisions about the response --------------------------------------------------------------------------------------


def raising(error: Exception) -> View:
    """Return a view that raises ``error``."""

    def view(request: HttpRequest) -> HttpResponse:
        raise error

    return view


def raising_async(error: Exception) -> View:
    """Return an ``async def`` view that raises ``error``."""

    async def view(request: HttpRequest) -> HttpResponse:
        raise error

    return view


def rendering(error: Exception) -> View:
    """Return a view whose response raises ``error`` when it is rendered."""

    class Late(TemplateResponse):
        @property
        def rendered_content(self) -> str:
            raise error

    return lambda request: Late(request, "")


class Watching:
    """Middleware that sees exceptions of views, and status codes of responses."""

    seen: list[object] = []  # noqa: RUF012 - shared with the instances that Django makes

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        self.seen.append(response.status_code)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        self.seen.append(exception)
        return HttpResponse("caught") if isinstance(exception, ZeroDivisionError) else None


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Install the middleware above, between two that would store or compare a successful response."""
    seen: list[object] = []
    monkeypatch.setattr(Watching, "seen", seen)
    middleware = [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        f"{__name__}.Watching",
    ]
    with override_settings(MIDDLEWARE=middleware):
        yield seen


@pytest.mark.parametrize("view", [raising, raising_async, rendering])
@pytest.mark.parametrize("decision", [ResponseLater(), RequestAborted()])
def test_view_can_decide_to_send_nothing(
    answer: Answer, watching: list[object], caplog: pytest.LogCaptureFixture, view: Any, decision: Exception
) -> None:
    """No message, no error, nothing logged; middleware sees an interim response and not the exception."""
    assert answer(view(decision), headers=[(b"if-none-match", b'"x"')]) == []
    assert watching == [102]
    assert caplog.records == []


def test_exception_middleware_sees_errors(answer: Answer, watching: list[object]) -> None:
    """Anything else is offered to it, and it may answer."""
    error = ZeroDivisionError()
    assert answer(raising(error))[0]["content"] == b"caught"
    assert watching == [error, 200]


def test_middleware_before_the_view_can_find_the_client_gone(answer: Answer) -> None:
    """Reading the form for the CSRF token is enough to notice; no answer, no error."""
    gone = Layer([{"closed": True}])
    form = {"method": "POST", "headers": [(b"content-type", b"application/x-www-form-urlencoded")]}
    urls = type("Urls", (), {"urlpatterns": [path("", lambda r: HttpResponse())]})
    with override_settings(ROOT_URLCONF=urls):
        posted = message("http.request", {"path": "/", "body_channel": "b?1", **form}, ReplyChannel(), gone)
        posted.content["headers"].append((b"cookie", b"csrftoken=" + b"a" * 32))
        posted.content["headers"].append((b"host", b"testserver"))
        assert list(SmallHandler()(posted)) == []
    assert gone.contents == []


def test_a_request_whose_view_ends_its_thread_is_closed(answer: Answer) -> None:
    """As by ``sys.exit()`` in a command that it calls: what it has asked the layer for would stay asked for."""
    layer = Layer([{"content": b"a", "more_content": True}])

    def view(request: HttpRequest) -> HttpResponse:
        request.read(1)
        raise SystemExit(1)

    class Exiting(AsgiHandler):
        def get_response(self, request: HttpRequest) -> HttpResponseBase:
            return view(request)

    posted = message(content={"method": "POST", "path": "/", "body_channel": "body?1"}, channel_layer=layer)
    with pytest.raises(SystemExit):
        list(Exiting()(posted))
    assert layer.channels == ["body?1"]
    assert not layer.is_open


def test_who_reports_that_the_error_page_has_failed_may_read_its_files(answer: Answer) -> None:
    """As the mail to the admins does; the request is closed behind that."""
    file = SimpleUploadedFile("notes.txt", b"notes")
    read: list[bytes] = []

    class Failing(AsgiHandler):
        def get_response(self, request: HttpRequest) -> HttpResponseBase:
            vars(request)["_files"] = MultiValueDict({"file": [file]})
            raise ValueError("in the error page")

    class Report(logging.Handler):
        def emit(self, record: Any) -> None:
            read.append(record.request.FILES["file"].read())

    report, logger = Report(), logging.getLogger("django.request")
    logger.addHandler(report)
    try:
        (reply,) = Failing()(request())
    finally:
        logger.removeHandler(report)
    assert (reply["status"], read, file.closed) == (500, [b"notes"], True)


def test_slow_upload_is_408(answer: Answer) -> None:
    """The client is told, in a few words."""
    (first, *_) = answer(raising(RequestTimeout()), handler=AsgiHandler)
    assert first["status"] == 408
    assert first["content"] == b"408 Request Timeout: The body of the request did not arrive in time."


def test_no_response_has_an_interim_status() -> None:
    """It can neither be taken for a success nor for an error."""
    assert NoResponse().status_code == 102


# -- consumer ----------------------------------------------------------------------------------------------------------


class Canned(AsgiHandler):
    """Answers with ``response``, made anew each time."""

    chunk_size = 30
    response: Callable[[], HttpResponseBase] = staticmethod(lambda: HttpResponse("Hi"))

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        return self.response()


def consumer(response: Callable[[], HttpResponseBase], chunk_size: int = 30) -> ViewConsumer:
    """Return a consumer that answers with ``response()``."""
    kind = type("Kind", (Canned,), {"response": staticmethod(response), "chunk_size": chunk_size})
    return type("Consumer", (ViewConsumer,), {"handler_class": kind})()  # type: ignore[no-any-return]  # made of strings


def test_consumer_serves_django() -> None:
    """With nothing else said, the project's views answer."""
    sent = request(path="/hello/")
    ViewConsumer()(sent)
    ((reply, immediately),) = sent.reply_channel.sent
    assert (reply["status"], reply["content"], immediately) == (200, b"Hello", False)


def test_short_response_leaves_with_the_consumer_s_other_sends() -> None:
    """One message is gathered."""
    sent = request()
    consumer(lambda: HttpResponse("Hi"))(sent)
    assert [immediately for _, immediately in sent.reply_channel.sent] == [False]


@pytest.mark.parametrize("response", [lambda: HttpResponse("x" * 31), lambda: StreamingHttpResponse(["a"])])
def test_response_in_parts_leaves_part_by_part(response: Callable[[], HttpResponseBase]) -> None:
    """Several messages are sent at once, so that the consumer notices a full channel; the last one is gathered."""
    sent = request()
    consumer(response)(sent)
    assert [immediately for _, immediately in sent.reply_channel.sent] == [True, False]


def test_consumer_needs_a_reply_channel() -> None:
    """A request that nobody waits for is an error that names its channel."""
    with pytest.raises(ValueError, match=r"'http\.request' without reply channel cannot be answered"):
        ViewConsumer()(message("http.request", {"path": "/"}))


@pytest.mark.parametrize(
    ("size", "beginning", "pieces"),
    [
        (BEGINNING, BEGINNING, []),
        (BEGINNING + 1, BEGINNING, [1]),
        (BEGINNING + PIECE_SIZE, BEGINNING, [PIECE_SIZE]),
        (BEGINNING + 2 * PIECE_SIZE + 5, BEGINNING, [PIECE_SIZE, PIECE_SIZE, 5]),
    ],
)
def test_a_large_response_goes_round_the_inbox(size: int, beginning: int, pieces: list[int]) -> None:
    """All but its beginning, in pieces, whose last one says that it is."""
    body, sent = random.Random(size).randbytes(size), request()
    consumer(lambda: HttpResponse(body), AsgiHandler.chunk_size)(sent)
    channel = sent.reply_channel
    (reply, _), *others = channel.sent
    assert (len(reply["content"]), reply["more_content"], others) == (beginning, bool(pieces), [])
    assert [len(data) for data, _ in channel.pieces] == pieces
    assert [more for _, more in channel.pieces] == [True] * (len(pieces) - 1) + [False] * bool(pieces)
    assert b"".join([reply["content"], *(data for data, _ in channel.pieces)]) == body


def test_a_long_stream_goes_round_the_inbox() -> None:
    """Once its beginning was sent part by part; each part leaves when it is there."""
    part, sent = b"x" * 40_000, request()
    consumer(lambda: StreamingHttpResponse([part] * 5), AsgiHandler.chunk_size)(sent)
    channel = sent.reply_channel
    assert [len(reply["content"]) for reply, _ in channel.sent] == [40_000, 40_000, 40_000, BEGINNING - 120_000]
    assert all(immediately for _, immediately in channel.sent)
    assert [(len(data), more) for data, more in channel.pieces] == [
        (160_000 - BEGINNING, True),
        (40_000, True),
        (0, False),
    ]


def test_a_client_that_has_gone_ends_the_response() -> None:
    """The stream is closed and the consumer has nothing to report."""
    produced: list[int] = []
    closed: list[bool] = []

    def parts() -> Iterator[bytes]:
        try:
            for number in range(100):
                produced.append(number)
                yield bytes(BEGINNING)
        finally:
            closed.append(True)

    sent = request()
    sent.reply_channel = ReplyChannel(room=2, error=ReaderGone("its client has left"))
    consumer(lambda: StreamingHttpResponse(parts()), AsgiHandler.chunk_size)(sent)
    assert (len(produced), closed) == (4, [True])


def test_a_response_that_does_not_move_is_given_up() -> None:
    """After the time of the consumer; the file is closed, and the server is told that nothing more will come."""
    sent = request(path="/big/")
    sent.reply_channel = ReplyChannel(room=1, error=TimeoutError("no room"))
    file = BytesIO(bytes(BEGINNING + 3 * PIECE_SIZE))
    with pytest.raises(TimeoutError):
        consumer(lambda: FileResponse(file), AsgiHandler.chunk_size)(sent)
    assert file.closed
    assert sent.reply_channel.timeouts == {ViewConsumer.send_timeout}


def test_handler_is_made_once_and_late() -> None:
    """Threads that come first together share one handler; none is made before."""
    made = []
    both = threading.Barrier(2, timeout=10)

    class Counting(AsgiHandler):
        def __init__(self) -> None:
            made.append(threading.get_ident())
            super().__init__()

    class Consumer(ViewConsumer):
        handler_class = Counting

    shared = Consumer()
    assert made == []
    handlers = []

    def first() -> None:
        both.wait()
        handlers.append(shared.handler)

    threads = [threading.Thread(target=first) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1
    assert handlers[0] is handlers[1] is shared.handler
