"""The JavaScript client in a real browser, also while the processes behind its socket end and start again."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.chromium import launched
from tests.client.stack import Stack

PATIENCE = 30_000  # milliseconds: more than a wait of the client's, while a server starts on a busy machine

NewPage = Callable[[str], Page]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The processes, for all tests of the module."""
    stack = Stack(tmp_path_factory.mktemp("client"))
    try:
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def stack(running: Stack) -> Stack:
    """The same, with what an earlier test ended."""
    if running.server is None:
        running.start_server()
    if running.worker is None:
        running.start_worker()
    (running.folder / "closed").unlink(missing_ok=True)
    return running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; closed with the module, as Playwright's event loop runs until then."""
    with launched() as chromium:
        yield chromium


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[NewPage]:
    """Open a page of the site; no script on it may fail."""
    errors: list[str] = []
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)

    def open_page(path: str) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(error.message))
        page.goto(stack.url + path)
        return page

    yield open_page
    context.close()
    assert errors == []


@pytest.fixture
def page(open_page: NewPage) -> Page:
    """A page with a socket that is open."""
    page = open_page("/module/")
    connect(page)
    return page


def connect(page: Page, path: str = "/echo/", wait_for: str = "open", **options: Any) -> None:
    """Make the page's socket, and wait until it is in a state."""
    page.evaluate("([path, options]) => connect(path, options)", [path, options])
    wait_until(page, f"socket.state === '{wait_for}'")


def wait_until(page: Page, condition: str) -> None:
    """Wait until a condition holds in the page."""
    page.wait_for_function(f"() => {condition}")


def send(page: Page, text: str) -> bool:
    """Send a text; return what the client says to that."""
    return bool(page.evaluate("text => socket.send(text)", text))


def events(page: Page, kind: str) -> list[dict[str, Any]]:
    """Return the events of one type that the socket has had."""
    found: list[dict[str, Any]] = page.evaluate("kind => events.filter(({ type }) => type === kind)", kind)
    return found


def echoed(page: Page, count: int) -> list[dict[str, Any]]:
    """Return the answers of the echo, once there are so many."""
    wait_until(page, f"received.length >= {count}")
    return [json.loads(text) for text in page.evaluate("received")]


# -- restarts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_worker_restart_is_not_noticed(stack: Stack, page: Page, number: signal.Signals) -> None:
    """The socket stays open; what is sent while there is no worker is answered by the next one, in order."""
    send(page, "before")
    [before] = echoed(page, 1)
    stack.end_worker(number)
    assert [send(page, text) for text in ("one", "two")] == [True, True]
    assert page.evaluate("[socket.state, socket.queued]") == ["open", 0]
    stack.start_worker()
    answers = echoed(page, 3)
    assert [answer["text"] for answer in answers] == ["before", "one", "two"]
    assert answers[1]["worker"] == answers[2]["worker"] != before["worker"]
    assert [event["type"] for event in page.evaluate("events")] == ["open"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 1012), (signal.SIGKILL, 1006)])
def test_server_restart_is_survived(stack: Stack, page: Page, number: signal.Signals, code: int) -> None:
    """The page is told why its socket went, comes back by itself, and what it sent meanwhile arrives in order."""
    stack.end_server(number)
    wait_until(page, "socket.state !== 'open'")
    texts = [str(number) for number in range(10)]
    assert [send(page, text) for text in texts] == [True] * 10
    wait_until(page, "events.filter(({ type }) => type === 'reconnecting').length > 1")
    stack.start_server()
    assert [answer["text"] for answer in echoed(page, 10)] == texts
    assert [event["reconnected"] for event in events(page, "open")] == [False, True]
    closes = events(page, "close")
    assert [close["code"] for close in closes] == [code] + [1006] * (len(closes) - 1)
    assert [event["attempt"] for event in events(page, "reconnecting")] == list(range(1, len(closes) + 1))
    assert events(page, "drop") == []


def test_redis_crash_is_survived(stack: Stack, page: Page) -> None:
    """The socket stays open while the layer is away, and works with all it has, its groups too, once it is back."""
    server, worker = stack.server, stack.worker
    assert server is not None
    assert worker is not None
    begin = len(server.lines), len(worker.lines)
    stack.redis.kill()
    send(page, "meanwhile")
    stack.redis.start()
    for process, since in zip((server, worker), begin, strict=True):
        process.wait_for("is back after", since)
    repeat(page, "all again")  # nothing tells when the groups are known again
    assert [event["type"] for event in page.evaluate("events")] == ["open"]


def repeat(page: Page, text: str) -> None:
    """Have a text sent to all, again and again, until it arrives here."""
    deadline = time.monotonic() + PATIENCE / 1000
    while text.removeprefix("all ") not in page.evaluate("received"):
        assert time.monotonic() < deadline
        known = page.evaluate("received.length")
        send(page, text)
        send(page, "done")
        wait_until(page, f"received.length > {known}")


