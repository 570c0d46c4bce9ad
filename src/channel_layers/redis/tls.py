"""TLS of a connection to Redis, by the names that redis-py has for its options."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

OPTIONS: Final = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
        "ssl_password",
    }
)
_VERIFY: Final = {"required": True, ssl.CERT_REQUIRED: True, "none": False, ssl.CERT_NONE: False, None: False}
_CHECK: Final = {"true": True, True: True, "false": False, False: False}


def context_of(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Return a context that verifies the server's certificate and name, unless ``options`` say otherwise.

    ``ssl_ca_certs`` (file) and ``ssl_ca_path`` (directory) name authorities in place of those of the system,
    ``ssl_certfile``, ``ssl_keyfile`` and ``ssl_password`` a certificate to show. ``ssl_check_hostname=false`` lets the
    server's be for another name, ``ssl_cert_reqs=none`` lets it be any. Raises :exc:`ValueError`.
    """
    verify = _chosen(options, "ssl_cert_reqs", _VERIFY, "required or none")
    check = _chosen(options, "ssl_check_hostname", _CHECK, "true or false")
    context = _trusting(options.get("ssl_ca_certs"), options.get("ssl_ca_path"))
    if not (verify and check):
        context.check_hostname = False
    if not verify:
        context.verify_mode = ssl.CERT_NONE
    if options.get("ssl_certfile"):
        _show(context, options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password"))
    return context


def _chosen(options: Mapping[str, Any], name: str, choices: Mapping[Any, bool], expected: str) -> bool:
    value = options.get(name, True)
    key = value.lower() if isinstance(value, str) else value
    if name not in options or choices.get(key) is True:
        return True
    if key not in choices:
        raise ValueError(f"{name} is {expected}, not {value!r}")
    return False


def _trusting(file: str | None, directory: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=file, capath=directory)
    except OSError as error:  # its text tells neither the option nor the file
        raise ValueError(f"ssl_ca_certs={file!r} has no certificates that can be read: {error}") from error
    if file or directory:
        # Python 3.13 is strict about fields that say nothing about trust, and that private authorities tend to forget.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str | None, password: str | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password)
    except OSError as error:
        message = f"ssl_certfile={certificate!r} and ssl_keyfile={key!r} are no certificate and its key: {error}"
        raise ValueError(message) from error
