"""Where an interface server listens: what the command line names becomes listening sockets."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from daphne.tls import Certificate

HOST: Final = "127.0.0.1"
PORT: Final = 8000
MODE: Final = 0o666
"""Of a Unix socket: a proxy in front mostly runs as another user. Close its directory to keep others out."""
_FIELDS: Final = {
    "tcp": frozenset(("", "port", "interface")),
    "ssl": frozenset(("", "port", "interface", "privateKey", "certKey")),
    "unix": frozenset(("", "address")),
    "fd": frozenset(("", "fileno")),
}
"""What an endpoint string of each kind may have; the first value may go without its name."""
_ABSENT: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""One address of a name does not exist on this machine: mostly ``::1`` of ``localhost``, in a container."""


_FIRST_DESCRIPTOR: Final = 3
"""Of those that systemd passes on (sd_listen_fds(3))."""


class EndpointError(Exception):
    """An endpoint that cannot be understood or listened on; the text names it and the reason."""


@dataclass(frozen=True, slots=True)
class Tcp:
    """Every address of ``host``: a name, IPv4, IPv6 with or without brackets, nothing for all. Port 0: a free one.

    With a ``certificate`` it speaks TLS.
    """

    host: str
    port: int
    certificate: Certificate | None = None

    def listen(self) -> list[socket.socket]:
        """Return one listening socket for each address; raise :exc:`EndpointError`."""
        absent: OSError | None = None
        found: list[socket.socket] = []
        with ExitStack() as opened:
            for family, address in self._addresses():
                try:
                    found.append(opened.enter_context(socket.create_server(address, family=family)))
                except OSError as error:
                    if error.errno not in _ABSENT:
                        raise _refusal(self, error) from error
                    absent = error
            opened.pop_all()
        if absent is not None and not found:
            raise _refusal(self, absent)
        return found

    def _addresses(self) -> Iterable[tuple[socket.AddressFamily, Any]]:
        host = self.host.removeprefix("[").removesuffix("]") or None
        try:
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:
            raise _refusal(self, error) from error
        return dict.fromkeys((family, address) for family, _, _, _, address in found)

    def __str__(self) -> str:
        return _url(self.host, self.port, self.certificate)


@dataclass(frozen=True, slots=True)
class Unix:
    """A Unix socket at ``path``. What a server that has ended left there is replaced."""

    path: str

    def __post_init__(self) -> None:
        if not self.path:
            raise EndpointError("a Unix socket needs a path; the one given is empty")

    def listen(self) -> list[socket.socket]:
        """Return the listening socket; raise :exc:`EndpointError`."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            self._remove_abandoned()
            sock.bind(self.path)
            Path(self.path).chmod(MODE)
            sock.listen()
        except OSError as error:
            sock.close()
            raise _refusal(self, error) from error
        return [sock]

    def _remove_abandoned(self) -> None:
        """Remove a socket on which nobody listens; any other file stays and is in the way."""
        path = Path(self.path)
        if path.is_socket():
            with socket.socket(socket.AF_UNIX) as probe:
                probe.setblocking(False)  # a server with a full backlog would let it wait
                if probe.connect_ex(self.path) == errno.ECONNREFUSED:
                    path.unlink()

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class Inherited:
    """A stream socket that the parent process has bound, as descriptor ``number``.

    With a ``certificate`` it speaks TLS, unless it is a Unix socket.
    """

    number: int
    certificate: Certificate | None = None

    def listen(self) -> list[socket.socket]:
        """Return the listening socket; raise :exc:`EndpointError`."""
        try:
            sock = socket.socket(fileno=self.number)
        except (OSError, ValueError) as error:
            raise _refusal(self, error) from error
        try:
            sock.listen()
        except OSError as error:
            sock.detach()  # it was not ours
            raise _refusal(self, error) from error
        return [sock]

    def __str__(self) -> str:
        return f"descriptor {self.number}"


Endpoint: TypeAlias = Tcp | Unix | Inherited


class Listener(NamedTuple):
    """A listening socket, and the certificate it speaks TLS with."""

    sock: socket.socket
    certificate: Certificate | None = None


def choose(
    hosts: Sequence[str],
    ports: Sequence[int],
    others: Sequence[Endpoint],
    certificate: Certificate | None = None,
) -> list[Endpoint]:
    """Return where to listen: every host at every port, and ``others``; with others alone, no TCP by default.

    The ``certificate`` is for hosts and ports, and for inherited sockets; others bring their own.
    """
    more = [Inherited(each.number, certificate) if isinstance(each, Inherited) else each for each in others]
    if others and not hosts and not ports:
        return more
    return [*(Tcp(host, port, certificate) for host in hosts or [HOST] for port in ports or [PORT]), *more]


def passed_on(environment: MutableMapping[str, str]) -> list[Endpoint]:
    """Return the sockets that systemd has opened for this process, and take its variables out of ``environment``."""
    names = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    process, number, _ = (environment.pop(name, "") for name in names)
    if process != str(os.getpid()) or not (number.isascii() and number.isdecimal()):
        return []
    return [Inherited(_FIRST_DESCRIPTOR + index) for index in range(int(number))]


def listen_on(endpoints: Iterable[Endpoint]) -> list[Listener]:
    """Return listening sockets for all of ``endpoints``, or none: raise :exc:`EndpointError`."""
    found: list[Listener] = []
    with ExitStack() as opened:
        for endpoint in endpoints:
            certificate = None if isinstance(endpoint, Unix) else endpoint.certificate
            for sock in endpoint.listen():
                opened.enter_context(sock)
                found.append(Listener(sock, None if sock.family == socket.AF_UNIX else certificate))
        opened.pop_all()
    return found


def address_of(listener: Listener) -> str:
    """Return where a listening socket is reached: ``http://127.0.0.1:8000``, ``unix:/run/site.sock``."""
    name = listener.sock.getsockname()
    return _url(name[0], name[1], listener.certificate) if isinstance(name, tuple) else f"unix:{name}"


