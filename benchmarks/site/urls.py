"""Views for HTTP workloads."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.site import trials
from benchmarks.site.consumers import counters


def hello(request: HttpRequest) -> HttpResponse:
    """The smallest answer."""
    return HttpResponse("Hello, world")


def counts(request: HttpRequest) -> HttpResponse:
    """How often the consumers ran, by their own count."""
    return HttpResponse(f"{counters['echo']} {counters['broadcast']}")


urlpatterns = [
    path("", hello),
    path("counts/", counts),
    path("trials/answer/<name>/", trials.answer),
    path("trials/stream/<room>/<first>/<count>/", trials.stream),
]
