"""One connected socket, against real servers and against some that are none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from channel_layers.redis.address import Address
from channel_layers.redis.hosts import read_hosts
from channel_layers.redis.link import Link
from channel_layers.redis.protocol import ReplyError, pack
from tests.channel_layers.redis.server import RedisServer, TlsServer

PATIENCE = 10.0


def link_to(server: RedisServer, options: str = "") -> Link:
    """Return a link to ``server``."""
    return Link(read_hosts(server.url + options), "test", PATIENCE)


@pytest.fixture
def impostor() -> Iterator[Callable[[bytes], Address]]:
    """Servers that read what they are sent and answer with some bytes."""
    sockets: list[socket.socket] = []

    def serve(answer: bytes) -> Address:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)
        threading.Thread(target=answer_once, args=(listening, answer), daemon=True).start()
        return Address("127.0.0.1", listening.getsockname()[1])

    yield serve
    for sock in sockets:
        sock.close()


def answer_once(listening: socket.socket, answer: bytes) -> None:
    """Answer one client, and stay until it leaves."""
    client, _ = listening.accept()
    with client:
        client.recv(1 << 20)
        client.sendall(answer)
        if answer:
            while client.recv(1 << 20):
                pass


def test_a_link_knows_its_run_and_its_id(server: RedisServer) -> None:
    """What it is told by the server tells one run, and one connection, from another."""
    one, other = link_to(server), link_to(server)
    assert len(one.run) == 40
    assert one.run == other.run
    assert 0 < one.client_id < other.client_id
    one.close()
    other.close()


def test_replies_come_in_the_order_of_the_commands(server: RedisServer) -> None:
    """Many commands leave at once; an error stands where its reply would be."""
    link = link_to(server)
    *_, echoed, error, pong = link.request([pack("ECHO", "x" * 200_000), pack("NONSENSE"), pack("PING")], PATIENCE)
    assert (len(echoed), type(error), pong) == (200_000, ReplyError, b"PONG")
    link.close()


def test_databases_are_apart(server: RedisServer) -> None:
    """?db= chooses one."""
    zero, one = link_to(server), link_to(server, "?db=1")
    one.request([pack("SET", "test_link", "1")], PATIENCE)
    assert zero.request([pack("EXISTS", "test_link")], PATIENCE) == [0]
    assert one.request([pack("EXISTS", "test_link")], PATIENCE) == [1]
    zero.close()
    one.close()


def test_passwords(own_server: RedisServer) -> None:
    """A password and an account are given first; without them the server refuses."""
    own_server.ask("CONFIG", "SET", "requirepass", "secret")
    for url in (f"unix://:secret@{own_server.path}", f"unix://default:secret@{own_server.path}"):
        Link(read_hosts(url), "test", PATIENCE).close()
    with pytest.raises(ReplyError, match="NOAUTH"):
        link_to(own_server)
    with pytest.raises(ReplyError, match="WRONGPASS"):
        Link(read_hosts(f"unix://:wrong@{own_server.path}"), "test", PATIENCE)


def test_an_account_that_may_not_ask_about_the_server(own_server: RedisServer) -> None:
    """Without INFO and CLIENT a link works; it only cannot tell runs apart, and is not told of a flush."""
    own_server.ask("ACL", "SETUSER", "me", "on", ">secret", "~*", "+@all", "-info", "-client")
    link = Link(read_hosts(f"unix://me:secret@{own_server.path}"), "test", PATIENCE, tracks=True)
    assert (link.run, link.client_id) == ("", 0)
    own_server.ask("FLUSHALL")
    assert link.request([pack("PING")], PATIENCE) == [b"PONG"]
    assert not link.was_flushed()
    link.close()


def test_a_link_can_be_told_of_a_flush(own_server: RedisServer) -> None:
    """Once for each, and of nothing else that is done to keys."""
    link = Link(read_hosts(own_server.url), "test", PATIENCE, tracks=True)
    assert link.request([pack("SET", "a", 1), pack("GET", "a")], PATIENCE) == [b"OK", b"1"]
    own_server.ask("DEL", "a")
    assert link.request([pack("PING")], PATIENCE) == [b"PONG"]
    assert not link.was_flushed()
    own_server.ask("FLUSHALL")
    assert link.request([pack("PING")], PATIENCE) == [b"PONG"]
    assert (link.was_flushed(), link.was_flushed()) == (True, False)
    link.close()


def test_a_link_notices_that_it_was_closed(own_server: RedisServer) -> None:
    """Before anything is sent in vain."""
    link = link_to(own_server)
    assert not link.has_ended()
    own_server.kill()
    assert link.has_ended()
    with pytest.raises(OSError, match=r"closed|Broken pipe|reset"):
        link.request([pack("PING")], PATIENCE)
    link.close()
    assert link.has_ended()


def test_no_answer_is_not_waited_for_without_end(server: RedisServer) -> None:
    """A server that says nothing in time is an error that tells the time."""
    link = link_to(server)
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        link.request([pack("BLPOP", "test_link_nothing", 0)], 0.1)
    link.close()


@pytest.mark.parametrize(
    ("answer", "sentence"), [(b"", "closed the connection|reset"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no Redis")]
)
def test_what_is_no_redis(impostor: Callable[[bytes], Address], answer: bytes, sentence: str) -> None:
    """A server of another kind, or one that hangs up, is an error."""
    with pytest.raises(ConnectionError, match=sentence):
        Link(impostor(answer), "test", PATIENCE)


def test_tls(tls_server: TlsServer) -> None:
    """A link over TLS decrypts what it has not been asked for yet, and notices its end."""
    link = Link(read_hosts(tls_server.url), "test", PATIENCE)
    assert len(link.request([pack("ECHO", "x" * 100_000)], PATIENCE)[0]) == 100_000
    assert not link.has_ended()
    tls_server.kill()
    assert link.has_ended()
    link.close()
