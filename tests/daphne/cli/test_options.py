from __future__ import annotations

import pytest

import daphne
from daphne.cli.options import given_options, make_parser, parent_among
from daphne.config import LIMITS, Config
from daphne.endpoints import Inherited, Tcp, Unix
from tests.daphne.cli.commands import parsed


@pytest.mark.parametrize("name", [field.name for field in LIMITS])
def test_every_limit_is_an_option(name: str) -> None:
    """In both spellings, with the type of the configuration, and with its docstring as help."""
    for option in (f"--{name}", "--" + name.replace("_", "-")):
        options = given_options(parsed(option, "9"))
        assert getattr(Config(**options), name) == 9
        assert options == {name: 9}


def test_limits_are_the_numbers_of_the_configuration() -> None:
    """Neither text nor flags nor lists."""
    names = {field.name for field in LIMITS}
    assert {"max_body_size", "ping_timeout", "max_headers"} <= names
    assert names.isdisjoint({"root_path", "subprotocols", "allowed_hosts", "trusted_origins", "debug"})


def test_help_has_the_docstrings_of_the_configuration() -> None:
    """With the defaults behind them, and without markup."""
    text = " ".join(make_parser().format_help().split())
    assert "Longest request body; longer is answered 413. (104857600)" in text
    assert "Mount point of the application, decoded (SCRIPT_NAME)." in text
    assert "``" not in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["-t", "9"], {"http_timeout": 9.0}),
        (["--websocket_connect_timeout", "9"], {"handshake_timeout": 9.0}),
        (["--websocket-connect-timeout=9"], {"handshake_timeout": 9.0}),
        (["--ws-protocol", "a", "b", "--ws_protocol", "c", "-v", "1"], {"subprotocols": ("a", "b", "c")}),
        (["--ws-protocol", "-v", "1"], {"subprotocols": ()}),
        (["--root-path", "/a_b"], {"root_path": "/a_b"}),
        (
            ["--write-policy", "a=b-*=coalesce", "--write_policy", "x=drop-oldest"],
            {"write_policies": (("a=b-*", "coalesce"), ("x", "drop-oldest"))},
        ),
        (["--idle-timeout-of", "^/chat/=600"], {"idle_timeouts": (("^/chat/", 600.0),)}),
        (["--trusted-proxy", "10.0.0.1", "--trusted_proxy", "unix"], {"trusted_proxies": ("10.0.0.1", "unix")}),
        (["--forwarded-header", "forwarded"], {"forwarded_headers": ("forwarded",)}),
        (["--access-log-format", "json"], {"access_log_format": "json"}),
        (["--no-request-ids", "--no-probes"], {"request_ids": False, "probes": False}),
    ],
)
def test_options_of_the_configuration(arguments: list[str], expected: dict[str, object]) -> None:
    """Those of 1.x and others reach the configuration; what is not given does not."""
    assert given_options(parsed(*arguments)) == expected


def test_endpoints() -> None:
    """Each may be given several times; those that are no TCP keep their order."""
    options = parsed("-b", "::1", "--bind", "a", "-p", "1", "--port", "2", "--fd", "3", "-u", "/x", "-e", "tcp:4")
    assert (options.hosts, options.ports) == (["::1", "a"], [1, 2])
    assert options.others == [Inherited(3), Unix("/x"), Tcp("", 4)]
    assert parsed("--unix_socket", "/x", "--endpoint", "fd:3").others == [Unix("/x"), Inherited(3)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-p", "80000"], "argument -p/--port: a port is a number from 0 to 65535, not '80000'"),
        (["-u", ""], "argument -u/--unix-socket: a Unix socket needs a path; the one given is empty"),
        (["--max_body_size", "16M"], "argument --max-body-size: invalid int value: '16M'"),
        (["-v", "5"], "argument -v/--verbosity: invalid choice: 5"),
        (["--write-policy", "a"], "argument --write-policy: there is no = in 'a'"),
        (["--idle-timeout-of", "a=b"], "argument --idle-timeout-of: could not convert string to float: 'b'"),
        (["--access-log-format", "apache"], "argument --access-log-format: invalid choice: 'apache'"),
        (["--probe-endpoint", "9000"], "argument --probe-endpoint: an endpoint is tcp:PORT:interface=HOST, "),
        (["--probe-endpoint", "ssl:1:privateKey=a"], "argument --probe-endpoint: probes are asked without TLS, by tcp"),
        (["--max-bodie-size", "1"], "unrecognized arguments: --max-bodie-size"),
    ],
)
def test_options_that_are_refused(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With status 2, one line of usage and one that says what is wrong."""
    with pytest.raises(SystemExit) as ended:
        parsed(*arguments)
    usage, error = capsys.readouterr().err.splitlines()
    assert (ended.value.code, usage) == (2, "usage: daphne [options] module:object")
    assert error.startswith(f"daphne: error: {expected}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version of the distribution."""
    with pytest.raises(SystemExit) as ended:
        parsed("--version")
    assert (ended.value.code, capsys.readouterr().out) == (0, f"daphne {daphne.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "descriptor"),
    [
        (["--parent-fd=5", "x:y"], 5),
        (["--prot", "80", "--parent-fd=5"], 5),
        (["--parent-fd=five"], None),
        (["--parent=5"], None),
        ([], None),
    ],
)
def test_line_to_the_parent_is_found_among_what_cannot_be_understood(
    arguments: list[str], descriptor: int | None
) -> None:
    """As a parent writes the option."""
    assert parent_among(arguments) == descriptor
