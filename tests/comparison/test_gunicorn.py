"""One site under gunicorn and under a server with a worker: whoever asks cannot tell which of them answers."""

from __future__ import annotations

import gzip
import http.client
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest

from tests.comparison.site import make_site
from tests.comparison.visits import CHUNKED_VISITS, VISITS
from tests.integration.embedded import serving
from tests.runserver import PATIENCE, STARTING, RunServer, free_port

OF_THE_SERVER = {"server", "date", "connection", "transfer-encoding"}
"""The servers' own names, their clocks, and what concerns this connection alone (RFC 9110 section 7.6.1)."""
RANDOM = re.compile(r"(sessionid|csrftoken)=\w+|expires=[^;]+")


class Answer(NamedTuple):
    """An answer without what differs by its nature; ``is_whole`` unless it was cut off."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    is_whole: bool


class Gunicorn(RunServer):
    """gunicorn with a WSGI application."""

    command: ClassVar = ("-m", "gunicorn", "--threads=2", "--capture-output")

    def interrupt(self) -> None:
        """End it as a supervisor does: it tells its workers itself."""
        self.send(signal.SIGTERM)


@contextmanager
def under_gunicorn(project: Path, application: str) -> Iterator[int]:
    """Run an application of the site under gunicorn, and yield its port."""
    port = free_port()
    settings = {"DJANGO_SETTINGS_MODULE": "mysite.settings"}
    server = Gunicorn(project, f"--bind=127.0.0.1:{port}", f"mysite.{application}", environment=settings)
    try:
        server.wait_for("Booting worker", timeout=STARTING)
        yield port
    finally:
        server.stop()


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Where gunicorn and ours serve the same files; in the end no file that was uploaded is left."""
    project = make_site(tmp_path_factory.mktemp("compared"))
    with ExitStack() as running:
        ours = running.enter_context(serving(project)).port
        theirs = running.enter_context(under_gunicorn(project, "wsgi"))
        adapted = running.enter_context(under_gunicorn(project, "adapted"))
        yield {"gunicorn": theirs, "daphne": ours, "adapter": adapted}
    assert list((project / "mysite/uploads").iterdir()) == []


def visit(port: int, requests: list[bytes]) -> list[Answer]:
    """Ask one request after another, each with the cookies that the answers before have set."""
    cookies: dict[str, str] = {}
    answers = []
    for request in requests:
        if cookies:
            line = "Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items())
            request = request.replace(b"\r\n", b"\r\n" + line.encode() + b"\r\n", 1)  # noqa: PLW2901 - the same one
        answer, given = ask(port, request)
        cookies |= given
        answers.append(answer)
    return answers


def ask(port: int, request: bytes) -> tuple[Answer, dict[str, str]]:
    """Send the bytes of a request; return the answer and the cookies it sets."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(request)
        with http.client.HTTPResponse(client, method=request.split(b" ", 1)[0].decode()) as response:
            response.begin()
            try:
                body, is_whole = response.read(), True
            except http.client.IncompleteRead as error:
                body, is_whole = error.partial, False
            headers = [(name.lower(), value) for name, value in response.getheaders()]
    set_cookies = [value.partition(";")[0].partition("=") for name, value in headers if name == "set-cookie"]
    return answer_of(response.status, headers, body, is_whole), {name: value for name, _, value in set_cookies if value}


def answer_of(status: int, headers: list[tuple[str, str]], body: bytes, is_whole: bool) -> Answer:
    """Return an answer without what is random in it."""
    fields = [
        (name, "a moment" if name == "expires" else RANDOM.sub(r"\1", value))
        for name, value in headers
        if name not in OF_THE_SERVER
    ]
    if ("content-encoding", "gzip") in fields:  # Django hides the length by a random name in the file
        body = gzip.decompress(body) if body else b""
        fields = [field for field in fields if field[0] != "content-length"]
    return Answer(status, sorted(fields, key=lambda field: field[0]), body, is_whole)


def framed_alike(answer: Answer, other: Answer) -> Answer:
    """Return an answer without a length that the other one has not: where chunks tell it, the body is what counts."""
    if any(name == "content-length" for name, _ in other.headers):
        return answer
    length = ("content-length", str(len(answer.body)))
    return answer._replace(headers=[field for field in answer.headers if field != length])


@pytest.mark.parametrize("way", ["daphne", "adapter"])
@pytest.mark.parametrize("name", VISITS)
def test_an_answer_is_that_of_gunicorn(ports: dict[str, int], name: str, way: str) -> None:
    """Status, headers and body are equal; also where gunicorn hands the request on to a worker of ours."""
    theirs, ours = visit(ports["gunicorn"], VISITS[name]), visit(ports[way], VISITS[name])
    assert list(map(framed_alike, ours, theirs)) == theirs


@pytest.mark.parametrize("way", ["daphne", "adapter"])
@pytest.mark.parametrize("name", CHUNKED_VISITS)
def test_a_body_in_chunks_is_as_good_as_one_with_a_length(ports: dict[str, int], name: str, way: str) -> None:
    """A view gets it, where Django under gunicorn gets nothing: ours are compared with gunicorn's to the same bytes."""
    in_chunks, with_length = CHUNKED_VISITS[name]
    expected = visit(ports["gunicorn"], [with_length])
    assert [visit(ports[way], [in_chunks]), visit(ports[way], [with_length])] == [expected, expected]


def test_the_list_is_long_enough() -> None:
    """It has uploads, cookies, redirects, streams, errors, HEAD, ranges and codings, a hundred in all."""
    assert len(VISITS) == 100
