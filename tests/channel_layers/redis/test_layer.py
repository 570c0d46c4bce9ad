"""The layer as a whole: processes, connections, what it says while nothing happens."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from channel_layers.exceptions import LayerUnavailable
from channel_layers.redis import RedisChannelLayer
from channel_layers.redis.protocol import pack
from channel_layers.registry import Announcement
from tests.channel_layers.redis.server import RedisServer, auntil, until

PATIENCE = 10.0
NewLayer = Callable[..., RedisChannelLayer]


def connections_of(server: RedisServer, layer: RedisChannelLayer) -> int:
    """Return how many connections a process has open."""
    return server.connections().count(f"channels-{layer.process}")


def in_child(work: Callable[[], None]) -> int:
    """Return the exit code of a forked process that does ``work``."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# -- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_a_timeout_is_positive(new_layer: NewLayer, timeout: float) -> None:
    """A layer that could not wait for any answer is refused."""
    with pytest.raises(ValueError, match="timeout is a positive number of seconds"):
        new_layer(timeout=timeout)


def test_nothing_is_connected_before_it_is_used(new_layer: NewLayer) -> None:
    """Settings can name a server that is not there yet."""
    layer = new_layer(hosts="unix:///nowhere/redis.sock", timeout=0.05)
    with pytest.raises(LayerUnavailable, match=r"unix:///nowhere/redis\.sock"):
        layer.send("a", {})


def test_layers_with_other_prefixes_share_nothing(new_layer: NewLayer, prefix: str) -> None:
    """A flush, too, keeps to its prefix, whatever a pattern would make of it."""
    one, other = new_layer(prefix=f"{prefix}[a]*"), new_layer(prefix=f"{prefix}ab")
    one.send("a", {"n": 1})
    other.send("a", {"n": 2})
    one.flush()
    assert (one.depth("a"), other.depth("a")) == (0, 1)


def test_over_tcp(own_server: RedisServer, new_layer: NewLayer) -> None:
    """1.x's pair of host and port leads to the same server."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    own_server.ask("CONFIG", "SET", "port", port)
    layer = new_layer(hosts=[("127.0.0.1", port)])
    layer.send("a", {"n": 1})
    assert asyncio.run(layer.areceive(["a"])) == ("a", {"n": 1})


# -- processes and connections -------------------------------------------------------------------------------------


def test_a_forked_process_has_connections_of_its_own(server: RedisServer, layer: RedisChannelLayer) -> None:
    """The parent's connection, name and inboxes are not the child's, and both go on sending."""
    inbox = layer.inbox("test.reply")
    layer.send("a", {"n": 0})
    parent = layer.process

    def work() -> None:
        assert layer.process != parent
        for n in range(1, 101):
            layer.send("a" if n % 2 else "b", {"n": n})
        assert layer.new_channel("test.reply!").partition("!")[0] + "!" != inbox.name
        assert connections_of(server, layer) == 1

    assert in_child(work) == 0
    layer.send("a", {"n": 101})
    assert (layer.depth("a"), layer.depth("b")) == (52, 50)
    assert layer.process == parent
    assert connections_of(server, layer) == 1


def test_a_process_can_fork_while_others_send(layer: RedisChannelLayer) -> None:
    """No lock that a thread held at that moment is held in the child."""
    stopped = threading.Event()

    def send() -> None:
        while not stopped.is_set():
            layer.send_many([("a", {}), ("b", {})])
            layer.flush()

    with ThreadPoolExecutor(2) as pool:
        sending = [pool.submit(send) for _ in range(2)]
        codes = [in_child(lambda: layer.send("c", {})) for _ in range(10)]
        stopped.set()
        for future in sending:
            future.result(PATIENCE)
    assert codes == [0] * 10


def test_a_fork_in_a_loop_leaves_the_loop_alone(layer: RedisChannelLayer) -> None:
    """The child's end of a loop's connections is closed without a word to the loop, which is the parent's."""

    async def main() -> None:
        await layer.asend("a", {"n": 1})
        assert in_child(lambda: layer.send("a", {"n": 2})) == 0
        await layer.asend("a", {"n": 3})
        assert await layer.areceive(["a"]) == ("a", {"n": 1})

    asyncio.run(main())
    assert layer.depth("a") == 2


def test_threads_share_one_connection(server: RedisServer, layer: RedisChannelLayer) -> None:
    """However many threads send, and however many groups they name."""

    def send(n: int) -> None:
        layer.send(f"c{n}", {})
        layer.group_add(f"g{n}", f"c{n}")
        layer.send_group(f"g{n}", {})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(64)))
    assert connections_of(server, layer) == 1


