"""Static files during development: found by Django's finders, sent like a view's response."""

from __future__ import annotations

from urllib.parse import urlparse

from django.conf import settings
from django.contrib.staticfiles.utils import check_settings
from django.contrib.staticfiles.views import serve
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.exception import response_for_exception
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from channels.handler import AsgiHandler, ViewConsumer

__all__ = ["StaticFilesConsumer", "StaticFilesHandler"]

WHITENOISE = "whitenoise.runserver_nostatic"
"""An app that has its own way of serving static files during development."""


class StaticFilesHandler(AsgiHandler):
    """Serves what lies below ``STATIC_URL``, whatever ``DEBUG`` says, and leaves the rest to Django's views.

    A ``STATIC_URL`` with a host is served by that host, never here. A file that is not found is a 404 in ``DEBUG``
    and otherwise left to the views. Raises :exc:`~django.core.exceptions.ImproperlyConfigured` without ``STATIC_URL``.
    """

    handles_files = True

    def __init__(self) -> None:
        super().__init__()
        check_settings()
        self.base_url = urlparse(settings.STATIC_URL)

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Return the file that ``request`` asks for, or the response of a view."""
        if not self._should_handle(request.path):
            return super().get_response(request)
        try:
            return self.serve(request)
        except (Http404, SuspiciousOperation) as error:
            if isinstance(error, Http404) and not settings.DEBUG:
                return super().get_response(request)
            return response_for_exception(request, error)

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Return the file as a response; raise :exc:`~django.http.Http404` if no finder knows it."""
        return serve(request, self.file_path(request.path), insecure=True)

    def file_path(self, url: str) -> str:
        """Return the path that finders know the file of ``url`` (decoded already) by."""
        return url.removeprefix(self.base_url.path)

    def _should_handle(self, path: str) -> bool:
        return path.startswith(self.base_url.path) and not self.base_url.netloc


class StaticFilesConsumer(ViewConsumer):
    """:class:`~channels.handler.ViewConsumer` that serves static files as well."""

    handler_class = StaticFilesHandler
