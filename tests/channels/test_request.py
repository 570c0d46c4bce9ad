import gc
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.http.request import RawPostDataException
from django.test import override_settings
from django.urls import get_script_prefix, set_script_prefix
from hypothesis import given
from hypothesis import strategies as st

from channel_layers.exceptions import AnswerLost, LayerUnavailable
from channels import upload
from channels.exceptions import RequestAborted, RequestIncomplete, RequestTimeout, ResponseLater
from channels.request import AsgiRequest, environment, path_info_of
from tests.stand_ins import Layer, ReplyChannel, message

FORM = b"application/x-www-form-urlencoded"
MULTIPART = (
    b"--BOUNDARY\r\n"
    b'Content-Disposition: form-data; name="title"\r\n\r\n'
    b"My First Book\r\n"
    b"--BOUNDARY\r\n"
    b'Content-Disposition: form-data; name="pdf"; filename="book.pdf"\r\n\r\n'
    b"FAKEPDFBYTESGOHERE"
    b"--BOUNDARY--"
)


def request(layer: Layer | None = None, kind: type[AsgiRequest] = AsgiRequest, **content: Any) -> AsgiRequest:
    """Return the request of a message with ``content`` above the least that one must have."""
    content = {"http_version": "1.1", "method": "GET", "path": "/test/", **content}
    return kind(message("http.request", content, ReplyChannel(), layer))


def post(content_type: bytes, *pieces: bytes, layer: Layer | None = None, **content: Any) -> AsgiRequest:
    """Return a form as a request: the first piece in the message, the others in chunks."""
    body, *rest = pieces
    headers = [(b"content-type", content_type), (b"content-length", str(len(b"".join(pieces))).encode())]
    if rest:
        layer = layer or chunks(*rest)
        content["body_channel"] = "http.request.body?1"
    return request(layer, method="POST", headers=headers, body=body, **content)


def chunks(*pieces: bytes) -> Layer:
    """Return a layer that holds ``pieces`` as the chunks of a body."""
    return Layer({"content": p, "more_content": n < len(pieces)} for n, p in enumerate(pieces, 1))


def test_least_message() -> None:
    """A message with nothing but what it must have makes a request."""
    made = request()
    assert (made.path, made.path_info, made.script_name, made.method) == ("/test/", "/test/", "", "GET")
    assert (made.body, made.content_type, made.content_params) == (b"", "", {})
    assert not made.GET
    assert not made.POST
    assert not made.FILES
    assert not made.COOKIES
    assert (made.scheme, made.is_secure(), made.resolver_match) == ("http", False, None)
    assert made.META == {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/test/",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "SERVER_NAME": "unknown",
        "SERVER_PORT": "0",
    }


def test_full_message() -> None:
    """Query, headers, cookies and addresses arrive where Django looks for them."""
    made = request(
        query_string=b"x=1&y=%26foo+bar%2B&x=2",
        headers=[(b"host", b"testserver"), (b"cookie", b"a=1; b=2"), (b"x-forwarded-for", b"::1")],
        client=["10.0.0.1", 1234],
        server=["10.0.0.2", 80],
    )
    assert made.GET.getlist("x") == ["1", "2"]
    assert made.GET["y"] == "&foo bar+"
    assert made.COOKIES == {"a": "1", "b": "2"}
    assert made.get_host() == made.headers["Host"] == "testserver"
    assert made.headers["X-Forwarded-For"] == "::1"
    assert {key: made.META[key] for key in ("REMOTE_ADDR", "REMOTE_HOST", "REMOTE_PORT")} == {
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_HOST": "10.0.0.1",
        "REMOTE_PORT": 1234,
    }
    assert (made.META["SERVER_NAME"], made.META["SERVER_PORT"]) == ("10.0.0.2", "80")
    assert made.build_absolute_uri() == "http://testserver/test/?x=1&y=%26foo+bar%2B&x=2"
    assert repr(made) == "<AsgiRequest: GET '/test/?x=1&y=%26foo+bar%2B&x=2'>"


def test_message_and_reply_channel_are_at_hand() -> None:
    """A view reaches the message, its reply channel and ResponseLater through the request."""
    made = request()
    assert made.reply_channel is made.message.reply_channel is not None
    assert made.ResponseLater is ResponseLater


