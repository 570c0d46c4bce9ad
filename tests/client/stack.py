"""Redis, an interface server and a worker as processes of their own, and the site that they serve."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import ClassVar

from tests.channel_layers.redis.server import RedisServer
from tests.runserver import MANAGE, STARTING, RunServer, free_port, write_files

MODULE_PAGE = """<!doctype html><title>Module</title><script type="module">
import { ReconnectingWebSocket } from "/static/channels/js/client.js";

const TYPES = ["open", "close", "reconnecting", "drop"];

window.connect = (path, options) => {
  const events = [], received = [];
  const socket = new ReconnectingWebSocket(path, [], options);
  const note = ({ type, code, attempt, delay, final, reconnected }) =>
    events.push({ type, code, attempt, delay, final, reconnected });
  TYPES.forEach((type) => socket.addEventListener(type, note));
  socket.addEventListener("message", ({ data }) => received.push(data));
  Object.assign(window, { socket, events, received });
};
</script>"""
SCRIPT_PAGE = """<!doctype html><title>Script</title><script src="/static/channels/js/websocketbridge.js"></script>
<script>
const bridge = new channels.WebSocketBridge(), actions = [];
bridge.connect("/streams/");
bridge.listen((action, stream) => actions.push([action, stream]));
bridge.demultiplex("double", (action, stream) => actions.push(["demultiplexed", action, stream]));
bridge.send({ hello: "world" });
bridge.stream("double").send([1, 2]);
bridge.stream("nobody").send(3);
bridge.stream("double").send("last");
</script>"""
PROJECT = {
    "manage.py": MANAGE,
    "mysite/__init__.py": "",
    "mysite/asgi.py": """
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

from channels.asgi import get_channel_layer

channel_layer = get_channel_layer()
""",
    "mysite/settings.py": """
import os

SECRET_KEY = "for tests only"
DEBUG = True
ROOT_URLCONF = "mysite.urls"
STATIC_URL = "static/"
INSTALLED_APPS = ["channels", "django.contrib.staticfiles"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.redis.RedisChannelLayer",
        "CONFIG": {"hosts": os.environ["REDIS"]},
        "ROUTING": "mysite.routing.channel_routing",
    },
}
""",
    "mysite/urls.py": f'''
from django.http import HttpResponse
from django.urls import path

urlpatterns = [
    path("module/", lambda request: HttpResponse("""{MODULE_PAGE}""")),
    path("script/", lambda request: HttpResponse("""{SCRIPT_PAGE}""")),
]
''',
    "mysite/routing.py": """
import json
import os
from pathlib import Path

from channels import Group, route
from channels.exceptions import DenyConnection


def ws_connect(message):
    if Path("closed").exists():
        raise DenyConnection("the door is closed")
    if message["path"] == "/members/":
        message.reply_channel.send({"accept": True})
        return message.reply_channel.send({"close": 4401, "reason": "log in first"})
    Group("everybody").add(message.reply_channel)


def echo(message):
    if "bytes" in message:
        return message.reply_channel.send({"bytes": message["bytes"][::-1]})
    text = message["text"]
    if text.startswith("close "):
        return message.reply_channel.send({"close": int(text[6:]), "reason": "as you wish"})
    if text.startswith("all "):
        return Group("everybody").send({"text": text[4:]})
    message.reply_channel.send({"text": json.dumps({"text": text, "worker": os.getpid()})})


def streams(message):
    frame = json.loads(message["text"])
    if frame.get("stream") == "double":
        frame["payload"] *= 2
    message.reply_channel.send({"text": json.dumps(frame)})


channel_routing = [
    route("websocket.connect", ws_connect),
    route("websocket.receive", echo, path="^/echo/$"),
    route("websocket.receive", streams, path="^/streams/$"),
]
""",
}


class Process(RunServer):
    """One that can be sent a signal."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self._process.pid, number)

    def end(self, number: signal.Signals) -> None:
        """End it by a signal, and wait until it has."""
        self.send(number)
        self.wait()


class Daphne(Process):
    """An interface server."""

    command: ClassVar = ("-m", "daphne")


class Worker(Process):
    """A worker."""

    command: ClassVar = ("manage.py", "runworker")


class Stack:
    """Whatever of it is ended can be started again, on the same port and the same path."""

    server: Daphne | None = None
    worker: Worker | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = write_files(folder, PROJECT)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.redis = RedisServer(folder)
        self.redis.start()
        self._environment = {"REDIS": self.redis.url}

    def start_server(self) -> Daphne:
        """Start the interface server and wait until it listens."""
        options = ("-p", str(self.port), "mysite.asgi:channel_layer")
        self.server = Daphne(self.folder, *options, environment=self._environment)
        self.server.wait_for("listens on", timeout=STARTING)
        return self.server

    def start_worker(self) -> Worker:
        """Start the worker and wait until it takes messages."""
        self.worker = Worker(self.folder, environment=self._environment)
        self.worker.wait_for("^Channels: ", timeout=STARTING)
        return self.worker

    def end_server(self, number: signal.Signals) -> None:
        """End the interface server by a signal."""
        assert self.server is not None
        self.server.end(number)
        self.server = None

    def end_worker(self, number: signal.Signals) -> None:
        """End the worker by a signal."""
        assert self.worker is not None
        self.worker.end(number)
        self.worker = None

    def stop(self) -> None:
        """End all that still runs."""
        for process in (self.server, self.worker):
            if process is not None:
                process.stop()
        self.redis.kill()
