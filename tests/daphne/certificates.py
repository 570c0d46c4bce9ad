"""Certificates for tests, signed by themselves."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from daphne.tls import Certificate
from tests.services import require


def make_certificate(folder: Path, name: str) -> Certificate:
    """Return a certificate for 127.0.0.1 whose subject is ``name``, in two files of ``folder``."""
    certfile, keyfile = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", str(keyfile)]
    command = [require("openssl"), "req", "-x509", *key, "-out", str(certfile), "-days", "2", *subject]
    subprocess.run(command, check=True, capture_output=True)
    return Certificate(str(certfile), str(keyfile))


def protect(certificate: Certificate) -> None:
    """Put a password on the key."""
    assert certificate.keyfile is not None
    command = [require("openssl"), "pkey", "-aes256", "-passout", "pass:secret", "-in", certificate.keyfile]
    done = subprocess.run(command, check=True, capture_output=True)
    Path(certificate.keyfile).write_bytes(done.stdout)


def trusting(certificate: Certificate) -> ssl.SSLContext:
    """Return a client's context that trusts ``certificate`` and nothing else."""
    context = ssl.create_default_context(cafile=certificate.certfile)
    # Not strict about what only authorities have to say of themselves.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context


def subject_of(sock: ssl.SSLSocket) -> str:
    """Return the common name of the certificate that the server has shown."""
    shown = sock.getpeercert()
    assert shown is not None
    [[(_, name)]] = shown["subject"]  # type: ignore[misc, str-unpack]  # the stubs know less of it
    return str(name)