def test_method_is_upper_case() -> None:
    """Whatever the server sends, Django gets upper case."""
    assert request(method="post").method == "POST"


def test_handshake_is_a_get_request() -> None:
    """A websocket.connect message makes a request too: GET, http for ws and https for wss."""
    connect = {"path": "/chat/", "scheme": "wss", "headers": [(b"host", b"testserver")], "order": 0}
    made = AsgiRequest(message("websocket.connect", connect))
    assert (made.method, made.scheme, made.is_secure(), made.reply_channel) == ("GET", "https", True, None)
    assert "method" not in connect, "the message is left as it was"


@pytest.mark.parametrize(
    ("scheme", "expected"), [("http", "http"), ("https", "https"), ("ws", "http"), (None, "http"), ("", "http")]
)
def test_scheme(scheme: Any, expected: str) -> None:
    """The scheme is the message's; a handshake's counts as that of HTTP."""
    assert request(scheme=scheme).scheme == expected


@override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
def test_django_trusts_its_own_proxy_header() -> None:
    """The scheme is only what Django falls back on."""
    assert request(headers=[(b"x-forwarded-proto", b"https")]).is_secure()


@pytest.mark.parametrize("query", [b"a=%C3%A9&b=%FF", "a=%C3%A9&b=%FF"])
def test_query_string_may_be_text(query: Any) -> None:
    """Bytes and text are the same query; what is escaped is for Django to decode."""
    made = request(query_string=query)
    assert made.META["QUERY_STRING"] == "a=%C3%A9&b=%FF"
    assert made.GET["a"] == "é"


def test_query_string_must_be_utf_8() -> None:
    """Raw bytes that are not UTF-8 are an error, which the handler answers with 400."""
    with pytest.raises(UnicodeDecodeError):
        request(query_string=b"\xff")


def test_encoding_applies_to_the_query() -> None:
    """A charset in Content-Type, or a new encoding, decodes the query; an unknown one is ignored."""
    made = request(query_string=b"a=%E9", headers=[(b"content-type", b"text/plain; charset=latin-1")])
    assert made.encoding == "latin-1"
    assert made.GET["a"] == "é"
    made.encoding = "cp1251"
    assert made.GET["a"] == "й"
    assert request(headers=[(b"content-type", b"text/plain; charset=nonsense")]).encoding is None


# -- headers and paths -------------------------------------------------------------------------------------------------


def test_dict_headers_are_understood() -> None:
    """The dict of 2016's messages works and is left as it was."""
    headers = {"host": b"testserver", "content-type": b"text/plain"}
    made = request(headers=headers)
    assert made.get_host() == "testserver"
    assert made.content_type == "text/plain"
    assert made.message.content["headers"] is headers


def test_repeated_headers_are_joined() -> None:
    """Fields of one name are one list, in order; cookies are joined as cookies."""
    made = request(headers=[(b"x-a", b"1"), (b"cookie", b"a=1"), (b"x-a", b"2"), (b"Cookie", b"b=2")])
    assert made.META["HTTP_X_A"] == "1,2"
    assert made.COOKIES == {"a": "1", "b": "2"}


def test_headers_with_underscores_are_dropped() -> None:
    """They could pass for the field with hyphens that a proxy has checked."""
    made = request(headers=[(b"x_real_ip", b"6.6.6.6"), (b"x_a", b"1"), (b"x-real-ip", b"10.0.0.1")])
    assert made.META["HTTP_X_REAL_IP"] == "10.0.0.1"
    assert dict(made.headers) == {"X-Real-Ip": "10.0.0.1"}


def test_case_of_header_names_does_not_matter() -> None:
    """Content-Type and Content-Length have no prefix, however they are written."""
    made = request(headers=[(b"Content-Type", b"text/plain"), ("CONTENT-LENGTH", "0"), (b"X-A", b"\xe9")])
    assert (made.META["CONTENT_TYPE"], made.META["CONTENT_LENGTH"], made.META["HTTP_X_A"]) == ("text/plain", "0", "é")


