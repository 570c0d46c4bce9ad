"""A small project whose settings each test completes: an echo, a view, a static file."""

from __future__ import annotations

from pathlib import Path

from tests.runserver import write_project

SETTINGS = """
from pathlib import Path

SECRET_KEY = "for tests only"
DEBUG = True
ROOT_URLCONF = "mysite.urls"
INSTALLED_APPS = ["django.contrib.staticfiles", "channels"]
STATIC_URL = "/static/"
STATICFILES_DIRS = [Path(__file__).parent / "assets"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.memory.MemoryChannelLayer",
        "ROUTING": "mysite.routing.channel_routing",
    },
}
"""

FILES = {
    "mysite/consumers.py": """
def echo(message):
    message.reply_channel.send({"text": message["text"]})
""",
    "mysite/routing.py": """
from channels.routing import route


def never_answer(message):
    pass


channel_routing = [
    route("websocket.receive", "mysite.consumers.echo"),
    route("http.request", never_answer, path="^/never/$"),
]
""",
    "mysite/urls.py": """
import time

from channels import Group
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.urls import path


def send(request):
    try:
        Group("hall").send({"text": "from a view"})
    except ImproperlyConfigured as error:
        return HttpResponse(str(error))
    return HttpResponse("Sent")


def slow(request):
    print("slow begins")
    time.sleep(0.5)
    return HttpResponse("Late")


urlpatterns = [
    path("hello/", lambda request: HttpResponse("Hello")),
    path("send/", send),
    path("slow/", slow),
]
""",
    "mysite/wsgi.py": """
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
""",
    "mysite/assets/style.css": "body { color: teal }",
}


def make_project(directory: Path, settings: str = "", **files: str) -> Path:
    """Write the project with ``settings`` behind its own, and modules of ``mysite`` replaced; return ``directory``."""
    modules = {f"mysite/{name}.py": text for name, text in files.items()}
    return write_project(directory, {**FILES, **modules, "mysite/settings.py": SETTINGS + settings})
