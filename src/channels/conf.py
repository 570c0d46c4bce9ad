"""``CHANNELS``: the one setting for everything of ours; settings of 1.x are understood beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from channel_layers.suggestions import did_you_mean

ACCEPT_ON_RETURN: Final = "return"
"""A connect consumer that returns has accepted."""
ACCEPT_EXPLICITLY: Final = "explicit"
"""A connect consumer has to send ``{"accept": True}``, as in 1.1.8."""

CHECK_AT_CONNECT: Final = "connect"
"""Whether a login is still good is looked at when its socket connects, and when a consumer uses the user."""
CHECK_EVERY_MESSAGE: Final = "every_message"
"""It is looked at before each message."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "ACCEPT": ACCEPT_ON_RETURN,
    "AUTH_RECHECK": CHECK_AT_CONNECT,
    "CLOSE_ON_LOGOUT": True,
    "ORDER_TIMEOUT": 5.0,
}
_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "ACCEPT": (ACCEPT_ON_RETURN, ACCEPT_EXPLICITLY),
    "AUTH_RECHECK": (CHECK_AT_CONNECT, CHECK_EVERY_MESSAGE),
    "CLOSE_ON_LOGOUT": (True, False),
}

SERVER_KEYS: Final[Mapping[str, type]] = {
    "ACCESS_LOG_FORMAT": str,
    "BODY_TIMEOUT": float,
    "CLOSE_TIMEOUT": float,
    "COMPRESSION_LEVEL": int,
    "COMPRESSION_WINDOW": int,
    "FORWARDED_HEADERS": list,
    "HANDSHAKE_TIMEOUT": float,
    "HEAD_TIMEOUT": float,
    "HTTP_TIMEOUT": float,
    "IDLE_TIMEOUT": float,
    "IDLE_TIMEOUTS": dict,
    "INLINE_BODY_SIZE": int,
    "KEEP_ALIVE_TIMEOUT": float,
    "MAX_BATCH_MESSAGES": int,
    "MAX_BATCH_SIZE": int,
    "MAX_BODIES_SIZE": int,
    "MAX_BODY_SIZE": int,
    "MAX_CONNECTIONS": int,
    "MAX_CONNECTIONS_PER_ADDRESS": int,
    "MAX_FRAGMENTS": int,
    "MAX_FRAME_SIZE": int,
    "MAX_HANDSHAKES": int,
    "MAX_HEADERS": int,
    "MAX_HEADER_SIZE": int,
    "MAX_INFLATED_SIZE": int,
    "MAX_LANES_SIZE": int,
    "MAX_LANE_MESSAGES": int,
    "MAX_LANE_SIZE": int,
    "MAX_MESSAGES_PER_SECOND": int,
    "MAX_MESSAGE_SIZE": int,
    "MAX_PENDING_MESSAGES": int,
    "MAX_SPOOLS_SIZE": int,
    "MAX_SPOOL_SIZE": int,
    "MAX_TARGET_SIZE": int,
    "MAX_WAITING_HANDSHAKES": int,
    "MAX_WRITE_SIZE": int,
    "MIN_COMPRESSED_SIZE": int,
    "PING_INTERVAL": float,
    "PING_TIMEOUT": float,
    "PROBES": bool,
    "REQUEST_IDS": bool,
    "ROOT_PATH": str,
    "SEND_TIMEOUT": float,
    "SUBPROTOCOLS": list,
    "TRUSTED_PROXIES": list,
    "WRITE_POLICIES": dict,
}
"""Options of an interface server as its configuration names them, and what each is: tuples there are lists or dicts."""
_KINDS: Final[Mapping[type, tuple[tuple[type, ...], str]]] = {
    bool: ((bool,), "True or False"),
    int: ((int,), "a whole number, 0 or more"),
    float: ((int, float), "a number, 0 or more"),
    str: ((str,), "text"),
    list: ((list, tuple), "a list"),
    dict: ((Mapping, tuple), "a dict"),
}
"""Types that the settings may have for a type of the server's options, and their name."""


