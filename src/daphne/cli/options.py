"""The command line of ``daphne``: its options, and what they say of the configuration."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any, Final, NoReturn

import daphne
from daphne.cli.arguments import add_several, argument
from daphne.cli.intake import add_intake
from daphne.cli.logs import add_logs
from daphne.config import LIMITS, Config, option_of, spelling, text_of
from daphne.endpoints import HOST, PORT, Unix, parse_descriptor, parse_endpoint, parse_port
from daphne.layer_path import BUILT_IN

OPTIONS: Final = frozenset(field.name for field in fields(Config))
PARENT: Final = "--parent-fd="
"""How a parent process gives its line."""
ALIASES: Final = {"http_timeout": ["-t"], "handshake_timeout": ["--websocket-connect-timeout"]}
"""What 1.x calls such an option besides."""
WITHOUT_MEANING: Final = {
    "force_sync": "the layer is always read in the same way",
    "websocket_timeout": "a socket stays open for as long as both of its ends want",
}
"""Options of 1.x that are accepted with a note."""


def dashed(arguments: Iterable[str]) -> list[str]:
    """Return ``arguments`` with dashes in the names of options, where 1.x has underscores in some."""
    return [re.sub(r"^--[\w-]+", lambda name: name[0].replace("_", "-"), argument) for argument in arguments]


class Parser(argparse.ArgumentParser):
    """Keeps as ``fault`` what it exits with."""

    fault = ""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.fault = message
        super().error(message)


def parent_among(arguments: Sequence[str]) -> int | None:
    """Return the descriptor of ``--parent-fd``, also among ``arguments`` that cannot be understood."""
    given = [argument.removeprefix(PARENT) for argument in arguments if argument.startswith(PARENT)]
    return int(given[-1]) if given and given[-1].isdecimal() else None


def make_parser() -> Parser:
    """Return the parser of the command line. What is not given of the configuration is not in its result."""
    parser = Parser(
        prog="daphne",
        usage="%(prog)s [options] module:object",
        description="Serves HTTP and WebSockets, and hands what arrives to workers through a channel layer.",
        epilog="Options may be spelt with underscores in place of dashes. Limits that are not given here are those of "
        "Django's settings, where the layer is.",
    )
    parser.add_argument("layer", metavar="module:object", help=f"the channel layer, such as {BUILT_IN}")
    parser.add_argument("--version", action="version", version=f"%(prog)s {daphne.__version__}")
    parser.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    _add_endpoints(parser.add_argument_group("where to listen", "Each may be given several times."))
    add_logs(parser.add_argument_group("what to log"))
    _add_application(parser.add_argument_group("what the application sees"))
    add_intake(parser)
    _add_limits(parser.add_argument_group("limits", "Sizes are bytes, times are seconds."))
    for name in WITHOUT_MEANING:
        action = "store" if name.endswith("_timeout") else "store_true"
        parser.add_argument(spelling(name), action=action, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of the configuration."""
    given = {name: value for name, value in vars(options).items() if name in OPTIONS}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _add_endpoints(group: argparse._ArgumentGroup) -> None:
    def add(*names: str, parse: Callable[[str], object], dest: str, metavar: str, text: str) -> None:
        group.add_argument(
            *names, action="append", default=[], type=argument(parse), dest=dest, metavar=metavar, help=text
        )

    add("-b", "--bind", parse=str, dest="hosts", metavar="HOST", text=f"name or address ({HOST})")
    add("-p", "--port", parse=parse_port, dest="ports", metavar="PORT", text=f"TCP port ({PORT})")
    add("-u", "--unix-socket", parse=Unix, dest="others", metavar="PATH", text="Unix socket")
    add("--fd", parse=parse_descriptor, dest="others", metavar="NUMBER", text="descriptor of a bound socket, inherited")
    add(
        "-e",
        "--endpoint",
        parse=parse_endpoint,
        dest="others",
        metavar="STRING",
        text="tcp:, ssl:, unix: or fd: as in 1.x",
    )
    group.add_argument("--ssl-certfile", metavar="FILE", help="certificate with its chain, for TLS on the ports above")
    group.add_argument("--ssl-keyfile", metavar="FILE", help="its key, if that is in a file of its own")


def _add_application(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--root-path", default=argparse.SUPPRESS, metavar="PATH", help=text_of("root_path"))
    add_several(group, "write_policy", "write_policies", "GROUPS=POLICY", _pair)
    add_several(group, "idle_timeout_of", "idle_timeouts", "PATH=SECONDS", _path_and_seconds)
    group.add_argument(
        "--ws-protocol",
        dest="subprotocols",
        nargs="*",
        action="extend",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help=text_of("subprotocols"),
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    for field in LIMITS:
        names = [*ALIASES.get(field.name, ()), spelling(field.name)]
        group.add_argument(*names, default=argparse.SUPPRESS, **option_of(field))


def _pair(text: str) -> tuple[str, str]:
    """Return both sides of the last equals sign."""
    name, equals, value = text.rpartition("=")
    if not equals:
        raise ValueError(f"there is no = in {text!r}")
    return name, value


def _path_and_seconds(text: str) -> tuple[str, float]:
    path, seconds = _pair(text)
    return path, float(seconds)
