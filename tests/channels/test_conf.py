from dataclasses import fields
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from channels import conf
from daphne.config import Config

FROM_DJANGO = {"allowed_hosts", "trusted_origins", "debug"}
"""Options that are settings of Django already."""
GOOD = {
    "PING_INTERVAL": 5.0,
    "PING_TIMEOUT": 5,
    "MAX_HEADERS": 0,
    "PROBES": False,
    "ROOT_PATH": "/app",
    "TRUSTED_PROXIES": ("unix",),
    "SUBPROTOCOLS": ["chat"],
    "IDLE_TIMEOUTS": {"": 0},
    "WRITE_POLICIES": (("*", "coalesce"),),
}


def test_every_option_of_the_server_is_a_key() -> None:
    """Whoever adds an option to the server's configuration adds its key here."""
    ours = {field.name: type(field.default) for field in fields(Config) if field.name not in FROM_DJANGO}
    assert {key.lower(): tuple if kind in (list, dict) else kind for key, kind in conf.SERVER_KEYS.items()} == ours
    assert list(conf.SERVER_KEYS) == sorted(conf.SERVER_KEYS)


@pytest.mark.parametrize("given", [{}, {"ACCEPT": "return"}, {"ACCEPT": "explicit"}, GOOD])
def test_good_setting_has_no_faults(given: dict[str, Any]) -> None:
    """Any of its keys may be left out."""
    with override_settings(CHANNELS=given):
        assert conf.faults() == []


@pytest.mark.parametrize(
    ("given", "beginning"),
    [
        (["ACCEPT"], "CHANNELS is a dict, not list"),
        ({"PING_INTERVALL": 5}, "CHANNELS has an unknown key 'PING_INTERVALL'. Did you mean 'PING_INTERVAL'? Keys: "),
        ({"accept": "return"}, "CHANNELS has an unknown key 'accept'. Did you mean 'ACCEPT'? Keys: ACCEPT, ACCESS_"),
        ({7: 5}, "CHANNELS has an unknown key 7. Keys: "),
        ({"ACCEPT": "always"}, "CHANNELS['ACCEPT'] is 'return' or 'explicit', not 'always'"),
        ({"AUTH_RECHECK": True}, "CHANNELS['AUTH_RECHECK'] is 'connect' or 'every_message', not True"),
        ({"CLOSE_ON_LOGOUT": "no"}, "CHANNELS['CLOSE_ON_LOGOUT'] is True or False, not 'no'"),
        ({"ORDER_TIMEOUT": 0}, "CHANNELS['ORDER_TIMEOUT'] is a positive number of seconds, not 0"),
        ({"ORDER_TIMEOUT": True}, "CHANNELS['ORDER_TIMEOUT'] is a positive number of seconds, not True"),
        ({"ORDER_TIMEOUT": "5"}, "CHANNELS['ORDER_TIMEOUT'] is a positive number of seconds, not '5'"),
        ({"PING_INTERVAL": "5"}, "CHANNELS['PING_INTERVAL'] is a number, 0 or more, not '5'"),
        ({"PING_INTERVAL": -5}, "CHANNELS['PING_INTERVAL'] is a number, 0 or more, not -5"),
        ({"PING_INTERVAL": True}, "CHANNELS['PING_INTERVAL'] is a number, 0 or more, not True"),
        ({"MAX_HEADERS": 5.0}, "CHANNELS['MAX_HEADERS'] is a whole number, 0 or more, not 5.0"),
        ({"MAX_BODY_SIZE": None}, "CHANNELS['MAX_BODY_SIZE'] is a whole number, 0 or more, not None"),
        ({"PROBES": "no"}, "CHANNELS['PROBES'] is True or False, not 'no'"),
        ({"ROOT_PATH": b"/app"}, "CHANNELS['ROOT_PATH'] is text, not b'/app'"),
        ({"TRUSTED_PROXIES": "unix"}, "CHANNELS['TRUSTED_PROXIES'] is a list, not 'unix'"),
        ({"WRITE_POLICIES": "coalesce"}, "CHANNELS['WRITE_POLICIES'] is a dict, not 'coalesce'"),
    ],
)
def test_fault_has_its_sentence(given: Any, beginning: str) -> None:
    """It names the key and the way out, and nobody goes on with such a setting."""
    with override_settings(CHANNELS=given):
        (fault,) = conf.faults()
        assert fault.startswith(beginning)
        for reader in (conf.accepts_on_return, conf.server_options):
            with pytest.raises(ImproperlyConfigured) as caught:
                reader()
            assert str(caught.value) == fault


def test_fault_of_a_setting_of_1x() -> None:
    """It is found beside ours, because it means the same."""
    with override_settings(CHANNELS_WS_PROTOCOLS="chat"):
        assert conf.faults() == ["CHANNELS_WS_PROTOCOLS is a list, not 'chat'"]


def test_all_faults_are_found() -> None:
    """One sentence each."""
    with override_settings(CHANNELS={"A": 1, "B": 2, "ACCEPT": 3}):
        assert len(conf.faults()) == 3


@pytest.mark.parametrize(
    ("given", "expected"), [({}, True), ({"ACCEPT": "return"}, True), ({"ACCEPT": "explicit"}, False)]
)
def test_accepts_on_return(given: dict[str, Any], expected: bool) -> None:
    """By default a connect consumer that returns has accepted."""
    with override_settings(CHANNELS=given):
        assert conf.accepts_on_return() is expected


def test_server_options_come_from_all_settings() -> None:
    """Ours, those of Django and those of 1.x, by the names of the server's configuration."""
    with override_settings(
        CHANNELS={"PING_INTERVAL": 5.0, "ACCEPT": "explicit"},
        CHANNELS_WS_PROTOCOLS=["chat.v2", "chat.v1"],
        FORCE_SCRIPT_NAME="/app",
        ALLOWED_HOSTS=["example.com"],
        CSRF_TRUSTED_ORIGINS=["https://partner.example"],
        DEBUG=True,
    ):
        options = conf.server_options()
    assert options == {
        "ping_interval": 5.0,
        "subprotocols": ("chat.v2", "chat.v1"),
        "root_path": "/app",
        "allowed_hosts": ("example.com",),
        "trusted_origins": ("https://partner.example",),
        "debug": True,
    }
    assert Config(**options).ping_interval == 5.0


def test_our_setting_goes_before_those_of_1x() -> None:
    """And without either there is nothing."""
    older = {"CHANNELS_WS_PROTOCOLS": ["old"], "FORCE_SCRIPT_NAME": "/old"}
    with override_settings(CHANNELS={"SUBPROTOCOLS": ["new"], "ROOT_PATH": "/new"}, **older):
        assert (conf.server_options()["subprotocols"], conf.server_options()["root_path"]) == (("new",), "/new")
    with override_settings(CHANNELS_WS_PROTOCOLS=None, FORCE_SCRIPT_NAME=None):
        assert (conf.server_options()["subprotocols"], conf.server_options()["root_path"]) == ((), "")


def test_dicts_of_the_server_are_pairs_in_their_order() -> None:
    """The first pattern that matches counts."""
    policies, limits = {"b-*": "coalesce", "*": "drop-oldest"}, {"^/a": 5, "": 0}
    with override_settings(CHANNELS={"WRITE_POLICIES": policies, "IDLE_TIMEOUTS": limits}):
        options = conf.server_options()
    assert options["write_policies"] == (("b-*", "coalesce"), ("*", "drop-oldest"))
    assert options["idle_timeouts"] == (("^/a", 5), ("", 0))
