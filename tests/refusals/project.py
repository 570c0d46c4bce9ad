"""A project that does what it must not: each consumer is named for its fault, and runs for the text of its name."""

from __future__ import annotations

PROJECT = {
    "mysite/settings.py": """
SECRET_KEY = "for tests only"
DEBUG = True
ROOT_URLCONF = "mysite.urls"
INSTALLED_APPS = ["channels"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.memory.MemoryChannelLayer",
        "CONFIG": {"channel_capacity": {"unread": 2, "unread-at-once": 2}, "max_message_size": 100_000},
        "ROUTING": "mysite.routing.channel_routing",
    },
}
CHANNELS = {
    "MAX_BODY_SIZE": 1000,
    "MAX_FRAGMENTS": 3,
    "MAX_HEADERS": 20,
    "MAX_HEADER_SIZE": 2000,
    "MAX_MESSAGE_SIZE": 1000,
    "MAX_TARGET_SIZE": 500,
}
""",
    "mysite/urls.py": """
from django.http import HttpResponse
from django.urls import path


def broken(request):
    raise RuntimeError("the view is broken")


urlpatterns = [
    path("hello/", lambda request: HttpResponse("Hello")),
    path("broken/", broken),
]
""",
    "mysite/consumers.py": """
import asyncio

from channels import Channel, Group
from channels.exceptions import DenyConnection


def accept(message):
    Group("everybody").add(message.reply_channel)


def deny(message):
    raise DenyConnection("the hall is closed")


def deny_in_words(message):
    message.reply_channel.send({"accept": False})


def broken_connect(message):
    raise RuntimeError("connect is broken")


def echo(message):
    message.reply_channel.send({"text": message["text"]})


def ignore(message):
    pass


def raises(message):
    message.reply_channel.send({"text": "sent before it raised"})
    raise RuntimeError("receive is broken")


def cancels(message):
    raise asyncio.CancelledError("by itself")


def exits(message):
    raise SystemExit(3)


async def raises_async(message):
    raise RuntimeError("async is broken")


def sends_text(message):
    message.reply_channel.send("only text")


def sends_set(message):
    message.reply_channel.send({"text": "x", "headers": [["a", {1, 2}]]})


def sends_object(message):
    Channel("orders").send({"lines": [1, {"price": object()}]})


def sends_json(message):
    message.reply_channel.send({"text": {"a": 1}})


def sends_key(message):
    message.reply_channel.send({"txt": "x"})


def sends_key_to_group(message):
    Group("everybody").send({"txt": "x"})


def sends_code(message):
    message.reply_channel.send({"close": 999})


def sends_much(message):
    Channel("orders").send({"lines": "x" * 100_000})


def misspells(message):
    Channel("oders").send({"lines": []})


def misnames(message):
    Channel("my orders").send({})


def fills(message):
    for number in range(3):
        Channel("unread").send({"number": number})


def overfills(message):
    for number in range(3):
        Channel("unread-at-once").send({"number": number}, immediately=True)


def denies_late(message):
    raise DenyConnection("too late")


def answers_nothing_known(message):
    message.reply_channel.send({"stats": 200})


def answers_without_status(message):
    message.reply_channel.send({"content": b"x"})


def raises_in_http(message):
    raise RuntimeError("the consumer is broken")
""",
    "mysite/routing.py": """
from channels.routing import route
from mysite import consumers

named = ["raises", "cancels", "exits", "raises_async", "sends_text", "sends_set", "sends_object", "sends_json",
         "sends_key", "sends_key_to_group", "sends_code", "sends_much", "misspells", "misnames", "fills", "overfills",
         "denies_late"]

channel_routing = [
    route("websocket.connect", consumers.accept, path=r"^/hall/$"),
    route("websocket.connect", consumers.deny, path=r"^/denied/$"),
    route("websocket.connect", consumers.deny_in_words, path=r"^/denied-in-words/$"),
    route("websocket.connect", consumers.broken_connect, path=r"^/broken/$"),
    route("orders", consumers.ignore),
    *[route("websocket.receive", getattr(consumers, name), text="^%s$" % name) for name in named],
    route("http.request", consumers.answers_nothing_known, path="^/answers-nothing-known/$"),
    route("http.request", consumers.answers_without_status, path="^/answers-without-status/$"),
    route("http.request", consumers.raises_in_http, path="^/raises-in-http/$"),
    # Looser than the routes for connect: it lets nobody in.
    route("websocket.receive", consumers.echo),
]
""",
}
