"""The 2016 guide, "Models": messages are saved and broadcast by a consumer on a channel of the project's own."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import pytest

from tests.guide.project import Site
from tests.runserver import RunServer, receive

MODELS = {
    "talk/models.py": """
from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver
from channels import Channel


class Remark(models.Model):
    room = models.CharField(max_length=100)
    message = models.TextField()


class Topic(models.Model):
    room = models.CharField(max_length=100)
    title = models.TextField()


@receiver(post_save, sender=Topic)
def announce(instance, **kwargs):
    Channel("remarks").send({"room": instance.room, "message": "Topic: %s" % instance.title})
""",
    "talk/consumers.py": """
from channels import Channel, Group
from channels.sessions import channel_session
from .models import Remark


# Connected to remarks
def keep(message):
    room = message.content['room']
    # Save to model
    Remark.objects.create(
        room=room,
        message=message.content['message'],
    )
    # Broadcast to listening sockets
    Group("room-%s" % room).send({
        "text": message.content['message'],
    })


# Connected to websocket.connect
@channel_session
def enter(message):
    # The path without its slashes is the name of the room
    room = message.content['path'].strip("/")
    message.channel_session['room'] = room
    Group("room-%s" % room).add(message.reply_channel)


# Connected to websocket.receive
@channel_session
def say(message):
    Channel("remarks").send({
        "room": message.channel_session['room'],
        "message": message.content['text'],
    })


# Connected to websocket.disconnect
@channel_session
def leave(message):
    room = message.channel_session['room']
    Group("room-%s" % room).discard(message.reply_channel)
    print("left", room)
""",
    "mysite/routing.py": """
from channels.routing import route
from talk.consumers import enter, keep, leave, say

channel_routing = [
    route("websocket.connect", enter),
    route("websocket.receive", say),
    route("websocket.disconnect", leave),
    route("remarks", keep),
]
""",
    "mysite/urls.py": """
from channels import Channel
from django.http import HttpResponse, JsonResponse
from django.urls import path
from talk.models import Remark, Topic


def listed(request, room):
    remarks = Remark.objects.filter(room=room).order_by("pk")
    return JsonResponse([remark.message for remark in remarks], safe=False)


def say(request, room):
    Channel("remarks").send({"room": room, "message": "From a view"})
    return HttpResponse("Sent")


def open_topic(request, room):
    Topic.objects.create(room=room, title="Tea")
    return HttpResponse("Open")


urlpatterns = [
    path("<room>/remarks/", listed),
    path("<room>/say/", say),
    path("<room>/topic/", open_topic),
]
""",
}


@pytest.fixture(scope="module")
def server(site: Site) -> RunServer:
    """The project of the guide, with its tables."""
    return site("models", MODELS, "makemigrations talk", "migrate")


def remarks(server: RunServer, room: str) -> Any:
    """Return what is saved of a room."""
    return json.loads(server.get(f"/{room}/remarks/")[1])


def test_a_remark_is_saved_and_broadcast(server: RunServer) -> None:
    """A socket's message takes the way over the project's own channel into the table and to all of its room."""
    with server.connect("/kitchen/") as one, server.connect("/kitchen/") as two, server.connect("/attic/") as attic:
        one.send("The kettle is on")
        assert receive(one) == receive(two) == "The kettle is on"
        attic.send("Up here")
        assert receive(attic) == "Up here"
    assert remarks(server, "kitchen") == ["The kettle is on"]
    assert remarks(server, "attic") == ["Up here"]


def test_remarks_of_many_sockets_are_all_saved(server: RunServer) -> None:
    """Sockets that talk at once lose nothing: every remark is in the table, and reaches every socket once."""
    said = {f"{client} {number}" for client in range(4) for number in range(5)}
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect("/crowd/")) for _ in range(4)]
        for number in range(5):
            for client in range(4):
                clients[client].send(f"{client} {number}")
        for listener in clients:
            assert sorted(str(receive(listener)) for _ in said) == sorted(said)
    assert sorted(remarks(server, "crowd")) == sorted(said)


def test_the_session_of_a_connection_lasts_to_its_end(server: RunServer) -> None:
    """What connect has stored is there in disconnect."""
    since = len(server.lines)
    with server.connect("/hallway/"):
        pass
    assert server.wait_for("^left hallway$", since)
    assert server.matching("Traceback", since) == []


@pytest.mark.parametrize(
    ("path", "text"), [("/parlour/say/", "From a view"), ("/parlour/topic/", "Topic: Tea")], ids=["view", "signal"]
)
def test_remarks_come_from_anywhere(server: RunServer, path: str, text: str) -> None:
    """A view, or the signal of another model that a view saves, sends on the channel as a consumer does."""
    with server.connect("/parlour/") as client:
        assert server.get(path)[0] == 200
        assert receive(client) == text
    assert text in remarks(server, "parlour")
