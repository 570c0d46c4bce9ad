"""Everybody who takes part, with every setting: programs, options, environment. This table is all that is fair or not.

The same for all: one process for the sockets, no access log, no compression (the load offers none), no middleware, the
same views, pings as each has them by default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks import environments

SOCKET_KINDS: Final = frozenset({"echo", "binary", "storm", "idle"})
HTTP_KINDS: Final = frozenset({"http"})
ALL_KINDS: Final = SOCKET_KINDS | HTTP_KINDS | {"group", "churn", "news", "background"}


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process of a contender. In ``command`` and ``environment`` the names in braces are filled in."""

    role: str
    """``server``, of which there may be several, each with a port; or ``worker``."""
    command: tuple[str, ...]
    ready: str = ""
    """What its log says once it is ready; a server is ready when it listens."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way of serving the workloads."""

    name: str
    title: str
    kinds: frozenset[str]
    """The kinds of workloads that it can serve."""
    programs: tuple[Program, ...]
    needs: tuple[str, ...] = ()
    """Environments, by the names of :mod:`benchmarks.environments`; ``redis`` brings a server of its own."""
    environment: Mapping[str, str] = field(default_factory=dict)
    dialect: str = "plain"
    config: str = ""
    """Name of a file in ``benchmarks/rivals`` that is filled in and put into the contender's folder."""
    redis_beside: bool = False
    """Whether its Redis runs on the processor of the servers, and not on that of the load."""
    spans: bool = False
    """Whether its groups span several server processes."""
    quick: bool = True
    """Whether it takes part in a quick run."""

    def is_called(self, word: str) -> bool:
        """Return whether somebody who says ``word`` means this one: its name, or a part of it between hyphens."""
        return word == self.name or set(word.split("-")) <= set(self.name.split("-"))

    @property
    def settings(self) -> str:
        """Return commands and environment, for the record."""
        given = " ".join(f"{name}={value}" for name, value in self.environment.items())
        return "; ".join(f"{given} {' '.join(program.command)}".strip() for program in self.programs)


def _server(*command: str, ready: str = "") -> Program:
    return Program(role="server", command=command, ready=ready)


# -- ourselves ---------------------------------------------------------------------------------------------------------


def relay(name: str, title: str, layer: str, **options: object) -> Contender:
    """Return this project as server and worker, over the layer that the site calls ``layer``."""
    return Contender(
        name=name,
        title=title,
        kinds=ALL_KINDS,
        programs=(
            _server("{own}", "-m", "daphne", "-v", "0", "-p", "{port}", "channels.asgi:channel_layer"),
            Program(role="worker", command=("{own}", "-m", "django", "runworker", "--threads", "1"), ready="Channels:"),
        ),
        environment={"DJANGO_SETTINGS_MODULE": "benchmarks.site.settings", "BENCHMARK_LAYER": layer},
        spans=True,
        **options,  # type: ignore[arg-type]  # names and types are those of the fields
    )


OURS: Final = (
    Contender(
        name="ours-memory",
        title="Channels Relay, one process, memory layer",
        kinds=ALL_KINDS,
        programs=(_server("{own}", "-m", "benchmarks.serve", "{port}"),),
        environment={"DJANGO_SETTINGS_MODULE": "benchmarks.site.settings"},
    ),
    relay("ours-redis", "Channels Relay, server and worker over Redis", "{redis}", needs=("redis",)),
    relay("ours-embedded", "Channels Relay, server and worker over the embedded layer", "local:{folder}", quick=False),
    relay(
        "ours-redis-beside",
        "the same, Redis on the processor of server and worker",
        "{redis}",
        needs=("redis",),
        redis_beside=True,
        quick=False,
    ),
)

# -- Channels 4 --------------------------------------------------------------------------------------------------------

UVICORN: Final = ("{python}", "-m", "uvicorn", "--port", "{port}", "--log-level", "warning", "--no-access-log",
                  "--loop", "uvloop", "--http", "httptools", "--ws-per-message-deflate", "false",
                  "--backlog", "4096")  # fmt: skip
SERVERS: Final[dict[str, tuple[str, ...]]] = {
    "uvicorn": (*UVICORN, "--ws", "websockets", "{app}"),
    "uvicorn-sansio": (*UVICORN, "--ws", "websockets-sansio", "{app}"),
    "uvicorn-wsproto": (*UVICORN, "--ws", "wsproto", "{app}"),
    "daphne": ("{python}", "-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", "{port}", "{app}"),
    "granian": ("{python}", "-m", "granian", "--interface", "asgi", "--port", "{port}", "--workers", "1",
                "--loop", "uvloop", "--log-level", "warning", "--no-access-log", "--backlog", "4096", "{app}"),
}  # fmt: skip
TITLES: Final = {
    "uvicorn": "uvicorn (websockets)",
    "uvicorn-sansio": "uvicorn (websockets-sansio)",
    "uvicorn-wsproto": "uvicorn (wsproto)",
    "daphne": "daphne 4",
    "granian": "granian",
}
IN_A_QUICK_RUN: Final = {"uvicorn", "daphne", "granian"}


