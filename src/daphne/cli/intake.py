"""Options about requests before they become messages: whom to believe, what to call them, what needs no worker."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from typing import Final

from daphne.access_format import FORMATS
from daphne.cli.arguments import add_several, argument
from daphne.config import Config, text_of
from daphne.endpoints import Endpoint, Tcp, parse_endpoint
from daphne.forwarded import READABLE, THIS_MACHINE

logger = logging.getLogger("daphne.cli")

DEFAULT: Final = argparse.SUPPRESS


def add_intake(parser: argparse.ArgumentParser) -> None:
    """Add the options; what is not given of the configuration is not in the parser's result."""
    group = parser.add_argument_group("requests")
    _add_proxies(group)
    group.add_argument(
        "--no-request-ids", dest="request_ids", action="store_false", default=DEFAULT, help="give requests no names"
    )
    group.add_argument(
        "--access-log-format", choices=FORMATS, default=DEFAULT, help=text_of("access_log_format") + " (text)"
    )
    _add_probes(group)


def completed(config: Config, options: argparse.Namespace) -> Config:
    """Return the configuration with what follows from several options together."""
    if options.probe_endpoints:
        config = replace(config, probes=False)
    if options.proxy_headers and not config.trusted_proxies:
        logger.info("--proxy-headers: proxies on this machine are trusted; name others by --trusted-proxy")
        config = replace(config, trusted_proxies=THIS_MACHINE)
    return config


def _add_proxies(group: argparse._ArgumentGroup) -> None:
    add_several(group, "trusted_proxy", "trusted_proxies", "ADDRESS", more=" May be given several times.")
    readable = f" Of {', '.join(READABLE)}; may be given several times."
    add_several(group, "forwarded_header", "forwarded_headers", "NAME", more=readable)
    group.add_argument(
        "--proxy-headers", action="store_true", help="trust proxies on this machine, where no others are named"
    )


def _add_probes(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--no-probes", dest="probes", action="store_false", default=DEFAULT, help="answer no probes where requests come"
    )
    group.add_argument(
        "--probe-endpoint",
        dest="probe_endpoints",
        action="append",
        default=[],
        type=argument(_endpoint_without_tls),
        metavar="STRING",
        help="where to answer probes instead: tcp:PORT:interface=HOST, or unix:PATH",
    )


def _endpoint_without_tls(text: str) -> Endpoint:
    endpoint = parse_endpoint(text)
    if isinstance(endpoint, Tcp) and endpoint.certificate:
        raise ValueError(f"probes are asked without TLS, by tcp: or unix:, not {text!r}")
    return endpoint
