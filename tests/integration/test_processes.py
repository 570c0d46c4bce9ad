"""Servers and workers as processes, killed and told to end: what a client notices, and what is logged."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from channel_layers.local import LocalChannelLayer
from tests.channel_layers.local.users import is_alive
from tests.channel_layers.redis.server import until
from tests.integration.embedded import (
    BROKEN,
    CONSUMERS,
    NEW,
    Serve,
    Workers,
    layer_of,
    make_embedded,
    serving,
    working,
)
from tests.runserver import STARTING, receive


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose code says that it is old."""
    return make_embedded(tmp_path)


@pytest.fixture
def layer(project: Path) -> Iterator[LocalChannelLayer]:
    """The layer of the project, in a process that only sends."""
    layer = layer_of(project)
    yield layer
    layer.close()


def ask(client: ClientConnection, text: str) -> str:
    """Return the answer to ``text``."""
    client.send(text)
    answer = receive(client)
    assert isinstance(answer, str)
    return answer


def closed(client: ClientConnection) -> int:
    """Return the code that the socket is closed with."""
    with pytest.raises(ConnectionClosed) as error:
        receive(client)
    assert error.value.rcvd is not None
    return error.value.rcvd.code


# -- workers -----------------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_reported_and_replaced(project: Path, layer: LocalChannelLayer) -> None:
    """At once: what it held is counted, and what comes next finds another. The line names it."""
    with working(project, count=2) as workers:
        layer.send("hold", {})
        pid = int(workers.wait_for(r"^holding in (\d+)$")[1])
        since = len(workers.lines)
        os.kill(pid, signal.SIGKILL)
        died = workers.wait_for(rf"(worker \d) \(process {pid}\) was ended by SIGKILL; another is started now$", since)
        workers.wait_for(r"1 messages were taken and never finished", since)
        workers.wait_for(rf"^{died[1]}: Channels: ", since, STARTING)
        until(lambda: len(layer.processes()) == 2)
        assert pid not in {process.pid for process in layer.processes()}
        layer.send("work", {"number": 7})
        workers.wait_for(r"^work 7 by \d+$", since)


def test_no_message_waits_behind_one_that_holds(project: Path, layer: LocalChannelLayer) -> None:
    """What a worker has taken besides goes back while it is held up, and the other one, which is idle, does it."""
    with working(project, count=2) as workers:
        for first in range(0, 200, 40):  # consumers that were quick are trusted with many messages at once
            handled(workers, layer, range(first, first + 40))
        burst = [layer.message("either", {"number": number}) for number in range(200, 264)]
        burst.insert(3, layer.message("either", {"holds": True}))
        assert layer.write(burst) == []
        workers.wait_for("^holding in ")
        wait_for_numbers(workers, range(200, 264))
        assert not workers.matching("^held$")
        (project / "gate").open("w").close()
        workers.wait_for("^held$")


def test_no_message_waits_for_a_loop_that_is_held_up(project: Path, layer: LocalChannelLayer) -> None:
    """By an ``async def`` consumer that should not: the other process does what this one has taken for its loop."""
    with working(project, count=2) as workers:
        layer.send("block", {})
        workers.wait_for(r"^blocking \d+$")
        assert layer.write([layer.message("number", {"number": number}) for number in range(80)]) == []
        wait_for_numbers(workers, range(80))
        (project / "gate").open("w").close()


@pytest.mark.parametrize("how", ["shut", "shut_on_loop"])
def test_a_consumer_that_closes_the_layer_harms_nobody(project: Path, layer: LocalChannelLayer, how: str) -> None:
    """Its connections are those of all slots, which wait or write just then: nothing is lost or handled twice."""
    with working(project, "--threads=3") as workers:
        for number in range(20):
            layer.send(how, {"number": number})
            layer.send("either", {"number": number})
            layer.send("number", {"number": 100 + number})
            for line in (f"shut {number}", f"number {number}", f"number {100 + number}"):
                workers.wait_for(f"^{line}$")
        for word in ("shut", "number"):
            lines = workers.matching(f"^{word} ")
            assert len(lines) == len(set(lines))
        assert not workers.matching("WARNING|ERROR|Traceback| not | lost")


