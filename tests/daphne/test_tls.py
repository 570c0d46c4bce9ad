"""TLS: what is loaded, what is refused, and a certificate that is renewed under open connections."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from pathlib import Path

import pytest

from daphne.tls import Certificate, CertificateError
from tests.daphne.certificates import make_certificate, protect, subject_of, trusting


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Return both ends of a connection."""
    one, other = socket.socketpair()
    accepted: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: accepted.append(server.wrap_socket(one, server_side=True)))
    thread.start()
    wrapped = client.wrap_socket(other, server_hostname="127.0.0.1")
    thread.join()
    return accepted[0], wrapped


def test_a_certificate_serves_http_1(tmp_path: Path) -> None:
    """The client trusts it, and is told that HTTP/1.1 is spoken."""
    certificate = make_certificate(tmp_path, "one")
    client = trusting(certificate)
    client.set_alpn_protocols(["h2", "http/1.1"])
    server_end, client_end = shake_hands(certificate.context(), client)
    with server_end, client_end:
        assert (client_end.selected_alpn_protocol(), subject_of(client_end)) == ("http/1.1", "one")


def test_certificate_and_key_may_be_one_file(tmp_path: Path) -> None:
    """As some tools write them."""
    pair = make_certificate(tmp_path, "one")
    both = tmp_path / "both.pem"
    both.write_text(Path(pair.certfile).read_text() + Path(pair.keyfile or "").read_text())
    assert Certificate(str(both)).context()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("cert.pem", "no such file or directory"),
        ("key.pem", "no such file or directory"),
        ("empty", "no start line|pem lib"),
        ("other", "key values mismatch"),
        ("password", "needs a password, and nobody is there to type it"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, fault: str, expected: str) -> None:
    """The error has the files and the reason, in words."""
    certificate = make_certificate(tmp_path, "one")
    if fault.endswith(".pem"):
        (tmp_path / fault).unlink()
    elif fault == "empty":
        (tmp_path / "cert.pem").write_text("")
    elif fault == "other":
        (tmp_path / "elsewhere").mkdir()
        shutil.copy(make_certificate(tmp_path / "elsewhere", "two").keyfile or "", tmp_path / "key.pem")
    else:
        protect(certificate)
    files = r"\S+cert\.pem with \S+key\.pem"
    with pytest.raises(CertificateError, match=rf"(?i)^cannot use the certificate {files}: .*({expected})"):
        certificate.context()


def test_a_renewed_certificate_is_for_new_connections(tmp_path: Path) -> None:
    """Those that are open go on; what cannot be used changes nothing."""
    certificate = make_certificate(tmp_path, "one")
    context, trusts_one = certificate.context(), trusting(certificate)
    first_server, first_client = shake_hands(context, trusts_one)
    make_certificate(tmp_path, "two")
    certificate.renew(context)
    second_server, second_client = shake_hands(context, trusting(certificate))
    (tmp_path / "cert.pem").write_text("broken")
    with pytest.raises(CertificateError):
        certificate.renew(context)
    third_server, third_client = shake_hands(context, second_client.context)
    with first_server, first_client, second_server, second_client, third_server, third_client:
        assert [subject_of(end) for end in (first_client, second_client, third_client)] == ["one", "two", "two"]
        first_client.sendall(b"still here")
        assert first_server.recv(100) == b"still here"