@pytest.mark.parametrize("content", [{}, {"client": None, "server": None, "headers": None, "query_string": None}])
def test_missing_and_empty_keys_are_the_same(content: dict[str, Any]) -> None:
    """None stands for a key that is not there."""
    assert environment(content) == {"QUERY_STRING": "", "SERVER_NAME": "unknown", "SERVER_PORT": "0"}


@pytest.mark.parametrize(
    ("path", "script_name", "path_info"),
    [
        ("/app/x", "/app", "/x"),
        ("/app/x", "/app/", "/x"),
        ("/app/", "/app", "/"),
        ("/app", "/app", "/"),
        ("/appendix", "/app", "/appendix"),
        ("/other", "/app", "/other"),
        ("/x", "", "/x"),
        ("/x", "/", "/x"),
        ("//x", "", "//x"),
        ("", "", "/"),
        ("*", "", "*"),
    ],
)
def test_path_info(path: str, script_name: str, path_info: str) -> None:
    """Only a whole prefix is cut off."""
    assert path_info_of(path, script_name) == path_info


@given(st.text("/ab"), st.text("/ab"))
def test_path_info_is_the_end_of_the_path(path: str, script_name: str) -> None:
    """Nothing is invented but the slash of an empty path."""
    path_info = path_info_of(path, script_name)
    assert path.endswith(path_info) or (path_info == "/" and path == script_name.rstrip("/"))


def test_root_path_is_the_script_name() -> None:
    """The server's mount point, or the setting that overrides it."""
    made = request(path="/app/test/", root_path="/app")
    assert (made.path, made.path_info, made.META["SCRIPT_NAME"]) == ("/app/test/", "/test/", "/app")
    with override_settings(FORCE_SCRIPT_NAME="/app/test"):
        assert request(path="/app/test/", root_path="/app").path_info == "/"
    assert get_script_prefix() == "/", "making a request sets no prefix"
    set_script_prefix("/")


def test_host_is_checked() -> None:
    """ALLOWED_HOSTS applies."""
    with pytest.raises(DisallowedHost):
        request(headers=[(b"host", b"evil.example")]).get_host()


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_form_in_one_message() -> None:
    """Query and form do not leak into each other."""
    made = post(FORM, b"ponies=are+awesome", query_string=b"django=great")
    assert made.GET.dict() == {"django": "great"}
    assert made.POST.dict() == {"ponies": "are awesome"}
    assert made.body == b"ponies=are+awesome"
    assert made.content_type == FORM.decode()
    made.close()


def test_form_in_chunks() -> None:
    """The body is what the message begins and the chunks go on with."""
    layer = chunks(b"&a=", b"1")
    made = post(FORM, b"there", b"&a=", b"1", layer=layer)
    assert layer.channels == [], "nothing is read before the view wants it"
    assert made.POST.dict() == {"there": "", "a": "1"}
    assert (layer.channels, len(layer.timeouts)) == (["http.request.body?1"], 2)
    made.close()


def test_chunks_may_lack_their_content() -> None:
    """A chunk may be nothing but the end; what follows the end stays unread."""
    layer = Layer([{"content": b"a", "more_content": True}, {"more_content": True}, {}, {"content": b"ignored"}])
    assert request(layer, method="POST", body_channel="body?1").body == b"a"
    assert len(layer.contents) == 1


def test_multipart_in_chunks() -> None:
    """Fields and files of a form are there when the body came in chunks."""
    made = post(b"multipart/form-data; boundary=BOUNDARY", b"", MULTIPART[:20], MULTIPART[20:])
    pdf: Any = made.FILES["pdf"]
    assert pdf.read() == b"FAKEPDFBYTESGOHERE"
    assert made.POST["title"] == "My First Book"
    assert not made._post_parse_error
    made.close()
    assert pdf.closed


@pytest.mark.parametrize("cut", [None, 20])
def test_a_chunked_form_needs_no_length(cut: int | None) -> None:
    """Django takes a missing length for none; the length of a body that is all here is known (RFC 3875 4.1.2)."""
    headers = [(b"content-type", b"multipart/form-data; boundary=BOUNDARY"), (b"transfer-encoding", b"chunked")]
    content: dict[str, Any] = {"method": "POST", "headers": headers, "body": MULTIPART[:cut]}
    if cut:
        made = request(chunks(MULTIPART[cut:]), body_channel="http.request.body?1", **content)
        assert "CONTENT_LENGTH" not in made.META
    else:
        made = request(**content)
        assert made.META["CONTENT_LENGTH"] == str(len(MULTIPART))
    pdf: Any = made.FILES["pdf"]
    assert (pdf.read(), made.POST["title"]) == (b"FAKEPDFBYTESGOHERE", "My First Book")
    made.close()