def handled(workers: Workers, layer: LocalChannelLayer, numbers: range) -> None:
    """Let ``numbers`` be handled, all sent at once."""
    assert layer.write([layer.message("either", {"number": number}) for number in numbers]) == []
    wait_for_numbers(workers, numbers)


def wait_for_numbers(workers: Workers, numbers: range) -> None:
    """Wait until each of ``numbers`` has been handled."""
    for number in numbers:
        workers.wait_for(rf"^number {number}$")


def test_supervised_workers_finish_what_they_have_taken(project: Path, layer: LocalChannelLayer) -> None:
    """Each of them; then the supervisor ends with status 0, and nobody is left on the layer."""
    file = project / "workers.pid"
    with working(project, f"--pidfile={file}", count=2) as workers:
        assert workers.matching(rf", supervisor {file.read_text().strip()}, 2 processes\.$")
        layer.send("hold", {})
        layer.send("hold", {})
        until(lambda: len(workers.matching("^holding in ")) == 2)
        with (project / "gate").open("w"):
            workers.send(signal.SIGTERM)
            for number in (1, 2):
                workers.wait_for(rf"^worker {number}: Stopping: ")
            assert not workers.matching("^held$|Stopped")
        assert workers.wait() == 0
        assert len(workers.matching("^held$")) == 2
        assert workers.lines[-1] == "Stopped."
        assert layer.processes() == []
        assert not file.exists()


def test_a_second_signal_ends_all_at_once(project: Path, layer: LocalChannelLayer) -> None:
    """With an error, because a consumer was cut off."""
    with working(project, count=2) as workers:
        layer.send("hold", {})
        workers.wait_for(r"^holding in ")
        workers.send(signal.SIGTERM)
        for number in (1, 2):
            workers.wait_for(rf"^worker {number}: Stopping: ")
        workers.send(signal.SIGINT)
        assert workers.wait() == 1
        assert workers.matching(r"^CommandError: not every worker has ended in order")


def test_the_time_limit_is_each_workers(project: Path, layer: LocalChannelLayer) -> None:
    """The lines say which consumer was cut off, by the name of its process."""
    with working(project, "--stop-timeout=0.1", count=2) as workers:
        layer.send("hold", {})
        workers.wait_for(r"^holding in ")
        workers.send(signal.SIGTERM)
        assert workers.wait() == 1
        assert len(workers.matching(r"^worker \d: Consumers still run after 0\.1 s \(--stop-timeout\)")) == 1


def test_workers_end_with_a_supervisor_that_is_killed(project: Path, layer: LocalChannelLayer) -> None:
    """They finish, as if they had been told to."""
    with working(project, count=2) as workers:
        pids = workers.pids().values()
        workers.send(signal.SIGKILL)
        until(lambda: not any(map(is_alive, pids)))
        until(lambda: layer.processes() == [])


def test_a_process_is_replaced_after_so_many_messages(project: Path, layer: LocalChannelLayer) -> None:
    """Its successor is ready first, so that no message waits; none is lost and none is handled twice."""
    with working(project, "--max-messages=20") as workers:
        sent = 0
        while len({line.split()[-1] for line in workers.matching("^work ")}) < 2:
            layer.send("work", {"number": sent})
            workers.wait_for(rf"^work {sent} by ")
            sent += 1
        workers.wait_for(r"is replaced: it has handled 2\d messages \(--max-messages")
        assert [int(line.split()[1]) for line in workers.matching("^work ")] == list(range(sent))


def test_a_process_that_is_full_is_replaced(project: Path, layer: LocalChannelLayer) -> None:
    """The line has what it had in memory."""
    with working(project, "--max-rss=100") as workers:
        layer.send("eat", {})
        pid = workers.wait_for(r"^full is (\d+)$")[1]
        layer.send("work", {"number": 1})
        since = len(workers.lines)
        while workers.search(rf"^worker \(process {pid}\) is replaced: it has \d+ MiB in memory", 0, 0.5) is None:
            layer.send("work", {"number": 2})  # it looks once a second, behind a consumer
        workers.wait_for("^worker: Channels: ", since, STARTING)
        until(lambda: not is_alive(int(pid)))


