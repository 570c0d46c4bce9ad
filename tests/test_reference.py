"""What the reference lists is what the code has: neither more nor less, with the same defaults."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from django.contrib.staticfiles.management.commands.runserver import Command as StaticFilesCommand
from django.core.management.base import BaseCommand, CommandParser

from channel_layers import messages
from channel_layers.base import BaseChannelLayer
from channel_layers.capacity import HTTP_CAPACITY
from channel_layers.local import LocalChannelLayer
from channel_layers.memory import MemoryChannelLayer
from channel_layers.redis import RedisChannelLayer, hosts, tls
from channels import checks, conf, layers
from channels.management.commands.runserver import HTTP_TIMEOUT, THREADS, Command
from channels.management.commands.runworker import Command as RunWorker
from channels.management.commands.serve import Command as Serve
from channels.processes.fleet import START_TIMEOUT
from channels.processes.workers import STOP_TIMEOUT
from daphne.cli.options import make_parser
from daphne.config import LIMITS, Config, text_of
from tests.documents import ROOT

UNITS = {1024**2: "MiB", 1024: "KiB"}
SPACE = "&nbsp;"
FORMATS = {
    "HTTP request": messages.HttpRequest,
    "HTTP body chunk": messages.HttpBodyChunk,
    "HTTP response": messages.HttpResponse,
    "HTTP disconnect": messages.HttpDisconnect,
    "WebSocket connect": messages.WebSocketConnect,
    "WebSocket receive": messages.WebSocketReceive,
    "WebSocket disconnect": messages.WebSocketDisconnect,
    "WebSocket reply": messages.WebSocketReply,
}
SIGNATURE = re.compile(r"^- `([\w.]+)(\(.*?\))?`", re.MULTILINE)
HIDDEN = {"--parent-fd", "--name", "--http-consumer", "--born"}
"""Options that a supervisor gives to the processes that it starts."""
EVERYTHING = {"channels", "channels.sessions", "channels.auth"}
"""Modules whose ``__all__`` the reference lists in full."""


def page(name: str) -> str:
    """Return the text of a page of the reference."""
    return (ROOT / f"docs/reference/{name}.md").read_text()


def section(text: str, heading: str) -> str:
    """Return what stands below ``heading``, up to the next heading of its level or above."""
    level = heading.count("#")
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found is not None, f"there is no {heading!r}"
    return found[1]


def first_cells(text: str) -> list[str]:
    """Return what stands in backticks in the first column of the tables in ``text``."""
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def limit_rows() -> list[str]:
    """Return the rows of the table of limits: setting, option, default and docstring."""
    return [
        f"| `{field.name.upper()}` | `--{field.name.replace('_', '-')}` | {default_of(field.name)} "
        f"| {text_of(field.name)} |"
        for field in LIMITS
    ]


def default_of(name: str) -> str:
    """Return the default of a field of ``Config`` with its unit, which its name tells."""
    value = getattr(Config(), name)
    if name.endswith("_size") and value:
        unit = next((unit for unit in UNITS if value % unit == 0), 1)
        return f"{value // unit}{SPACE}{UNITS.get(unit, 'bytes')}"
    if name.endswith(("_timeout", "_interval")) and value:
        return f"{value:g}{SPACE}s"
    return f"{value:g}"


def options_of(constructor: Callable[..., None]) -> dict[str, str]:
    """Return the options that the constructor of a layer takes from ``CONFIG``, and their defaults."""
    parameters = inspect.signature(constructor).parameters.values()
    keywords = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    # A clock is for tests.
    return {parameter.name: repr(parameter.default) for parameter in keywords if parameter.name != "clock"}


def options_listed(heading: str) -> dict[str, str]:
    """Return the options and defaults of the first table behind a line of the settings page."""
    _, _, behind = page("settings").partition(heading)
    table = behind.strip().partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", table, re.MULTILINE))


def test_every_limit_is_listed() -> None:
    """The one table of limits has each with its setting, its option, its default and what it means."""
    assert re.findall(r"^\| `[A-Z_]+` .*$", page("limits"), re.MULTILINE) == limit_rows()
    assert f"`HTTP_TIMEOUT` of its own, {HTTP_TIMEOUT} s" in page("limits")


def test_every_limit_can_be_set_in_three_places() -> None:
    """As a key of CHANNELS, an option of daphne and one of runserver."""
    names = {field.name for field in LIMITS}
    assert {name.upper() for name in names} <= set(conf.SERVER_KEYS)
    options = {f"--{name.replace('_', '-')}" for name in names}
    assert options <= option_strings(Command())
    assert options <= set(make_parser()._option_string_actions)


def test_every_option_that_is_no_limit_is_listed() -> None:
    """The table of CHANNELS has the keys whose values are no numbers."""
    keys = first_cells(section(page("settings"), "## CHANNELS"))
    assert sorted({f"{name.upper()}" for name in keys if name.isupper()} - set(conf.DEFAULTS)) == sorted(
        set(conf.SERVER_KEYS) - {field.name.upper() for field in LIMITS}
    )


def test_every_other_key_of_channels_is_listed() -> None:
    """Beside the server's options there are ``ACCEPT``, its values explained, and those of sessions and logins."""
    table = section(page("settings"), "## CHANNELS")
    listed = dict(re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \|", table, re.MULTILINE))
    given = {key: repr(value).replace("'", '"') for key, value in conf.DEFAULTS.items() if key != "ACCEPT"}
    assert listed == given
    for value in (conf.ACCEPT_ON_RETURN, conf.ACCEPT_EXPLICITLY):
        assert f'| `"{value}"`' in table


def test_every_key_of_channel_layers_is_listed() -> None:
    """The table of CHANNEL_LAYERS has the keys that an entry may have, and says which it must have."""
    table = section(page("settings"), "## CHANNEL_LAYERS").partition("### ")[0]
    keys = first_cells(table)
    required = [key for key in keys if f"| `{key}` | yes |" in table]
    assert layers.faults("x", {}) == [f"CHANNEL_LAYERS['x'] has no {key}" for key in required]
    [unknown] = layers.faults("x", dict.fromkeys([*required, "?"], ""))
    assert unknown.endswith(f"Keys: {', '.join(sorted(keys))}")


def test_every_option_of_a_layer_is_listed() -> None:
    """The tables of options have the keyword arguments of the layers' constructors and their defaults."""
    assert options_listed("For every layer:") == options_of(BaseChannelLayer.__init__)
    assert options_listed("besides:") == options_of(MemoryChannelLayer.__init__)
    assert options_listed("or on Valkey:") == options_of(RedisChannelLayer.__init__)
    assert options_listed("except `hosts`:") == options_of(LocalChannelLayer.__init__)
    assert f"of `http.request` {HTTP_CAPACITY}" in page("settings")


def test_every_option_of_a_host_is_listed() -> None:
    """The table of what may follow a URL of Redis has the options that mean something."""
    table = page("settings").partition("These options may follow")[2].partition("\n\nOthers ")[0]
    in_url = {"host", "port", "ssl", "unix_socket_path"}
    assert set(first_cells(table)) == {*hosts.MEANT, *hosts.TIMES} - in_url
    assert set(first_cells(table)) >= tls.OPTIONS


@pytest.mark.parametrize("heading", FORMATS)
def test_every_key_of_a_message_is_listed(heading: str) -> None:
    """The table of a message has the keys that its type has."""
    listed = first_cells(section(page("message-formats"), f"## {heading}"))
    assert sorted(listed) == sorted(FORMATS[heading].__annotations__)


def test_no_message_is_missing() -> None:
    """Every type of message has its table."""
    kinds = [kind for kind in vars(messages).values() if isinstance(kind, type) and hasattr(kind, "__total__")]
    assert set(kinds) == set(FORMATS.values())


def signatures() -> list[tuple[str, str, str]]:
    """Return module, name and parameters of everything the page about the API lists."""
    found, module = [], ""
    for heading, text in re.findall(r"^##+ (.*?)\n(.*?)(?=^##|\Z)", page("api"), re.DOTALL | re.MULTILINE):
        named = re.search(r"`((?:channel|daphne)[\w.]+)`", heading)
        module = named[1] if named else module
        found += [(module, *listed) for listed in SIGNATURE.findall(text)]
    return found


@pytest.mark.parametrize(("module", "name", "parameters"), signatures(), ids=lambda value: value)
def test_api_is_as_listed(module: str, name: str, parameters: str) -> None:
    """A name that the reference lists is there, and takes the parameters that the reference lists."""
    listed: object = import_module(module)
    for part in name.split("."):
        listed = getattr(listed, part)
    assert parameters.replace('"', "'") == (parameters_of(listed) if callable(listed) else "")


def parameters_of(listed: Callable[..., object]) -> str:
    """Return the parameters of a callable without their types and without ``self``."""
    if isinstance(listed, type) and issubclass(listed, Exception) and not inspect.isfunction(listed.__init__):
        return "()"  # how Python describes its own constructor differs from version to version
    signature = inspect.signature(listed)
    bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    return str(inspect.Signature([parameter for parameter in bare if parameter.name != "self"]))


@pytest.mark.parametrize("module", sorted(EVERYTHING))
def test_api_lists_all_that_a_module_offers(module: str) -> None:
    """Every name in ``__all__`` of the modules that a project imports from first is listed."""
    listed = {name.partition(".")[0] for _, name, _ in signatures()}
    assert set(import_module(module).__all__) <= listed


def test_signals_and_exceptions_are_listed() -> None:
    """Every signal of the worker, and every exception, is on the page about the API."""
    signals = vars(import_module("channels.signals"))
    assert first_cells(section(page("api"), "## Signals: `channels.signals`")) == [
        name for name, value in signals.items() if hasattr(value, "receivers")
    ]
    listed = {name for module, name, _ in signatures() if module.endswith(".exceptions")}
    for module in ("channels.exceptions", "channel_layers.exceptions"):
        defined = {
            name
            for name, value in vars(import_module(module)).items()
            if isinstance(value, type) and value.__module__ == module and not name.startswith("_")
        }
        assert defined <= listed


def option_strings(command: BaseCommand) -> set[str]:
    """Return the options that a command adds to those of all commands."""
    parser = CommandParser()
    command.add_arguments(parser)
    return set(parser._option_string_actions)


def test_every_option_of_runserver_is_listed() -> None:
    """The page about runserver has every option that ours adds to Django's, with both of its spellings."""
    added = option_strings(Command()) - option_strings(StaticFilesCommand())
    table = page("runserver").partition("These are added:")[2].partition("\n\nAnd ")[0]
    limits = {f"--{field.name.replace('_', '-')}" for field in LIMITS}
    assert set(re.findall(r"`(--[\w-]+)`", table)) | limits == added
    assert "[limits](limits.md)" in table
    assert f"{THREADS} worker threads in a\nprocess of their own, HTTP and WebSocket." in page("runserver")


def test_every_option_of_processes_is_listed() -> None:
    """The page about processes has the options of runworker; those of serve are the same, but for the layer."""
    common = set(CommandParser()._option_string_actions)
    added = {name for name in option_strings(RunWorker()) - common if name not in HIDDEN}
    listed = set(re.findall(r"^\| `(--[\w-]+)", section(page("processes"), "## runworker"), re.MULTILINE))
    assert listed == added
    assert option_strings(Serve()) - common == added - {"--layer"}
    for number in (STOP_TIMEOUT, START_TIMEOUT):
        assert f"{number:g}" in page("processes")


def test_every_option_of_daphne_is_listed() -> None:
    """The page about daphne has every option that is no limit; those of 1.x without a meaning are named below."""
    options = set(make_parser()._option_string_actions) - {"-h", "--help", *HIDDEN}
    options -= {f"--{field.name.replace('_', '-')}" for field in LIMITS} - {"--http-timeout", "--handshake-timeout"}
    named = set(re.findall(r"`(--?[a-z][\w-]*)`", page("daphne")))
    assert named == options | {"--max-message-size"}


def test_every_system_check_is_listed() -> None:
    """The page about checks has the id of every check, in order."""
    ids = re.findall(r'id="(channels\.\w+)"', Path(checks.__file__).read_text())
    assert first_cells(page("checks").partition("\n\nEach ")[0]) == sorted(set(ids))
