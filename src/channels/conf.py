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

SERVER_KEYS: Final = (
    "ACCESS_LOG_FORMAT",
    "BODY_TIMEOUT",
    "CLOSE_TIMEOUT",
    "COMPRESSION_LEVEL",
    "COMPRESSION_WINDOW",
    "FORWARDED_HEADERS",
    "HANDSHAKE_TIMEOUT",
    "HEAD_TIMEOUT",
    "HTTP_TIMEOUT",
    "IDLE_TIMEOUT",
    "IDLE_TIMEOUTS",
    "INLINE_BODY_SIZE",
    "KEEP_ALIVE_TIMEOUT",
    "MAX_BATCH_MESSAGES",
    "MAX_BATCH_SIZE",
    "MAX_BODIES_SIZE",
    "MAX_BODY_SIZE",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_ADDRESS",
    "MAX_FRAGMENTS",
    "MAX_FRAME_SIZE",
    "MAX_HANDSHAKES",
    "MAX_HEADERS",
    "MAX_HEADER_SIZE",
    "MAX_INFLATED_SIZE",
    "MAX_LANES_SIZE",
    "MAX_LANE_MESSAGES",
    "MAX_LANE_SIZE",
    "MAX_MESSAGES_PER_SECOND",
    "MAX_MESSAGE_SIZE",
    "MAX_PENDING_MESSAGES",
    "MAX_SPOOLS_SIZE",
    "MAX_SPOOL_SIZE",
    "MAX_TARGET_SIZE",
    "MAX_WAITING_HANDSHAKES",
    "MAX_WRITE_SIZE",
    "MIN_COMPRESSED_SIZE",
    "PING_INTERVAL",
    "PING_TIMEOUT",
    "PROBES",
    "REQUEST_IDS",
    "ROOT_PATH",
    "SEND_TIMEOUT",
    "SUBPROTOCOLS",
    "TRUSTED_PROXIES",
    "WRITE_POLICIES",
)
"""Options of an interface server, as its configuration names them."""
PAIRS: Final = ("idle_timeouts", "write_policies")
"""Those of them that are dicts among the settings, and pairs in the configuration."""
LISTS: Final = ("forwarded_headers", "subprotocols", "trusted_proxies")
"""Those of them that may be lists among the settings, and are tuples in the configuration."""


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
    found += [
        f"CHANNELS[{key!r}] is {' or '.join(map(repr, choices))}, not {given[key]!r}"
        for key, choices in _CHOICES.items()
        if key in given and given[key] not in choices
    ]
    timeout = given.get("ORDER_TIMEOUT", 1.0)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        found.append(f"CHANNELS['ORDER_TIMEOUT'] is a positive number of seconds, not {timeout!r}")
    return found


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
    for name in PAIRS:
        if isinstance(options.get(name), Mapping):
            options[name] = tuple(options[name].items())
    for name in LISTS:
        if isinstance(options.get(name), list):
            options[name] = tuple(options[name])
    options.setdefault("root_path", settings.FORCE_SCRIPT_NAME or "")
    options["allowed_hosts"] = tuple(settings.ALLOWED_HOSTS)
    options["trusted_origins"] = tuple(settings.CSRF_TRUSTED_ORIGINS)
    options["debug"] = settings.DEBUG
    return options


def _checked() -> Mapping[str, Any]:
    for fault in faults():
        raise ImproperlyConfigured(fault)
    given: Mapping[str, Any] = getattr(settings, "CHANNELS", {})
    return given


def _forget(**kwargs: object) -> None:
    for kept in (closes_on_logout, rechecks_logins, order_timeout):
        kept.cache_clear()


setting_changed.connect(_forget, dispatch_uid="channels.conf")