def test_a_process_that_fills_up_in_a_consumer_is_replaced(project: Path, layer: LocalChannelLayer) -> None:
    """Its successor is there while it still runs, and what runs may finish."""
    with working(project, "--max-rss=100") as workers:
        layer.send("swell", {"mib": 100})
        pid = workers.wait_for(r"^full is (\d+)$")[1]
        workers.wait_for(rf"^worker \(process {pid}\) is replaced: it has \d+ MiB in memory \(--max-rss, and a tenth ")
        workers.wait_for("^worker: Stopping: ", timeout=STARTING)
        layer.send("work", {"number": 1})
        assert workers.wait_for(r"^work 1 by (\d+)$")[1] != pid
        assert not workers.matching("^held$")
        (project / "gate").open("w").close()
        workers.wait_for("^held$")
        until(lambda: not is_alive(int(pid)))


def test_a_process_that_is_far_too_full_is_killed(project: Path, layer: LocalChannelLayer) -> None:
    """In the middle of its consumer, whose message is counted; another takes its place."""
    with working(project, "--max-rss=100") as workers:
        layer.send("swell", {"mib": 250})
        pid = workers.wait_for(r"worker \(process (\d+)\) is killed: it has \d+ MiB in memory, more than 2 times")[1]
        workers.wait_for(r"1 messages were taken and never finished")
        # Where the watch has seen it on its way, another was begun already, because it had more than its limit.
        workers.wait_for(rf"^worker: Channel layer .*, process (?!{pid},)\d+, 1 slot", timeout=STARTING)
        until(lambda: not is_alive(int(pid)))
        layer.send("work", {"number": 1})
        workers.wait_for("^work 1 by ")


def test_code_that_changes_restarts_the_workers(project: Path, layer: LocalChannelLayer) -> None:
    """With --reload; code that does not start leaves them as they are, until it is mended."""
    with working(project, "--reload", count=2) as workers:
        change(workers, project, BROKEN)
        workers.wait_for(r"the new worker 1 does not start; what runs goes on as it is$", timeout=STARTING)
        assert workers.matching("^SyntaxError: ")
        layer.send("work", {"number": 1})
        workers.wait_for("^work 1 by ")
        since = change(workers, project, NEW.replace('say(f"work', 'say(f"new work'))
        workers.wait_for("all 2 workers replaced$", since, STARTING)
        layer.send("work", {"number": 2})
        workers.wait_for("^new work 2 by ", since)


def change(workers: Workers, project: Path, text: str) -> int:
    """Change the consumers, wait until a worker has noticed, and return how many lines there were before."""
    since = len(workers.lines)
    path = project / CONSUMERS
    path.write_text(text)
    while workers.search(r"consumers\.py changed, restarting the workers\.$", since, timeout=1.5) is None:
        path.touch()  # what changes before the first look is no change
    return since


UNABLE = """
import os
import sys

from channels.routing import route

if "--parent-fd" in " ".join(sys.argv):
    os._exit(7)
channel_routing = []
"""


def test_workers_that_cannot_start_end_the_command(project: Path) -> None:
    """With the status of the first that has failed, and status 1."""
    (project / "mysite" / "routing.py").write_text(UNABLE)
    workers = Workers(project, "--processes=2")
    assert workers.wait() == 1
    assert workers.matching(r"worker \d \(process \d+\) ended with status 7 before it was ready: nothing is started$")
    fault = r"^CommandError: worker \d does not start: worker \d .* ended with status 7 before it was ready$"
    assert re.search(fault, workers.lines[-1])


# -- server and workers ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serve, Path]]:
    """A server with two workers, for tests that leave them running."""
    project = make_embedded(tmp_path_factory.mktemp("shared"))
    with serving(project, "--threads=2", count=2) as serve:
        yield serve, project