def channels4(server: str, layer: str = "", *, worker: bool = False) -> Contender:
    """Return Channels 4 on ``server``, over the layer ``core`` or ``pubsub`` of channels_redis or without any."""
    kinds = {"group", "churn", "news"} if layer else SOCKET_KINDS
    workers = (Program(role="worker", command=("{python}", "-m", "django", "runworker", "background")),)
    return Contender(
        name="-".join(filter(None, ["channels4", server, layer, "worker" if worker else ""])),
        title=f"Channels 4 on {TITLES[server]}"
        + (f", layer {layer}" if layer else "")
        + (", worker" if worker else ""),
        kinds=frozenset({"background"} if worker else kinds),
        programs=(
            _server(*_filled(server, "benchmarks.rivals.channels4.asgi:application")),
            *(workers if worker else ()),
        ),
        needs=("python", "redis") if layer else ("python",),
        environment={
            "DJANGO_SETTINGS_MODULE": "benchmarks.rivals.channels4.settings",
            "BENCHMARK_LAYER": layer,
            "BENCHMARK_REDIS": "{redis}",
        },
        spans=bool(layer),
        quick=server in IN_A_QUICK_RUN and layer in ("", "pubsub"),
    )


def _filled(server: str, app: str) -> Sequence[str]:
    return [app if part == "{app}" else part for part in SERVERS[server]]


CHANNELS4: Final = (
    *(channels4(server) for server in SERVERS),
    *(channels4(server, "pubsub") for server in SERVERS),
    channels4("uvicorn", "core"),
    channels4("daphne", "core"),
    channels4("granian", "core"),
    channels4("uvicorn", "core", worker=True),
)

# -- Django over HTTP --------------------------------------------------------------------------------------------------


def django(server: str, title: str, command: Sequence[str]) -> Contender:
    """Return Django alone on a server."""
    return Contender(
        name=f"django-{server}",
        title=f"Django on {title}",
        kinds=HTTP_KINDS,
        programs=(_server(*command),),
        needs=("python",),
        environment={"DJANGO_SETTINGS_MODULE": "benchmarks.rivals.channels4.settings"},
        quick=server != "granian-wsgi",
    )


ASGI: Final = "benchmarks.rivals.channels4.django_only:asgi"
WSGI: Final = "benchmarks.rivals.channels4.django_only:wsgi"
DJANGO: Final = (
    django("gunicorn", "gunicorn (gthread)", (
        "{python}", "-m", "gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", "4",
        "--bind", "127.0.0.1:{port}", "--keep-alive", "60", "--log-level", "warning", WSGI)),
    django("uvicorn", "uvicorn", _filled("uvicorn-sansio", ASGI)),
    django("daphne", "daphne 4", _filled("daphne", ASGI)),
    django("granian", "granian (ASGI)", _filled("granian", ASGI)),
    django("granian-wsgi", "granian (WSGI)", (
        "{python}", "-m", "granian", "--interface", "wsgi", "--port", "{port}", "--workers", "1",
        "--log-level", "warning", "--no-access-log", "--backlog", "4096", WSGI)),
)  # fmt: skip

# -- the world outside -------------------------------------------------------------------------------------------------

OUTSIDE: Final = (
    Contender(
        name="node-ws",
        title="Node ws, no application",
        kinds=SOCKET_KINDS | {"group"},
        programs=(_server("{node}", "{here}/plain.js", "{port}"),),
        needs=("npm",),
        environment={"NODE_PATH": "{node_modules}"},
    ),
    Contender(
        name="socketio",
        title="Socket.IO with its Redis adapter",
        kinds=frozenset({"echo", "group", "churn"}),
        programs=(_server("{node}", "{here}/socketio.js", "{port}", "{redis}"),),
        needs=("npm", "redis"),
        environment={"NODE_PATH": "{node_modules}"},
        dialect="socket.io",
        spans=True,
        quick=False,
    ),
    Contender(
        name="nchan",
        title="nginx with nchan",
        kinds=frozenset({"group", "news", "idle"}),
        programs=(_server(str(environments.NGINX), "-c", "{config}"),),
        needs=("debian",),
        config="nchan.conf",
    ),
    Contender(
        name="raw",
        title="an echo in C on uvloop (picows), no application",
        kinds=frozenset({"echo", "binary", "storm", "idle"}),
        programs=(_server("{own}", "-m", "benchmarks.raw", "{port}"),),
    ),
)

CONTENDERS: Final = (*OURS, *CHANNELS4, *DJANGO, *OUTSIDE)
BY_NAME: Final = {contender.name: contender for contender in CONTENDERS}
