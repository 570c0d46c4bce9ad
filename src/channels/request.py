"""Django's request over an ``http.request`` or ``websocket.connect`` message."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from io import BufferedReader, BytesIO
from typing import IO, TYPE_CHECKING, Any, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, QueryDict, parse_cookie
from django.utils.datastructures import MultiValueDict
from django.utils.functional import cached_property

from channels.exceptions import ResponseLater
from channels.upload import FailedUpload, Upload

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

    from channels.message import Message

BUFFER_SIZE = 64 * 1024
"""Bytes that are read of a chunk at a time."""
SCHEMES = {"ws": "http", "wss": "https"}
"""A handshake is a request of HTTP; so is its scheme to Django."""


class AsgiRequest(HttpRequest):
    """The request that ``message`` carries.

    A large body is read from its channel while the view reads it, as a file: it is nowhere as a whole unless the view
    asks for that. Reading it raises :exc:`~channels.exceptions.RequestTimeout` if a chunk takes longer than
    ``body_receive_timeout`` seconds, :exc:`~channels.exceptions.RequestAborted` if the client has gone, and
    :exc:`~channels.exceptions.RequestIncomplete` if the layer has lost a part of it or fails for as long; all do so
    again at every further try. ``POST`` and ``FILES`` are empty behind that, as behind a form that Django cannot parse.

    Raises :exc:`UnicodeDecodeError` for a query string that is not UTF-8.
    """

    ResponseLater = ResponseLater
    body_receive_timeout: float = 60.0

    _post: QueryDict
    _files: MultiValueDict[str, Any]

    def __init__(self, message: Message) -> None:
        content = message.content
        self.message = message
        self.reply_channel = message.reply_channel
        self.resolver_match = None
        self._post_parse_error = False
        self._read_started = False
        self._upload: Upload | None = None
        self._upload_error: Exception | None = None
        self.script_name = script_name_of(content)
        self.path = content["path"]
        self.path_info = path_info_of(self.path, self.script_name)
        # RFC 6455 section 4.1: a handshake, whose message has no method, is a GET.
        self.method = content.get("method", "GET").upper()
        self.META = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": self.script_name,
            "PATH_INFO": self.path_info,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            **environment(content),
        }
        if "HTTP_TRANSFER_ENCODING" in self.META and not content.get("body_channel"):
            self.META.setdefault("CONTENT_LENGTH", str(len(content.get("body") or b"")))
        self._set_content_type_params(self.META)  # type: ignore[attr-defined]  # Django's requests share it unstubbed

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]  # noqa: N802 - named and read-only as Django's own
        """Parameters of the query string, in the request's encoding."""
        return QueryDict(self.META["QUERY_STRING"], encoding=self.encoding)

    @cached_property
    def COOKIES(self) -> dict[str, str]:  # type: ignore[override]  # noqa: N802 - as GET
        """Cookies of the request."""
        return parse_cookie(self.META.get("HTTP_COOKIE", ""))

    def _get_post(self) -> QueryDict:
        if not hasattr(self, "_post"):
            self._load_post_and_files()
        return self._post

    def _set_post(self, post: QueryDict) -> None:
        self._post = post

    POST = property(_get_post, _set_post)

    @property
    def FILES(self) -> MultiValueDict[str, Any]:  # type: ignore[override]  # noqa: N802 - as GET
        """Uploaded files of a form."""
        if not hasattr(self, "_files"):
            self._load_post_and_files()
        return self._files

    @property
    def body(self) -> bytes:
        """The whole body.

        Raises :exc:`~django.core.exceptions.RequestDataTooBig` once more than ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes
        have come: of a chunked body no length tells it before, and not every Django counts what it reads.
        """
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if limit is not None and self.message.content.get("body_channel") and not self._read_started:
            self._hold_body(limit)
        return super().body

    def _hold_body(self, limit: int) -> None:
        beginning = self._stream.read(limit + 1)
        if len(beginning) > limit:
            error = RequestDataTooBig("Request body exceeded settings.DATA_UPLOAD_MAX_MEMORY_SIZE.")
            self.close()
            self._upload_failed(error)
            raise error
        self._stream = BytesIO(beginning)

    def parse_file_upload(
        self,
        META: Mapping[str, Any],  # noqa: N803 - named as Django names it
        post_data: Any,
    ) -> tuple[QueryDict, MultiValueDict[str, UploadedFile[Any]]]:
        """Read a form with files; of a chunked one, which has no length, Django would read nothing."""
        length = {} if META.get("CONTENT_LENGTH") else {"CONTENT_LENGTH": str(sys.maxsize)}
        return super().parse_file_upload({**META, **length}, post_data)

    def close(self) -> None:
        """Close uploaded files and the body; called when the response is closed."""
        super().close()
        if self._upload is not None:
            self._upload.leave()
        if "_stream" in self.__dict__:
            self._stream.close()

    def _get_scheme(self) -> str:
        scheme = self.message.content.get("scheme") or "http"
        return SCHEMES.get(scheme, scheme)

    @cached_property
    def _stream(self) -> IO[bytes]:  # type: ignore[override]  # opened at first use
        """What Django reads the body from."""
        content = self.message.content
        beginning, channel = content.get("body") or b"", content.get("body_channel")
        if not channel:
            return BytesIO(beginning)
        if self._upload_error is not None:
            return cast("IO[bytes]", FailedUpload(self._upload_error))
        timeout = self.body_receive_timeout
        self._upload = Upload(beginning, self.message.channel_layer, channel, timeout, self._upload_failed)
        return BufferedReader(self._upload, BUFFER_SIZE)

    def _upload_failed(self, error: Exception) -> None:
        """Let whoever asks for the body again get this error again, and an error page find no form rather than it."""
        self._upload_error = error
        for handler in getattr(self, "_upload_handlers", ()):
            handler.upload_interrupted()  # a file that has begun would stay as long as anybody holds the error
        self._post, self._files = QueryDict(), MultiValueDict()
        self._read_started = False
        self.__dict__.pop("_stream", None)  # Django closes it