def test_new_code_arrives_in_a_socket_that_stays(shared: tuple[Serve, Path]) -> None:
    """SIGHUP replaces all workers; a stream over one socket has no gap, no repetition and no other order."""
    serve, project = shared
    with serve.connect("/") as client:
        assert ask(client, "0") == "old 0"
        (project / CONSUMERS).write_text(NEW)
        serve.send(signal.SIGHUP)
        answers: list[str] = []
        while not serve.matching("all 2 workers replaced$"):
            answers.append(ask(client, str(len(answers))))
        answers += [ask(client, str(len(answers) + n)) for n in range(20)]
    assert [answer.split()[1] for answer in answers] == [str(n) for n in range(len(answers))]
    assert {answer.split()[0] for answer in answers[-20:]} == {"new"}


def test_a_request_whose_worker_is_killed_is_answered(shared: tuple[Serve, Path]) -> None:
    """With 500; the worker is replaced, and the next request is answered as ever."""
    serve, _ = shared
    since = len(serve.lines)
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(serve.get, "/hold/")
        pid = int(serve.wait_for(r"^holding in (\d+)$")[1])
        os.kill(pid, signal.SIGKILL)
        assert answer.result()[0] == 500
    serve.wait_for(rf"\(process {pid}\) was ended by SIGKILL; another is started now$")
    serve.wait_for(r"^worker \d: Channels: ", since)
    assert serve.get("/hello/") == (200, "Hello")


@pytest.mark.parametrize(
    ("path", "said", "told"),
    [
        ("/stick/", "stuck in", r"stick was over its hard_limit of 0\.2 s on http\.request /stick/"),
        ("/thread/", "stuck in thread of", r"is replaced: .* and holds up the thread of sync_to_async$"),
        ("/exit/", "leaving", "ended with status 3; another is started"),
    ],
)
def test_a_consumer_that_misbehaves_is_contained(shared: tuple[Serve, Path], path: str, said: str, told: str) -> None:
    """One that never returns, or ends its process: its client gets 500, others are served, the worker is replaced."""
    serve, _ = shared
    since = len(serve.lines)
    assert serve.get(path)[0] == 500
    pid = int(serve.wait_for(rf"^{said} (\d+)$", since)[1])
    serve.wait_for(told, since)
    serve.wait_for(r"^worker( \d)?: Channels: ", since, STARTING)
    until(lambda: not is_alive(pid))
    assert serve.get("/hello/") == (200, "Hello")


def test_a_coroutine_that_holds_up_the_loop_is_contained(project: Path) -> None:
    """Its client gets 500, and its process is replaced; what else was on the loop ends with that, and is answered."""
    with serving(project, "--stop-timeout=1") as serve, ThreadPoolExecutor() as threads:
        resting = threads.submit(serve.get, "/rest/")
        pid = int(serve.wait_for(r"^resting in (\d+)$")[1])
        assert serve.get("/block/")[0] == 500
        serve.wait_for(rf"^blocking {pid}$")
        serve.wait_for(
            r"block was over its hard_limit of 0\.5 s on http\.request /block/ .*; it could not be cancelled:$"
        )
        serve.wait_for(rf"\(process {pid}\) is replaced: .* and could not be cancelled$")
        assert resting.result()[0] == 500
        until(lambda: not is_alive(pid))
        assert serve.get("/hello/") == (200, "Hello")


def test_a_consumer_that_takes_all_memory_is_contained(project: Path) -> None:
    """With --max-memory it gets an error of its own; a process that keeps what it took is replaced."""
    with serving(project, "--max-memory=300") as serve:
        assert serve.get("/devour/")[0] == 500
        pid = int(serve.wait_for(r"^hungry is (\d+)$")[1])
        serve.wait_for(r"devour raised on http\.request /devour/$")
        serve.wait_for("^MemoryError$")
        since = len(serve.lines)
        assert serve.get("/hello/") == (200, "Hello")
        assert serve.get("/devour/")[0] == 500
        assert int(serve.wait_for(r"^hungry is (\d+)$", since)[1]) == pid
        assert not serve.matching("is replaced")
        assert serve.get("/devour/keep")[0] == 500
        serve.wait_for(rf"\(process {pid}\) is replaced: it keeps \d+ of the 300 MiB that it may have", since, STARTING)
        until(lambda: not is_alive(pid))
        assert serve.get("/hello/") == (200, "Hello")


