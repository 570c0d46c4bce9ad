"""Views that take and send bodies of any size, and the settings of a site that has them alone.

``BENCHMARK_UPLOADS`` names the directory for files that are being uploaded.
"""

import hashlib
import os
from collections.abc import Iterator

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from benchmarks.site.settings import *  # noqa: F403 - a settings module that changes two of them

ROOT_URLCONF = __name__
FILE_UPLOAD_TEMP_DIR = os.environ.get("BENCHMARK_UPLOADS")

PIECE = bytes(range(256)) * 256


def upload(request: HttpRequest) -> HttpResponse:
    """Answer with size and digest of the file in a form."""
    file = request.FILES["file"]
    assert isinstance(file, UploadedFile)
    digest = hashlib.blake2b()
    for chunk in file.chunks():
        digest.update(chunk)
    return HttpResponse(f"{file.size} {digest.hexdigest()}")


def download(request: HttpRequest, size: int) -> StreamingHttpResponse:
    """Send so many bytes, in pieces."""

    def parts() -> Iterator[bytes]:
        for start in range(0, size, len(PIECE)):
            yield PIECE[: size - start]

    return StreamingHttpResponse(parts(), content_type="application/octet-stream")


urlpatterns = [path("upload/", upload), path("download/<int:size>/", download)]
