"""What the command line names is listened on, or refused in one sentence."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daphne.endpoints import (
    Endpoint,
    EndpointError,
    Inherited,
    Listener,
    Tcp,
    Unix,
    address_of,
    choose,
    listen_on,
    parse_descriptor,
    parse_endpoint,
    parse_port,
    passed_on,
)
from daphne.tls import Certificate

HAS_IPV6 = socket.has_ipv6 and Path("/proc/net/if_inet6").exists()


@contextmanager
def listening(*endpoints: Tcp | Unix | Inherited) -> Iterator[list[socket.socket]]:
    """Listen, and close what was opened."""
    sockets = [listener.sock for listener in listen_on(endpoints)]
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def greets(family: socket.AddressFamily, address: object) -> bool:
    """Whether somebody listens at ``address``."""
    with socket.socket(family) as client:
        return client.connect_ex(address) == 0  # type: ignore[arg-type]  # any address of the family


# -- which -------------------------------------------------------------------------------------------------------------


def test_without_options_it_is_loopback() -> None:
    """Nothing named: 127.0.0.1:8000."""
    assert choose([], [], []) == [Tcp("127.0.0.1", 8000)]


def test_host_and_port_complete_each_other() -> None:
    """A host alone is at port 8000, a port alone at 127.0.0.1."""
    assert choose(["example.org"], [], []) == [Tcp("example.org", 8000)]
    assert choose([], [80], []) == [Tcp("127.0.0.1", 80)]


def test_every_host_is_at_every_port() -> None:
    """Several of both are combined."""
    assert choose(["a", "b"], [1, 2], []) == [Tcp("a", 1), Tcp("a", 2), Tcp("b", 1), Tcp("b", 2)]


def test_others_alone_open_no_tcp() -> None:
    """A Unix socket or a descriptor takes the place of the default, and stands beside what was named."""
    assert choose([], [], [Unix("/x"), Inherited(3)]) == [Unix("/x"), Inherited(3)]
    assert choose([], [80], [Unix("/x")]) == [Tcp("127.0.0.1", 80), Unix("/x")]


def test_the_certificate_is_for_ports_and_inherited_sockets() -> None:
    """Endpoint strings bring their own, and Unix sockets have none."""
    mine, own = Certificate("mine.pem"), Certificate("own.pem")
    others: list[Endpoint] = [Inherited(3), Unix("/x"), Tcp("", 1, own), Tcp("", 2)]
    expected = [Tcp("a", 5, mine), Inherited(3, mine), Unix("/x"), Tcp("", 1, own), Tcp("", 2)]
    assert choose(["a"], [5], others, mine) == expected
    assert choose([], [], [Inherited(3)], mine) == [Inherited(3, mine)]


def test_sockets_that_systemd_passes_on() -> None:
    """They are for the process that is named alone; nobody this process starts sees the variables."""
    mine = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "HOME": "/"}
    assert passed_on(mine) == [Inherited(3), Inherited(4)]
    assert mine == {"HOME": "/"}
    for environment in ({"LISTEN_PID": "1", "LISTEN_FDS": "2"}, {"LISTEN_PID": str(os.getpid())}, {}):
        assert passed_on(environment) == []
        assert environment == {}


# -- how they are written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("tcp:8001", Tcp("", 8001)),
        ("tcp:port=8001:interface=127.0.0.1", Tcp("127.0.0.1", 8001)),
        (r"tcp:8001:interface=\:\:1", Tcp("::1", 8001)),
        ("unix:/run/site.sock", Unix("/run/site.sock")),
        (r"unix:address=/run/a\:b.sock", Unix("/run/a:b.sock")),
        ("fd:fileno=3", Inherited(3)),
        ("fd:4", Inherited(4)),
        ("ssl:443:privateKey=k.pem:certKey=c.pem", Tcp("", 443, Certificate("c.pem", "k.pem"))),
        (
            "ssl:443:privateKey=both.pem:interface=::1".replace("::", r"\:\:"),
            Tcp("::1", 443, Certificate("both.pem", "both.pem")),
        ),
    ],
)
def test_endpoint_strings(text: str, endpoint: object) -> None:
    """Those of 1.x are understood."""
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssl:443", "ssl:PORT:privateKey=FILE:certKey=FILE:interface=HOST"),
        ("ssl:443:privateKey=k.pem:sslmethod=x", "an endpoint is tcp:PORT"),
        ("8000", "unix:PATH or fd:fileno=NUMBER, not '8000'"),
        ("tcp:8000:backlog=5", "an endpoint is tcp:PORT"),
        ("tcp:", "a port is a number from 0 to 65535, not ''"),
        ("unix:/a:mode=600", "an endpoint is tcp:PORT"),
        ("unix:", "a Unix socket needs a path; the one given is empty"),
        ("fd:x", "a descriptor is a number such as 3, not 'x'"),
        ("fd:3:4=5", "an endpoint is tcp:PORT"),
    ],
)
def test_endpoint_strings_that_are_refused(text: str, expected: str) -> None:
    """The sentence says what is understood."""
    with pytest.raises(EndpointError, match=re.escape(expected)):
        parse_endpoint(text)


@pytest.mark.parametrize("text", ["", "-1", "65536", "8000x", "٣"])
def test_ports_that_are_refused(text: str) -> None:
    """A port is ASCII digits, at most 65535."""
    with pytest.raises(EndpointError, match=f"^a port is a number from 0 to 65535, not {text!r}$"):
        parse_port(text)


def test_numbers_are_read() -> None:
    """The ends of the range are in it."""
    assert (parse_port("0"), parse_port("65535"), parse_descriptor("3")) == (0, 65535, Inherited(3))


# -- TCP ---------------------------------------------------------------------------------------------------------------


def test_tcp() -> None:
    """A socket listens when it is returned, and says where."""
    with listening(Tcp("127.0.0.1", 0)) as [sock]:
        name = sock.getsockname()
        assert address_of(Listener(sock)) == f"http://127.0.0.1:{name[1]}"
        assert greets(socket.AF_INET, name)


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6(host: str) -> None:
    """With brackets or without."""
    with listening(Tcp(host, 0)) as [sock]:
        assert address_of(Listener(sock)) == f"http://[::1]:{sock.getsockname()[1]}"
        assert greets(socket.AF_INET6, sock.getsockname())


def test_empty_host_means_all_addresses() -> None:
    """As in 1.x."""
    with listening(Tcp("", 0)) as sockets:
        assert "0.0.0.0" in [sock.getsockname()[0] for sock in sockets]


def test_name_has_all_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address given twice is listened on once; one that this machine lacks is left out."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.1", "127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
    with listening(Tcp("several", 0)) as sockets:
        assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1"]


def test_address_of_another_machine() -> None:
    """Where no address is left, the sentence says why."""
    with pytest.raises(
        EndpointError, match=r"^cannot listen on http://192\.0\.2\.1:0: Cannot assign requested address$"
    ):
        listen_on([Tcp("192.0.2.1", 0)])


def test_name_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the resolver says is passed on, and so is what makes no name at all."""
    with pytest.raises(EndpointError, match=r"^cannot listen on http://\.example:80: .+$"):
        listen_on([Tcp(".example", 80)])

    def resolve(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown name")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(EndpointError, match=r"^cannot listen on http://example:80: unknown name$"):
        listen_on([Tcp("example", 80)])


def test_ipv6_in_a_refusal_has_brackets_once() -> None:
    """However it was written."""
    assert (str(Tcp("::1", 80)), str(Tcp("[::1]", 80))) == ("http://[::1]:80",) * 2


def test_port_in_use() -> None:
    """The sentence names the endpoint and the reason, and nothing stays open."""
    with listening(Tcp("127.0.0.1", 0)) as [sock]:
        port = sock.getsockname()[1]
        sentence = f"^cannot listen on http://127.0.0.1:{port}: Address already in use; stop what .* another port$"
        with pytest.raises(EndpointError, match=sentence):
            listen_on([Tcp("127.0.0.1", 0), Tcp("127.0.0.1", port)])


# -- Unix sockets ------------------------------------------------------------------------------------------------------


def test_unix_socket(tmp_path: Path) -> None:
    """Other users may connect: a proxy mostly is one."""
    path = tmp_path / "socket"
    with listening(Unix(str(path))) as [sock]:
        assert address_of(Listener(sock)) == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert greets(socket.AF_UNIX, str(path))


def test_abandoned_unix_socket_is_replaced(tmp_path: Path) -> None:
    """A server that was killed leaves its file behind."""
    path = tmp_path / "socket"
    with listening(Unix(str(path))):
        pass
    assert path.is_socket()
    with listening(Unix(str(path))):
        assert greets(socket.AF_UNIX, str(path))


def test_unix_socket_in_use_stays(tmp_path: Path) -> None:
    """Another server is not robbed of its socket."""
    path = tmp_path / "socket"
    with listening(Unix(str(path))):
        with pytest.raises(EndpointError, match=f"^cannot listen on unix:{path}: Address already in use$"):
            listen_on([Unix(str(path))])
        assert greets(socket.AF_UNIX, str(path))


def test_file_in_the_way_stays(tmp_path: Path) -> None:
    """What is no socket is not removed."""
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(EndpointError, match=r"Address already in use$"):
        listen_on([Unix(str(path))])
    assert path.read_text() == "precious"


def test_path_that_is_too_long(tmp_path: Path) -> None:
    """An error without a number is told in its own words."""
    with pytest.raises(EndpointError, match=r"AF_UNIX path too long$"):
        listen_on([Unix(str(tmp_path / ("x" * 200)))])


def test_a_unix_socket_speaks_no_tls() -> None:
    """Also one that was inherited, whatever certificate there is."""
    with socket.socket(socket.AF_UNIX) as parent:
        parent.bind("")  # an abstract name, which the system chooses
        [found] = listen_on([Inherited(os.dup(parent.fileno()), Certificate("x.pem"))])
        with found.sock:
            assert found.certificate is None


def test_address_with_tls() -> None:
    """The scheme tells it."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert address_of(Listener(sock, Certificate("x.pem"))) == f"https://127.0.0.1:{sock.getsockname()[1]}"
    assert str(Tcp("a", 1, Certificate("x.pem"))) == "https://a:1"


# -- inherited descriptors ---------------------------------------------------------------------------------------------


def test_inherited_descriptor() -> None:
    """A socket that the parent has bound is taken over, of whatever family."""
    with socket.create_server(("127.0.0.1", 0)) as parent, listening(Inherited(os.dup(parent.fileno()))) as [sock]:
        assert address_of(Listener(sock)) == f"http://127.0.0.1:{parent.getsockname()[1]}"
        assert greets(socket.AF_INET, sock.getsockname())


def test_descriptor_that_is_none() -> None:
    """It may be closed, or no socket, or one that nobody can connect to; it then stays as it was."""
    read, write = os.pipe()
    os.close(write)
    with pytest.raises(EndpointError, match=f"^cannot listen on descriptor {write}: {os.strerror(errno.EBADF)}$"):
        listen_on([Inherited(write)])
    with pytest.raises(EndpointError, match=f"^cannot listen on descriptor {read}: {os.strerror(errno.ENOTSOCK)}$"):
        listen_on([Inherited(read)])
    os.close(read)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(EndpointError, match=os.strerror(errno.EOPNOTSUPP)):
            listen_on([Inherited(sock.fileno())])
        assert sock.getsockname() == ("0.0.0.0", 0)