def parse_port(text: str) -> int:
    """Return a port number, or raise :exc:`EndpointError`."""
    if not (text.isascii() and text.isdecimal() and int(text) < 2**16):
        raise EndpointError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def parse_descriptor(text: str) -> Inherited:
    """Return the descriptor called ``text``, or raise :exc:`EndpointError`."""
    if not (text.isascii() and text.isdecimal()):
        raise EndpointError(f"a descriptor is a number such as 3, not {text!r}")
    return Inherited(int(text))


def parse_endpoint(text: str) -> Endpoint:
    r"""Return what an endpoint string of 1.x names: ``tcp:8000:interface=\:\:1``, ``unix:/a/path``, ``fd:fileno=3``.

    ``ssl:443:privateKey=key.pem:certKey=cert.pem`` is TCP with TLS; without ``certKey`` both are in one file. A colon
    inside a value has a backslash before it. Raises :exc:`EndpointError`.
    """
    kind, *parts = (part.replace("\\:", ":") for part in re.split(r"(?<!\\):", text))
    fields = dict(_field(part) for part in parts)
    if fields.keys() <= _FIELDS.get(kind, frozenset()):
        if kind == "unix":
            return Unix(_main(fields, "address"))
        if kind == "fd":
            return parse_descriptor(_main(fields, "fileno"))
        if kind == "tcp":
            return Tcp(fields.get("interface", ""), parse_port(_main(fields, "port")))
        if kind == "ssl" and fields.get("privateKey"):
            certificate = Certificate(fields.get("certKey") or fields["privateKey"], fields["privateKey"])
            return Tcp(fields.get("interface", ""), parse_port(_main(fields, "port")), certificate)
    raise EndpointError(
        "an endpoint is tcp:PORT:interface=HOST, ssl:PORT:privateKey=FILE:certKey=FILE:interface=HOST, unix:PATH or "
        f"fd:fileno=NUMBER, not {text!r}"
    )


def _field(part: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    return (name, value) if equals else ("", part)


def _main(fields: Mapping[str, str], name: str) -> str:
    return fields.get(name) or fields.get("", "")


def _url(host: str, port: int, certificate: Certificate | None) -> str:
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{'https' if certificate else 'http'}://{shown}:{port}"


def _refusal(endpoint: Endpoint, error: Exception) -> EndpointError:
    hint = "; stop what listens there, or choose another port" if _is_taken(endpoint, error) else ""
    return EndpointError(f"cannot listen on {endpoint}: {_reason(error)}{hint}")


def _is_taken(endpoint: Endpoint, error: Exception) -> bool:
    return isinstance(endpoint, Tcp) and isinstance(error, OSError) and error.errno == errno.EADDRINUSE


def _reason(error: Exception) -> object:
    """Return why, without the address that :func:`socket.create_server` adds to it."""
    if isinstance(error, socket.gaierror):
        return error.strerror
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