def faults() -> list[str]:
    """Return one sentence for each thing that is wrong with the setting."""
    given = getattr(settings, "CHANNELS", {})
    if not isinstance(given, Mapping):
        return [f"CHANNELS is a dict, not {type(given).__name__}"]
    known = (*DEFAULTS, *SERVER_KEYS)
    found = [
        f"CHANNELS has an unknown key {key!r}.{did_you_mean(str(key), known)} Keys: {', '.join(sorted(known))}"
        for key in given
        if key not in known
    ]
    return found + _faulty_values(given) + _faulty_values_of_1x()


def _faulty_values(given: Mapping[str, Any]) -> list[str]:
    found = [
        f"CHANNELS[{key!r}] is {' or '.join(map(repr, choices))}, not {given[key]!r}"
        for key, choices in _CHOICES.items()
        if key in given and given[key] not in choices
    ]
    found += [
        f"CHANNELS[{key!r}] is {_KINDS[SERVER_KEYS[key]][1]}, not {value!r}"
        for key, value in given.items()
        if key in SERVER_KEYS and not _is_of_kind(value, SERVER_KEYS[key])
    ]
    timeout = given.get("ORDER_TIMEOUT", 1.0)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        found.append(f"CHANNELS['ORDER_TIMEOUT'] is a positive number of seconds, not {timeout!r}")
    return found


def _faulty_values_of_1x() -> list[str]:
    protocols = getattr(settings, "CHANNELS_WS_PROTOCOLS", None) or ()
    return [] if _is_of_kind(protocols, list) else [f"CHANNELS_WS_PROTOCOLS is a list, not {protocols!r}"]


def accepts_on_return() -> bool:
    """Return whether a connect consumer that returns has accepted."""
    return bool(_checked().get("ACCEPT", ACCEPT_ON_RETURN) == ACCEPT_ON_RETURN)


@cache
def closes_on_logout() -> bool:
    """Return whether sockets end with the login that opened them."""
    return bool(_checked().get("CLOSE_ON_LOGOUT", DEFAULTS["CLOSE_ON_LOGOUT"]))


@cache
def rechecks_logins() -> bool:
    """Return whether a login is looked at before each message."""
    return bool(_checked().get("AUTH_RECHECK", DEFAULTS["AUTH_RECHECK"]) == CHECK_EVERY_MESSAGE)


@cache
def order_timeout() -> float:
    """Return how many seconds ``enforce_ordering`` waits for a message that is missing."""
    return float(_checked().get("ORDER_TIMEOUT", DEFAULTS["ORDER_TIMEOUT"]))


def server_options() -> dict[str, Any]:
    """Return the interface server's options among the settings, by the names of its configuration."""
    options = {key.lower(): value for key, value in _checked().items() if key in SERVER_KEYS}
    options.setdefault("subprotocols", getattr(settings, "CHANNELS_WS_PROTOCOLS", None) or ())
    for name, value in options.items():
        if isinstance(value, Mapping):
            options[name] = tuple(value.items())
        elif isinstance(value, list):
            options[name] = tuple(value)
    options.setdefault("root_path", settings.FORCE_SCRIPT_NAME or "")
    options["allowed_hosts"] = tuple(settings.ALLOWED_HOSTS)
    options["trusted_origins"] = tuple(settings.CSRF_TRUSTED_ORIGINS)
    options["debug"] = settings.DEBUG
    return options


def _is_of_kind(value: object, kind: type) -> bool:
    if not isinstance(value, _KINDS[kind][0]) or (isinstance(value, bool) and kind is not bool):
        return False
    return not isinstance(value, int | float) or value >= 0


def _checked() -> Mapping[str, Any]:
    for fault in faults():
        raise ImproperlyConfigured(fault)
    given: Mapping[str, Any] = getattr(settings, "CHANNELS", {})
    return given


def _forget(**kwargs: object) -> None:
    for kept in (closes_on_logout, rechecks_logins, order_timeout):
        kept.cache_clear()


setting_changed.connect(_forget, dispatch_uid="channels.conf")