def test_post_can_be_set() -> None:
    """Middleware may replace the form."""
    made = post(FORM, b"a=1")
    made.POST = made.GET
    assert made.POST is made.GET


def test_reading_like_a_file() -> None:
    """read(), readline() and iteration work on the body; afterwards ``body`` is Django's error."""
    made = post(b"text/plain", b"one\ntwo", b"\nthree")
    assert made.read(3) == b"one"
    assert made.readline() == b"\n"
    assert list(made) == [b"two\n", b"three"]
    assert made.read() == b""
    with pytest.raises(RawPostDataException):
        _ = made.body
    made.close()


def test_a_large_body_is_read_as_it_is_wanted() -> None:
    """Chunks are fetched one by one; what is closed fetches no more."""
    layer = chunks(*[bytes([n]) * 100_000 for n in range(3)])
    made = post(b"application/octet-stream", b"begin", b"", layer=layer)
    assert made.read(5) == b"begin"
    assert len(layer.timeouts) <= 1
    assert made.read(100_000) == bytes(100_000)
    assert len(layer.timeouts) <= 2
    stream: Any = made._stream
    assert layer.is_open
    made.close()
    assert stream.closed
    assert not layer.is_open


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10)
def test_django_limits_the_body_in_memory() -> None:
    """DATA_UPLOAD_MAX_MEMORY_SIZE applies to what arrives, whatever Content-Length says."""
    made = request(chunks(b"x" * 11), method="POST", body_channel="body?1")
    for _ in range(2):
        with pytest.raises(RequestDataTooBig):
            _ = made.body
    made.close()


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10)
def test_body_as_large_as_the_limit_is_read() -> None:
    """A body of as many bytes as may be held comes whole, and comes again."""
    made = request(chunks(b"x" * 10), method="POST", body_channel="body?1")
    assert made.body == made.body == b"x" * 10
    made.close()


def test_client_that_goes_away_aborts() -> None:
    """A chunk that says "closed" ends reading, at every try; the form is empty then."""
    layer = Layer([{"content": b"a=1", "more_content": True}, {"closed": True}])
    made = post(FORM, b"", b"", layer=layer)
    for _ in range(2):
        with pytest.raises(RequestAborted):
            _ = made.body
    assert not made.POST
    assert not made.FILES
    assert len(layer.timeouts) == 2
    made.close()


@pytest.mark.parametrize("offset", [0, 4, 6])
def test_a_body_with_a_hole_is_no_body(offset: int) -> None:
    """A chunk that is not the next one ends reading, at every try: the layer lost one, or an earlier run read one."""
    follows = [{"content": b"de", "offset": 3, "more_content": True}, {"content": b"f", "offset": offset}]
    layer = Layer(follows)
    made = request(layer, method="POST", body=b"abc", body_channel="body?1")
    for _ in range(2):
        with pytest.raises(RequestIncomplete, match=f"goes on at byte {offset} and was read up to 5"):
            _ = made.body
    assert not layer.is_open
    made.close()


