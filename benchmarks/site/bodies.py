"""Views that take and send bodies of any size, and the settings of a site that has them alone.

``BENCHMARK_UPLOADS`` names the directory for files that are being uploaded, ``BENCHMARK_UPLOAD`` the file that the last
one is kept as.
"""

import os
from collections.abc import Iterator

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from benchmarks.site.settings import *  # noqa: F403 - a settings module that changes two of them

ROOT_URLCONF = __name__
FILE_UPLOAD_TEMP_DIR = os.environ.get("BENCHMARK_UPLOADS")
KEPT = os.environ.get("BENCHMARK_UPLOAD", "")

PIECE = bytes(range(256)) * 256


def upload(request: HttpRequest) -> HttpResponse:
    """Keep the file of a form, and answer with its size."""
    file = request.FILES["file"]
    assert isinstance(file, TemporaryUploadedFile)
    os.link(file.temporary_file_path(), KEPT)
    return HttpResponse(f"{file.size}")


def download(request: HttpRequest, size: int) -> StreamingHttpResponse:
    """Send so many bytes, in pieces."""

    def parts() -> Iterator[bytes]:
        for start in range(0, size, len(PIECE)):
            yield PIECE[: size - start]

    headers = {"Content-Length": str(size)}
    return StreamingHttpResponse(parts(), headers=headers, content_type="application/octet-stream")


urlpatterns = [path("upload/", upload), path("download/<int:size>/", download)]
