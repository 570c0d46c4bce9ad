from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from channels.staticfiles import StaticFilesConsumer, StaticFilesHandler
from tests.stand_ins import ReplyChannel, message


@pytest.fixture(autouse=True)
def _static_files(tmp_path: Path) -> Any:
    """Serve a folder with two files."""
    (tmp_path / "app.css").write_text("body {}")
    (tmp_path / "100%25.txt").write_text("odd name")
    with override_settings(STATICFILES_DIRS=[tmp_path]):
        yield


def get(path: str) -> dict[str, Any]:
    """Return status, and content in one, of the response to a GET."""
    content = {"method": "GET", "path": path, "headers": [(b"host", b"testserver")]}
    replies = list(StaticFilesHandler()(message("http.request", content)))
    return {"status": replies[0]["status"], "content": b"".join(reply["content"] for reply in replies)}


@pytest.mark.parametrize("debug", [False, True])
def test_file_below_static_url_is_served(debug: bool) -> None:
    """With and without DEBUG."""
    with override_settings(DEBUG=debug):
        assert get("/static/app.css") == {"status": 200, "content": b"body {}"}


def test_path_is_not_decoded_twice() -> None:
    """The server has decoded it; a percent sign is one."""
    assert get("/static/100%25.txt") == {"status": 200, "content": b"odd name"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/static/../settings.py", 400),
        ("/static/../../../../../etc/passwd", 400),
        ("/static//etc/passwd", 404),
        ("/static/missing.css", 404),
        ("/static/", 404),
    ],
)
def test_only_static_files_are_served(path: str, status: int) -> None:
    """Nothing outside the folders is found, and no folder is listed."""
    assert get(path)["status"] == status


def test_missing_file_is_explained_in_debug() -> None:
    """DEBUG shows Django's page with the name."""
    with override_settings(DEBUG=True):
        assert b"missing.css" in get("/static/missing.css")["content"]


def test_missing_file_is_left_to_the_views() -> None:
    """Without DEBUG a view may answer below STATIC_URL."""
    with override_settings(STATIC_URL="/hello/"):
        assert get("/hello/") == {"status": 200, "content": b"Hello"}


def test_other_paths_are_left_to_the_views() -> None:
    """Django's views see everything else."""
    assert get("/hello/") == {"status": 200, "content": b"Hello"}


def test_static_url_with_a_host_is_not_served_here() -> None:
    """Another host serves those files."""
    with override_settings(STATIC_URL="https://cdn.example.com/static/"):
        assert get("/static/app.css")["status"] == 404


def test_static_url_is_needed() -> None:
    """Without it there is nothing to serve below."""
    with override_settings(STATIC_URL=None), pytest.raises(ImproperlyConfigured):
        StaticFilesHandler()


def test_consumer_uses_the_handler() -> None:
    """The consumer answers with the file, on the reply channel."""
    channel = ReplyChannel()
    content = {"method": "GET", "path": "/static/app.css", "headers": [(b"host", b"testserver")]}
    StaticFilesConsumer()(message("http.request", content, channel))
    assert channel.sent[0][0]["content"] == b"body {}"
    assert StaticFilesHandler.handles_files