def test_a_body_goes_on_where_the_layer_is_back_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader goes on behind what it has returned."""
    monkeypatch.setattr(upload, "PAUSE", 0)
    faults = [LayerUnavailable("away"), AnswerLost("lost")]
    layer = Layer([{"content": b"a", "more_content": True}, *faults, None, {"content": b"b"}])
    assert request(layer, method="POST", body_channel="body?1").body == b"ab"


@pytest.mark.parametrize("error", [LayerUnavailable("away"), AnswerLost("lost"), ValueError("no msgpack")])
def test_a_body_is_not_read_on_behind_a_fault_of_the_layer(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before it is lost, and nobody may take the rest for the body or an empty form for the one sent.

    It is no OSError, which Django's check of CSRF tokens passes over.
    """
    monkeypatch.setattr(upload, "PAUSE", 0)
    monkeypatch.setattr(AsgiRequest, "body_receive_timeout", 0)
    form = b"text=" + b"a" * 20
    layer = Layer([{"content": form[:10], "more_content": True}, error, {"content": form[10:]}])
    made = request(layer, method="POST", body_channel="body?1", headers=[(b"content-type", FORM)])
    with pytest.raises(RequestIncomplete, match=str(error)) as raised:
        _ = made.POST
    assert not isinstance(raised.value, OSError)
    with pytest.raises(RequestIncomplete, match=str(error)):
        _ = made.body
    with pytest.raises(RequestIncomplete, match=str(error)):
        made.read()
    assert not layer.is_open
    made.close()


def test_a_body_that_is_read_when_its_request_was_closed_is_incomplete() -> None:
    """By who holds the raw stream."""
    made = request(Layer([{"content": b"a", "more_content": True}]), method="POST", body_channel="body?1")
    assert made.read(1) == b"a"
    body = made._upload
    assert body is not None
    body.leave()
    with pytest.raises(RequestIncomplete, match="closed when 1 bytes"):
        body.read(1)
    made.close()


def test_the_layer_is_left_at_the_end_of_the_body() -> None:
    """And not when the response is sent."""
    layer = Layer([{"content": b"de", "offset": 3, "more_content": True}, {"content": b"f", "offset": 5}])
    made = request(layer, method="POST", body=b"abc", body_channel="body?1")
    assert made.read() == b"abcdef"
    assert not layer.is_open
    made.close()


def test_a_request_that_nobody_closes_asks_the_layer_for_nothing() -> None:
    """Python forgets it in any thread and under any lock; its reader is closed by who opens the next one."""
    layer = chunks(b"a", b"b")
    made = request(layer, method="POST", body=b"0", body_channel="body?1")
    assert made.read(2) == b"0a"
    del made
    gc.collect()
    assert layer.is_open
    other = chunks(b"c")
    assert request(other, method="POST", body_channel="body?1").read() == b"c"
    assert not layer.is_open


@pytest.mark.parametrize("end", [{"closed": True}, None], ids=["gone", "silent"])
def test_a_file_that_breaks_off_is_removed(end: Any, tmp_path: Path) -> None:
    """At once, and not when the error that tells of it is forgotten."""
    begun = b'--BOUNDARY\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"a" * 200_000
    layer = Layer([{"content": begun, "more_content": True}, end])

    class Impatient(AsgiRequest):
        body_receive_timeout = 0

    handlers = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
    with override_settings(FILE_UPLOAD_TEMP_DIR=tmp_path, FILE_UPLOAD_HANDLERS=handlers):
        headers = [(b"content-type", b"multipart/form-data; boundary=BOUNDARY")]
        made = request(layer, Impatient, method="POST", body_channel="body?1", headers=headers)
        with pytest.raises((RequestAborted, RequestTimeout)) as error:
            _ = made.FILES
    assert list(tmp_path.iterdir()) == []
    assert made._upload_error is error.value
    assert not layer.is_open
    made.close()


def test_slow_body_times_out() -> None:
    """Where no chunk comes in time, reading ends; the layer was given the whole time."""
    layer = Layer([None])

    class Impatient(AsgiRequest):
        body_receive_timeout = 0

    made = request(layer, Impatient, method="POST", body_channel="body?1")
    with pytest.raises(RequestTimeout):
        made.read()
    assert layer.timeouts == [0]


def test_time_is_counted_for_each_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that comes back early is asked again for the rest of the time; each chunk starts it anew."""
    times = iter([0.0, 10.0, 100.0, 150.0, 160.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    layer = Layer([None, {"content": b"a", "more_content": True}, None, None])
    with pytest.raises(RequestTimeout):
        _ = request(layer, method="POST", body_channel="body?1").body
    assert layer.timeouts == [60.0, 50.0, 60.0, 10.0]


def test_closing_reads_nothing() -> None:
    """A request whose body no view wanted is closed without waiting for it."""
    layer = chunks(b"a")
    post(FORM, b"", b"a", layer=layer).close()
    assert layer.channels == []