# -- codes and refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 4401])
def test_codes_of_the_application_are_final(stack: Stack, page: Page, code: int) -> None:
    """No attempt follows; what is sent then is refused; the page may begin again."""
    send(page, f"close {code}")
    wait_until(page, "socket.state === 'closed'")
    [close] = events(page, "close")
    assert (close["code"], close["final"]) == (code, True)
    assert events(page, "reconnecting") == []
    assert send(page, "too late") is False
    assert [event["type"] for event in events(page, "drop")] == ["drop"]
    page.evaluate("socket.open()")
    wait_until(page, "socket.state === 'open'")


def test_socket_that_is_accepted_to_be_closed(open_page: NewPage) -> None:
    """A page is told why it may not stay, which a refused handshake cannot do, and stays away."""
    page = open_page("/module/")
    connect(page, "/members/", wait_for="closed")
    assert [(event["type"], event["code"]) for event in page.evaluate("events")] == [("open", None), ("close", 4401)]


def test_server_may_ask_for_time(page: Page) -> None:
    """After 1013 the socket comes back, and not before the time it was given."""
    connect(page, busyDelay=300, firstDelay=1)
    send(page, "close 1013")
    wait_until(page, "events.some(({ reconnected }) => reconnected)")
    [(code, delay)] = [(event["code"], event["delay"]) for event in events(page, "reconnecting")]
    assert code == 1013
    assert 300 <= delay <= 600


def test_refused_handshake_backs_off(stack: Stack, open_page: NewPage) -> None:
    """A browser tells only that it failed: attempts go on, in ranges that grow, until the door is opened."""
    page = open_page("/module/")
    (stack.folder / "closed").touch()
    connect(page, wait_for="waiting", firstDelay=20)
    send(page, "let me in")
    wait_until(page, "events.filter(({ type }) => type === 'reconnecting').length >= 4")
    (stack.folder / "closed").unlink()
    assert [answer["text"] for answer in echoed(page, 1)] == ["let me in"]
    waits = events(page, "reconnecting")
    assert {event["code"] for event in waits} == {1006}
    assert all(wait["delay"] <= 20 * 2**failures for failures, wait in enumerate(waits))
    assert [event["reconnected"] for event in events(page, "open")] == [False]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_network_that_returns_ends_a_long_wait(stack: Stack, page: Page) -> None:
    """An hour's wait is over when the browser says that it is online again."""
    page.evaluate("Math.random = () => 1")
    connect(page, firstDelay=3_600_000, maxDelay=3_600_000)
    stack.end_server(signal.SIGKILL)
    wait_until(page, "socket.state === 'waiting'")
    stack.start_server()
    page.evaluate("Math.random = () => 0")
    page.context.set_offline(True)
    page.context.set_offline(False)
    wait_until(page, "events.some(({ reconnected }) => reconnected)")
    assert [(event["attempt"], event["delay"]) for event in events(page, "reconnecting")] == [(1, 3_600_000), (1, 0)]


def test_page_closes_its_socket(stack: Stack, page: Page) -> None:
    """The server has the page's code and reason, and what was sent before."""
    assert stack.server is not None
    since = len(stack.server.lines)
    page.evaluate("socket.send('last words'), socket.close(4000, 'enough')")
    wait_until(page, "socket.state === 'closed'")
    [close] = events(page, "close")
    assert (close["code"], close["final"]) == (4000, True)
    stack.server.wait_for("WS CLOSE /echo/ 4000 by client after .* in 1 ", since)


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_bytes_go_both_ways(page: Page) -> None:
    """Typed arrays, buffers and blobs leave; buffers arrive."""
    page.evaluate(
        "[new Uint8Array([1, 2, 3]), new ArrayBuffer(2), new Blob(['ab'])].forEach((data) => socket.send(data))"
    )
    wait_until(page, "received.length === 3")
    expression = "received.map((data) => data instanceof ArrayBuffer && [...new Uint8Array(data)])"
    assert page.evaluate(expression) == [[3, 2, 1], [0, 0], [98, 97]]


def test_streams_are_apart(page: Page) -> None:
    """A payload comes back on the stream that it was sent on."""
    connect(page, "/streams/")
    page.evaluate("""() => {
        window.payloads = [];
        for (const name of ["double", "plain"]) {
            socket.stream(name).addEventListener("message", ({ data }) => payloads.push([name, data]));
            socket.stream(name).send([1]);
        }
    }""")
    wait_until(page, "payloads.length === 2")
    assert page.evaluate("payloads") == [["double", [1, 1]], ["plain", [1]]]


def test_program_for_channels_1_runs(open_page: NewPage) -> None:
    """A classic script with the bridge of Channels 1: handlers of streams, and of what has none."""
    page = open_page("/script/")
    wait_until(page, "actions.length === 3")
    assert page.evaluate("actions") == [
        [{"hello": "world"}, None],
        ["demultiplexed", [1, 2, 1, 2], "double"],
        ["demultiplexed", "lastlast", "double"],
    ]