def test_a_killed_server_is_started_again(shared: tuple[Serve, Path]) -> None:
    """At the same port, and is reported to the layer; the workers go on."""
    serve, project = shared
    layer = layer_of(project)
    workers, since = serve.pids(), len(serve.lines)
    pid = serve.server_pid()
    os.kill(pid, signal.SIGKILL)
    serve.wait_for(rf"server \(process {pid}\) was ended by SIGKILL; another is started now$")
    assert serve.server_pid(since) != pid
    until(lambda: pid not in {process.pid for process in layer.processes()})
    with serve.connect("/") as client:
        assert ask(client, "again").endswith(" again")
    assert serve.pids() == workers
    layer.close()


def test_the_tree_ends_in_order(project: Path) -> None:
    """The server first, with its sockets; the workers hear of their ends, finish, and follow."""
    with serving(project, count=2) as serve, serve.connect("/one/") as one, serve.connect("/two/") as two:
        assert [ask(client, "hello") for client in (one, two)] == ["old hello"] * 2
        serve.send(signal.SIGTERM)
        assert [closed(client) for client in (one, two)] == [1012, 1012]
        assert serve.wait() == 0
    lines = [line for line in serve.lines if line.startswith("goodbye") or "Stopping: " in line]
    assert sorted(lines[:2]) == ["goodbye /one/", "goodbye /two/"]
    assert sorted(lines[2:]) == [
        f"worker {n}: Stopping: what was taken is finished, nothing more is taken." for n in (1, 2)
    ]
    assert serve.lines[-1] == "Stopped."


def test_control_c_means_the_same_to_the_tree(project: Path) -> None:
    """It comes to all processes of the terminal, and each ends when its turn is."""
    with serving(project) as serve, serve.connect("/") as client:
        assert ask(client, "hello") == "old hello"
        serve.interrupt()
        assert closed(client) == 1012
        assert serve.wait() == 0
    assert serve.matching("^goodbye /$")
    assert not serve.matching("Traceback|KeyboardInterrupt")


def test_the_tree_ends_with_a_supervisor_that_is_killed(project: Path) -> None:
    """The server too, which leaves the port to the next."""
    with serving(project) as serve:
        pids = [serve.server_pid(), *serve.pids().values()]
        with serve.connect("/") as client:
            assert ask(client, "hello") == "old hello"
            serve.send(signal.SIGKILL)
            assert closed(client) == 1012
        until(lambda: not any(map(is_alive, pids)))


@pytest.mark.parametrize(
    ("option", "status", "fault"),
    [
        ("--proceses=2", 2, r"unrecognized arguments: --proceses=2$"),
        ("--max-headers=-1", 1, r"max_headers must not be negative, not -1$"),
    ],
)
def test_a_server_that_cannot_start_ends_the_tree(project: Path, option: str, status: int, fault: str) -> None:
    """Its own sentence says why, and is the last thing that is said."""
    serve = Serve(project, option)
    assert serve.wait() == 1
    assert serve.matching(rf"^daphne: (error: )?{fault}")
    assert serve.matching(rf"server \(process \d+\) ended with status {status} before it was ready: nothing is st")
    assert re.search(rf"^CommandError: server does not start: {fault}", serve.lines[-1])


def test_a_port_in_use_is_the_last_thing_that_is_said(project: Path) -> None:
    """With what to do; the workers have ended before."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serve = Serve(project, f"--port={port}")
        assert serve.wait() == 1
    assert serve.lines[-1] == (
        f"CommandError: server does not start: cannot listen on http://127.0.0.1:{port}: Address already in use; "
        "stop what listens there, or choose another port"
    )


def test_an_inherited_socket_is_passed_on(project: Path) -> None:
    """As a supervisor of the system hands it over: nobody is refused while the tree starts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.set_inheritable(True)
        serve = Serve(project, f"--fd={listener.fileno()}", descriptors=[listener.fileno()])
        serve.port = port
        try:
            assert serve.get("/hello/") == (200, "Hello")
        finally:
            assert serve.stop() == 0