def test_slots_and_calls_use_connections_again(server: RedisServer, layer: RedisChannelLayer) -> None:
    """Receive takes a slot for every call, and all calls get by with one connection beside the writing one."""
    for n in range(20):
        layer.send("a", {"n": n})
        assert layer.receive(["a"], block=True) == ("a", {"n": n})
    assert connections_of(server, layer) == 2


def test_loops_that_ended_leave_no_connections(server: RedisServer, layer: RedisChannelLayer) -> None:
    """Each asyncio.run has its own; those before it are closed, though nobody said that their loops would end."""
    for _ in range(10):
        asyncio.run(layer.asend("a", {}))
    assert connections_of(server, layer) <= 2
    layer.close()
    until(lambda: connections_of(server, layer) == 0)


def test_a_layer_can_be_closed_and_used_again(server: RedisServer, layer: RedisChannelLayer) -> None:
    """In a loop, beside a loop that runs elsewhere, and without one."""

    async def main() -> None:
        await layer.asend("a", {})
        await asyncio.to_thread(layer.close)
        await asyncio.sleep(0)
        await layer.asend("a", {})
        await layer.aclose()
        await asyncio.sleep(0)
        until(lambda: connections_of(server, layer) == 0)

    asyncio.run(main())
    assert layer.depth("a") == 2


# -- silence -------------------------------------------------------------------------------------------------------


def test_an_idle_system_says_nothing(
    server: RedisServer, layer: RedisChannelLayer, new_layer: NewLayer, prefix: str
) -> None:
    """While slots and inboxes wait, only heartbeats are on the wire."""
    holder = new_layer()
    inbox = holder.inbox("test.reply")
    holder.group_add("g", inbox.new_channel())
    assert inbox.receive(0) == []
    heartbeat = Announcement("w1", ("a", "b"))
    layer.announce(heartbeat)

    async def main() -> bytes:
        reading = asyncio.create_task(inbox.areceive())
        await asyncio.sleep(0)
        with ThreadPoolExecutor(2) as pool, layer.open_slot() as slot:
            taking = pool.submit(slot.take, {"a": 1, "b": 1}, 1, None)
            try:
                await auntil(lambda: server.blocked() >= 2)
                said = await asyncio.to_thread(heard, server, lambda: layer.announce(heartbeat))
            finally:
                slot.interrupt()
            assert await asyncio.to_thread(taking.result, PATIENCE) == []
        reading.cancel()
        return said

    lines = [line for line in asyncio.run(main()).splitlines() if b"lua]" not in line]
    assert [line.split(b'"')[1] for line in lines if prefix.encode() in line] == [b"EVALSHA", b"EVALSHA"]
    assert len(lines) == 3


def heard(server: RedisServer, disturb: Callable[[], None]) -> bytes:
    """Return what the server is told during one quiet second and then by ``disturb``."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(server.path))
        sock.settimeout(1.0)
        sock.sendall(b"MONITOR\r\n")
        received = sock.recv(1 << 16)
        with pytest.raises(TimeoutError):
            sock.recv(1 << 16)
        disturb()
        while b"EVALSHA" not in received or received.count(b"EVALSHA") < 2:
            received += sock.recv(1 << 16)
        return received


# -- what is left behind -------------------------------------------------------------------------------------------


def test_queues_with_one_reader_are_deleted_in_the_end(layer: RedisChannelLayer) -> None:
    """A queue whose reader never came takes no room for ever; one with a name of its own waits for its workers."""
    channel = layer.new_channel("test.body?")
    layer.send(channel, {})
    layer.send("a", {})
    commands = [
        pack("TTL", key) for key in (layer.keys.queue(channel), layer.keys.bell(channel), layer.keys.queue("a"))
    ]
    queue, bell, other = layer.say(commands)
    assert 600 < queue <= 660
    assert 600 < bell <= 660
    assert other == -1


def test_a_closed_inbox_leaves_nothing_behind(server: RedisServer, layer: RedisChannelLayer, prefix: str) -> None:
    """Its stream, its marks and its registrations are deleted."""
    inbox = layer.inbox("test.reply")
    channel = inbox.new_channel()
    layer.group_add("g", channel)
    layer.group_add("h", channel)
    assert inbox.receive(0) == []
    layer.group_discard("h", channel)
    assert inbox.receive(0) == []
    layer.send(channel, {"bytes": bytes(100_000)})
    assert len(inbox.receive(0)) == 1
    inbox.close()
    assert prefix.encode() not in server.ask("KEYS", f"{prefix}*")


def test_an_inbox_can_be_closed_without_a_server(own_server: RedisServer, new_layer: NewLayer) -> None:
    """A process that ends while the layer is away ends."""
    layer = new_layer(hosts=own_server.url, timeout=0.1)
    inbox = layer.inbox("test.reply")
    own_server.kill()
    inbox.close()
    assert layer.local_inboxes == {}
