"""URLs of the test project."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def hello(request: HttpRequest) -> HttpResponse:
    """Greet."""
    return HttpResponse("Hello")


urlpatterns = [path("hello/", hello)]