def script_name_of(content: Mapping[str, Any]) -> str:
    """Return where the application is mounted: ``FORCE_SCRIPT_NAME``, else the message's ``root_path``."""
    forced: str | None = settings.FORCE_SCRIPT_NAME
    return (content.get("root_path") or "") if forced is None else forced


def path_info_of(path: str, script_name: str) -> str:
    """Return the part of ``path`` below ``script_name`` (RFC 3875 section 4.1.5), all of it where it lies elsewhere."""
    mount = script_name.rstrip("/")
    if path == mount:
        return "/"
    return path[len(mount) :] if path.startswith(mount + "/") else path


def environment(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return query string, addresses and headers of a message as keys of ``META`` (RFC 3875 section 4.1)."""
    query = content.get("query_string") or ""
    host, port = content.get("server") or ("unknown", 0)
    meta: dict[str, Any] = {
        "QUERY_STRING": query.decode() if isinstance(query, bytes) else query,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
    }
    if content.get("client"):
        meta["REMOTE_ADDR"] = meta["REMOTE_HOST"] = content["client"][0]
        meta["REMOTE_PORT"] = content["client"][1]
    headers = content.get("headers") or ()
    # Messages of 2016 carry a dict of text and bytes.
    return meta | _header_environment(headers.items() if isinstance(headers, dict) else headers)


def _header_environment(headers: Iterable[tuple[bytes | str, bytes | str]]) -> dict[str, str]:
    meta: dict[str, str] = {}
    for name, value in headers:
        key = _meta_key(name)
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if key in meta:
            # Cookies may be split over several fields (RFC 9113 section 8.2.3); lists are joined as in RFC 9110.
            text = meta[key] + ("; " if key == "HTTP_COOKIE" else ",") + text
        meta[key] = text
    # A name with an underscore could pass for another one with a hyphen.
    meta.pop("", None)
    return meta


@lru_cache(maxsize=1024)
def _meta_key(name: bytes | str) -> str:
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    if "_" in text:
        return ""
    key = text.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
