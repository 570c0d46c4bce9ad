"""Options about requests before they become messages: whom to believe, what to call them, what needs no worker."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from typing import Final

from daphne.access_format import FORMATS
from daphne.config import Config, text_of
from daphne.endpoints import Endpoint, EndpointError, Tcp, parse_endpoint
from daphne.forwarded import READABLE, THIS_MACHINE

logger = logging.getLogger("daphne.cli")

DEFAULT: Final = argparse.SUPPRESS


def add_intake(parser: argparse.ArgumentParser) -> None:
    """Add the options; what is not given of the configuration is not in the parser's result."""
    group = parser.add_argument_group("requests")
    group.add_argument(
        "--trusted-proxy",
        dest="trusted_proxies",
        action="append",
        default=DEFAULT,
        metavar="ADDRESS",
        help=text_of("trusted_proxies") + " May be given several times.",
    )
    group.add_argument(
        "--forwarded-header",
        dest="forwarded_headers",
        action="append",
        default=DEFAULT,
        metavar="NAME",
        help=f"{text_of('forwarded_headers')} Of {', '.join(READABLE)}; may be given several times.",
    )
    group.add_argument(
        "--proxy-headers", action="store_true", help="trust proxies on this machine, where no others are named"
    )
    group.add_argument(
        "--no-request-ids", dest="request_ids", action="store_false", default=DEFAULT, help="give requests no names"
    )
    group.add_argument(
        "--access-log-format", choices=FORMATS, default=DEFAULT, help=text_of("access_log_format") + " (text)"
    )
    group.add_argument(
        "--no-probes", dest="probes", action="store_false", default=DEFAULT, help="answer no probes where requests come"
    )
    group.add_argument(
        "--probe-endpoint",
        dest="probe_endpoints",
        action="append",
        default=[],
        type=_endpoint,
        metavar="STRING",
        help="where to answer probes instead: tcp:PORT:interface=HOST, or unix:PATH",
    )


def completed(config: Config, options: argparse.Namespace) -> Config:
    """Return the configuration with what follows from several options together."""
    if options.probe_endpoints:
        config = replace(config, probes=False)
    if options.proxy_headers and not config.trusted_proxies:
        logger.info("--proxy-headers: proxies on this machine are trusted; name others by --trusted-proxy")
        config = replace(config, trusted_proxies=THIS_MACHINE)
    return config


def _endpoint(text: str) -> Endpoint:
    try:
        endpoint = parse_endpoint(text)
    except EndpointError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if isinstance(endpoint, Tcp) and endpoint.certificate:
        raise argparse.ArgumentTypeError(f"probes are asked without TLS, by tcp: or unix:, not {text!r}")
    return endpoint
