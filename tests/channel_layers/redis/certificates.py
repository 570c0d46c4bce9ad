"""Certificates that tests make: an authority of their own, and what it signs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.services import require

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """Signs certificates, whose files are in ``folder``; its own is ``certificate``.

    As private authorities do: without the key identifiers that strict verification wants, which a public one adds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate, self._key = self._make("authority")

    def sign(self, name: str) -> tuple[Path, Path]:
        """Return a certificate for the host ``name``, and its key."""
        signed = ["-CA", str(self.certificate), "-CAkey", str(self._key), "-addext", "basicConstraints=CA:FALSE"]
        return self._make(name, *signed, "-addext", f"subjectAltName=DNS:{name}")

    def _make(self, name: str, *options: str) -> tuple[Path, Path]:
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        files = ["-out", str(certificate), "-keyout", str(key)]
        command = [require("openssl"), "req", "-x509", "-days", "2", "-subj", f"/CN={name}", *KEY, *files, *options]
        subprocess.run(command, check=True, capture_output=True)
        return certificate, key
