"""TLS without a proxy: a certificate that can be renewed while its server runs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass


class CertificateError(Exception):
    """A certificate or key that cannot be used; the text names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of PEM files: the certificate with its chain, and the key, which may be in the same file."""

    certfile: str
    keyfile: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return what a listening socket serves TLS with; raise :exc:`CertificateError`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        self._load_into(context)
        return context

    def renew(self, context: ssl.SSLContext) -> None:
        """Read the files again, for new connections; raise :exc:`CertificateError` and change nothing.

        Connections that are open, and handshakes under way, go on with what they began with.
        """
        self.context()  # in part of a live context even a pair that does not match would be replaced
        self._load_into(context)

    def _load_into(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.certfile, self.keyfile, _no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            files = self.certfile if self.keyfile is None else f"{self.certfile} with {self.keyfile}"
            raise CertificateError(f"cannot use the certificate {files}: {_reason(error)}") from error


def _no_password() -> str:
    raise ValueError("the key needs a password, and nobody is there to type it")


def _reason(error: OSError | ValueError) -> object:
    """Return why, in words: OpenSSL has a name in capitals for it, and a line of its own source."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return error.strerror if isinstance(error, OSError) and error.strerror else error
