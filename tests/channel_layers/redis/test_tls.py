"""TLS: what the options mean, and the whole layer over it, with a certificate authority of the tests' own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from channel_layers.exceptions import LayerUnavailable
from channel_layers.redis import RedisChannelLayer
from channel_layers.redis.tls import context_of
from tests.channel_layers.redis import test_conformance
from tests.channel_layers.redis.server import TlsServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """A server that lives as long as the tests here."""
    server = TlsServer(tmp_path_factory.mktemp("tls"))
    server.start()
    yield server
    server.kill()


class TestRedisChannelLayerOverTls(test_conformance.TestRedisChannelLayer):
    """The whole suite, both halves, over TLS with a private authority."""


# -- what connects -----------------------------------------------------------------------------------------------------


def works(hosts: str, **options: Any) -> None:
    """Send and receive a message by each half of a layer."""
    layer = RedisChannelLayer(hosts=hosts, prefix="tls:", timeout=1.0, **options)
    try:
        layer.send("work", {"by": "a thread"})
        assert layer.receive(["work"]) == ("work", {"by": "a thread"})
        asyncio.run(aworks(layer))
    finally:
        layer.close()


async def aworks(layer: RedisChannelLayer) -> None:
    """As :func:`works`, in a loop."""
    await layer.asend("work", {"by": "a loop"})
    assert await layer.areceive(["work"], block=True, timeout=5.0) == ("work", {"by": "a loop"})
    await layer.aclose()


def test_private_authority(server: TlsServer) -> None:
    """Named in the URL or beside it, as a file."""
    works(server.url)
    works(server.address, connection_kwargs={"ssl_ca_certs": str(server.authority.certificate)})


def test_without_verification(server: TlsServer) -> None:
    """As hosters need it whose certificates nobody vouches for."""
    works(f"{server.address}?ssl_cert_reqs=none")
    works(server.address, connection_kwargs={"ssl_cert_reqs": None})


def test_certificate_for_another_name(server: TlsServer) -> None:
    """It is refused, unless names are not to be compared."""
    elsewhere = server.url.replace("localhost", "127.0.0.1")
    with pytest.raises(LayerUnavailable, match=r"certificate is not valid for '127\.0\.0\.1'"):
        works(elsewhere)
    works(f"{elsewhere}&ssl_check_hostname=false")


def test_authority_that_is_not_known(server: TlsServer) -> None:
    """The certificate is refused by both halves."""
    layer = RedisChannelLayer(hosts=server.address, timeout=0.1)
    with pytest.raises(LayerUnavailable, match="certificate verify failed"):
        layer.send("work", {})
    with pytest.raises(LayerUnavailable, match="certificate verify failed"):
        asyncio.run(layer.asend("work", {}))


def test_certificate_of_the_client(server: TlsServer) -> None:
    """A server that asks for one gets it."""
    server.ask("CONFIG", "SET", "tls-auth-clients", "yes")
    try:
        certificate, key = server.authority.sign("client")
        works(f"{server.url}&ssl_certfile={certificate}&ssl_keyfile={key}")
        with pytest.raises(LayerUnavailable):
            works(server.url)
    finally:
        server.ask("CONFIG", "SET", "tls-auth-clients", "no")


# -- what the options mean ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "verifies", "compares"),
    [
        ({}, True, True),
        ({"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}, True, True),
        ({"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}, True, True),
        ({"ssl_check_hostname": "False"}, True, False),
        ({"ssl_cert_reqs": "none"}, False, False),
        ({"ssl_cert_reqs": None}, False, False),
        ({"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}, False, False),
    ],
)
def test_options(options: dict[str, Any], verifies: bool, compares: bool) -> None:
    """Certificates and names are checked unless that is turned off."""
    context = context_of(options)
    assert context.verify_mode == (ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE)
    assert context.check_hostname is compares


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"ssl_cert_reqs": "optional"}, "ssl_cert_reqs is required or none, not 'optional'"),
        ({"ssl_check_hostname": "no"}, "ssl_check_hostname is true or false, not 'no'"),
        (
            {"ssl_ca_certs": "/no/such.pem"},
            r"ssl_ca_certs='/no/such\.pem' has no certificates that can be read: .*No",
        ),
        ({"ssl_certfile": "/no/such.pem"}, r"ssl_certfile='/no/such\.pem' and ssl_keyfile=None are no certificate"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], sentence: str) -> None:
    """The error names the option, its value and what would be right."""
    with pytest.raises(ValueError, match=sentence):
        context_of(options)


def test_file_without_certificates(tmp_path: Path) -> None:
    """It is named."""
    (tmp_path / "empty.pem").touch()
    with pytest.raises(ValueError, match=r"empty\.pem' has no certificates"):
        context_of({"ssl_ca_certs": str(tmp_path / "empty.pem")})


def test_a_silent_server_is_not_waited_for_without_end(tls_server: TlsServer) -> None:
    """Neither for an answer nor until it takes what is sent; whoever comes after that has another link."""
    layer = RedisChannelLayer(hosts=tls_server.url, prefix="tls:", timeout=0.5)
    layer.send("work", {"n": 1})
    with tls_server.paused(), ThreadPoolExecutor(1) as pool:
        for data in (b"", bytes(900_000)):
            sending = pool.submit(layer.send, "work", {"data": data})
            with pytest.raises(LayerUnavailable):
                sending.result(10.0)
    assert layer.receive(["work"])[1] == {"n": 1}
    layer.close()
