"""A path on the command line leads to a channel layer, or the sentence says where it ends and what to write."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_layers.memory import MemoryChannelLayer
from daphne.layer_path import LayerPathError, load_layer

PROJECT = {
    "mysite/__init__.py": "",
    "mysite/asgi.py": """
from types import SimpleNamespace

from channel_layers.memory import MemoryChannelLayer


class Crossing(MemoryChannelLayer):
    crosses_processes = True


class Application:
    async def __call__(self, scope, receive, send): ...


async def application(scope, receive, send): ...


class Broken:
    @property
    def layer(self):
        return self.no_such_thing


channel_layer = Crossing()
wrapped = SimpleNamespace(channel_layer=channel_layer)
layers = SimpleNamespace(default=channel_layer)
local = MemoryChannelLayer()
instance, number, broken = Application(), 1, Broken()
""",
    "mysite/raises.py": "\nraise RuntimeError('out of paper')\n",
    "mysite/imports.py": "import mysite.setings\n",
    "mysite/spelt.py": "from mysite.asgi import chanel_layer\n",
    "mysite/mistyped.py": "channel_layer = = 1\n",
    "mysite/lazy.py": "def __getattr__(name):\n    raise AttributeError('by hand')\n",
    "mysite/routing.py": "raise RuntimeError('the routing was imported')\n",
    "mysite/settings.py": """
SECRET_KEY = "for tests only"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "channels"]
ROOT_URLCONF = "mysite.urls"
ALLOWED_HOSTS = ["example.org"]
CHANNELS = {"MAX_BODY_SIZE": 1000}
CHANNEL_LAYERS = {"default": {"BACKEND": "mysite.asgi.Crossing", "ROUTING": "mysite.routing.channel_routing"}}
""",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with modules, first on the path; they are forgotten at the end."""
    directory = tmp_path_factory.mktemp("layers")
    (directory / "mysite").mkdir()
    for name, text in PROJECT.items():
        (directory / name).write_text(text)
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(directory))
        yield directory
    for name in set(sys.modules) - known:
        if name.partition(".")[0] == "mysite":
            del sys.modules[name]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", ["channel_layer", "wrapped", "layers.default", "wrapped.channel_layer"])
def test_paths_that_lead_to_a_layer(name: str) -> None:
    """An attribute, an attribute of it, or the layer with its routing that an alias leads to."""
    layer = load_layer(f"mysite.asgi:{name}")
    assert isinstance(layer, MemoryChannelLayer)
    assert layer is sys.modules["mysite.asgi"].channel_layer


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "mysite.asgi",
            "a channel layer is named as module:object, such as channels.asgi:channel_layer, not 'mysite.asgi'",
        ),
        (":x", "a channel layer is named as module:object"),
        ("mysite.asgi:", "a channel layer is named as module:object"),
        ("mysite.agsi:channel_layer", "there is no module 'mysite.agsi'. Did you mean 'mysite.asgi'?"),
        ("mysit.asgi:channel_layer", "there is no module 'mysit'. Did you mean 'mysite'?"),
        ("mysite.asgi.x:channel_layer", "there is no module 'mysite.asgi.x'. Name"),
        ("nowhere_near:channel_layer", "there is no module 'nowhere_near'. Name"),
        ("mysite.asgi:chanel_layer", "mysite.asgi has no 'chanel_layer'. Did you mean 'channel_layer'?"),
        ("mysite.asgi:layers.defualt", "SimpleNamespace has no 'defualt'. Did you mean 'default'?"),
        ("mysite.lazy:channel_layer", "mysite.lazy has no 'channel_layer'."),
        ("mysite.asgi:application", "is an ASGI application (builtins.function); a channel layer is needed."),
        ("mysite.asgi:instance", "is an ASGI application (mysite.asgi.Application); a channel layer is needed."),
        ("mysite.asgi:number", "is of type builtins.int; a channel layer is needed."),
        ("mysite.asgi:Crossing", "is of type abc.ABCMeta; a channel layer is needed."),
        ("mysite.asgi:local", "reaches this process only, and no worker runs here: use manage.py runserver"),
    ],
)
def test_paths_that_lead_elsewhere(path: str, expected: str) -> None:
    """The sentence tells what is there, what is near, and what to write."""
    with pytest.raises(LayerPathError, match=re.escape(expected)):
        load_layer(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("mysite.raises:x", "RuntimeError: out of paper (raises.py, line 2)"),
        ("mysite.imports:x", "ModuleNotFoundError: No module named 'mysite.setings' (imports.py, line 1){}"),
        ("mysite.mistyped:x", "SyntaxError: invalid syntax (mistyped.py, line 1)"),
        (
            "mysite.asgi:broken.layer",
            "AttributeError: 'Broken' object has no attribute 'no_such_thing' (asgi.py, line 21)",
        ),
    ],
)
def test_faults_of_the_project(project: Path, path: str, expected: str) -> None:
    """What its code raises is told in one sentence, with file and line; the error itself is the cause."""
    with pytest.raises(LayerPathError) as caught:
        load_layer(path)
    hint = " Did you mean 'mysite.settings'?"
    assert str(caught.value).replace(f"{project}/mysite/", "") == f"{path}: {expected.format(hint)}"
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("", "DJANGO_SETTINGS_MODULE is not set, so there are no settings: set it to the project's settings, such as"),
        (
            "mysite.setings",
            "DJANGO_SETTINGS_MODULE is 'mysite.setings', and there is no module 'mysite.setings': set it",
        ),
        ("site.settings", "DJANGO_SETTINGS_MODULE is 'site.settings', and there is no module 'site.settings': set it"),
        ("mysite.imports", "ModuleNotFoundError: No module named 'mysite.setings'"),
    ],
)
def test_settings_that_nothing_names(project: Path, variable: str, sentence: str) -> None:
    """One sentence with what to do, and the status of every other fault of what the command names."""
    (project / "mysite" / "nameless.py").write_text(
        "from channels.asgi import get_channel_layer\nchannel_layer = get_channel_layer()\n"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": variable, "PYTHONPATH": str(project)}
    for path in ("mysite.nameless:channel_layer", "channels.asgi:channel_layer"):
        command = [sys.executable, "-m", "daphne", path]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(f"daphne: {path}: ")
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_settings_without_asgi_module(project: Path) -> None:
    """``channels.asgi:channel_layer`` reads the settings; no app, model, routing or view is imported for it."""
    program = """
import sys
from daphne.layer_path import load_layer
layer = load_layer("channels.asgi:channel_layer")
from django.apps import apps
print(type(layer).__name__, layer.server_options["max_body_size"], layer.server_options["allowed_hosts"])
unwanted = ("django.db.models", "django.contrib.", "mysite.")
print(apps.apps_ready, [name for name in sys.modules if name.startswith(unwanted)])
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Crossing 1000 ('example.org',)",
        "False ['mysite.settings', 'mysite.asgi']",
    ]
