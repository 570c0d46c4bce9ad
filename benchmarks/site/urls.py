"""Views for HTTP workloads."""

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from benchmarks.site import pages, trials
from benchmarks.site.consumers import counters
from channels import Group
from channels.exceptions import ResponseLater
from channels.handler import AsgiHandler
from channels.request import AsgiRequest


def counts(request: HttpRequest) -> HttpResponse:
    """How often the consumers ran, by their own count."""
    return HttpResponse(f"{counters['echo']} {counters['broadcast']}")


def wait_for_news(request: AsgiRequest) -> HttpResponse:
    """Answer when there are news."""
    assert request.reply_channel is not None
    Group("readers").add(request.reply_channel)
    raise ResponseLater


def publish_news(request: HttpRequest) -> HttpResponse:
    """Answer all who wait with what was posted."""
    for reply in AsgiHandler.encode_response(HttpResponse(request.body)):
        Group("readers").send(reply)
    return HttpResponse("sent")


urlpatterns = [
    *pages.urlpatterns,
    path("news/", wait_for_news),
    path("publish/", csrf_exempt(publish_news)),
    path("counts/", counts),
    path("trials/answer/<name>/", trials.answer),
    path("trials/stream/<room>/<first>/<count>/", trials.stream),
]
