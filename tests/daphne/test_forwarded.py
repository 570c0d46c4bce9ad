"""Forwarded headers: who may write them, what they say, and what nobody can make of them."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daphne.config import Config
from daphne.forwarded import READABLE, Proxies
from daphne.request import HttpError
from daphne.source import Address, Headers, Source

PROXY = ("10.0.0.1", 4711)
SERVER = ("10.0.0.9", 8000)
USUAL = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")
HOST = (b"host", b"inside")


def headers_of(**fields: str) -> Headers:
    """Return headers, with hyphens in their names, behind a Host."""
    return [HOST, *((name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items())]


def read(
    headers: Headers,
    listed: tuple[str, ...] = ("10.0.0.0/24",),
    names: tuple[str, ...] = USUAL,
    peer: Address = PROXY,
    is_secure: bool = False,
) -> tuple[Source, Headers]:
    """Return what the proxies say of a request."""
    proxies = Proxies(listed, names)
    source = Source(peer, SERVER, is_secure)
    return source, proxies.read(source, headers, proxies.trusts(peer))


def client(value: str, name: str = "x_forwarded_for", **options: Any) -> Address:
    """Return the client that one header tells of."""
    names = ("forwarded",) if name == "forwarded" else USUAL
    return read(headers_of(**{name: value}), names=names, **options)[0].client


# -- whose -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "peer", "expected"),
    [
        ((), PROXY, False),
        ((), None, False),
        (("10.0.0.1",), PROXY, True),
        (("10.0.0.2",), PROXY, False),
        (("10.0.0.0/8", "192.0.2.0/24"), PROXY, True),
        (("2001:db8::/32",), ("2001:db8::7", 1), True),
        (("2001:db8::/32",), PROXY, False),
        (("fe80::/10",), ("fe80::1%eth0", 1), True),
        (("127.0.0.1",), ("::ffff:127.0.0.1", 1), True),
        (("unix",), None, True),
        (("unix",), PROXY, False),
        (("10.0.0.0/8",), None, False),
        (("10.0.0.0/8",), ("no address", 1), False),
    ],
)
def test_a_proxy_is_one_that_is_listed(listed: tuple[str, ...], peer: Address, expected: bool) -> None:
    """By address, network, or as whoever connects by a Unix socket."""
    proxies = Proxies(listed, USUAL)
    assert proxies.trusts(peer) is expected
    assert bool(proxies) is bool(listed)


def test_from_anybody_else_forwarded_headers_are_taken_out() -> None:
    """Of whatever name in the family; the request is its peer's own."""
    forged = headers_of(x_forwarded_for="192.0.2.7", x_forwarded_proto="https", x_forwarded_prefix="/a")
    forged += headers_of(forwarded="for=192.0.2.7", daphne_root_path="/a", x_request_id="1", via="1.1 a")[1:]
    source, headers = read(forged, peer=("192.0.2.66", 1))
    assert source == Source(("192.0.2.66", 1), SERVER)
    assert headers == headers_of(x_request_id="1", via="1.1 a")


def test_of_a_proxy_only_what_it_writes_itself_is_left() -> None:
    """What it passes on was written by the client."""
    sent = headers_of(x_forwarded_for="192.0.2.7", x_forwarded_host="evil.example", forwarded="for=1.1.1.1;host=evil")
    source, headers = read(sent, names=("x-forwarded-for", "x-forwarded-proto"))
    assert source == Source(("192.0.2.7", 0), SERVER)
    assert headers == headers_of(x_forwarded_for="192.0.2.7")


# -- X-Forwarded-* -----------------------------------------------------------------------------------------------------


def test_everything_that_a_proxy_can_say() -> None:
    """Client, scheme, host and the port that the client has connected to."""
    sent = headers_of(
        x_forwarded_for="192.0.2.7", x_forwarded_proto="https", x_forwarded_host="a.example", x_forwarded_port="443"
    )
    source, headers = read(sent)
    assert source == Source(("192.0.2.7", 0), ("10.0.0.9", 443), True)
    assert headers == [(b"host", b"a.example"), *sent[1:]]


def test_a_proxy_that_says_nothing_changes_nothing() -> None:
    """A health check of its own, say."""
    assert read([HOST]) == (Source(PROXY, SERVER), [HOST])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("192.0.2.7", ("192.0.2.7", 0)),
        ("192.0.2.7:5123", ("192.0.2.7", 5123)),
        ("2001:db8::7", ("2001:db8::7", 0)),
        ("[2001:db8::7]", ("2001:db8::7", 0)),
        ("[2001:DB8:0::7]:5123", ("2001:db8::7", 5123)),
        ("::ffff:192.0.2.7", ("192.0.2.7", 0)),
        ("1.1.1.1, 192.0.2.7", ("192.0.2.7", 0)),
        ("1.1.1.1,192.0.2.7,10.0.0.3 , 10.0.0.2", ("192.0.2.7", 0)),
        ("10.0.0.4, 10.0.0.3", ("10.0.0.4", 0)),
        ("unknown, 10.0.0.3", ("10.0.0.3", 0)),
        ("unknown", PROXY),
        ("192.0.2.7, unknown", PROXY),
        ("999.0.2.7", PROXY),
        ("", PROXY),
        (" , ", PROXY),
    ],
)
def test_the_client_is_the_first_that_is_no_proxy(value: str, expected: Address) -> None:
    """Counted from this end, for the other is written by whoever wants to be somebody else."""
    assert client(value) == expected


def test_a_list_may_be_spread_over_fields() -> None:
    """As any list may (RFC 9110 section 5.2)."""
    sent = [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-for", b"10.0.0.3")]
    assert read(sent)[0].client == ("192.0.2.7", 0)


@pytest.mark.parametrize(
    ("clients", "schemes", "expected"),
    [
        ("192.0.2.7", "https", True),
        ("192.0.2.7", "HTTPS", True),
        ("192.0.2.7", "wss", True),
        ("192.0.2.7", "http", False),
        ("192.0.2.7", "https, http", False),
        ("192.0.2.7, 10.0.0.2", "https, http", True),
        ("192.0.2.7, 10.0.0.2", "http, https, http", True),
        ("192.0.2.7, 10.0.0.2", "https", True),
        ("unknown", "http, https", True),
    ],
)
def test_the_scheme_is_that_of_the_clients_own_connection(clients: str, schemes: str, expected: bool) -> None:
    """In a list it stands where the client stands; one that is no list was replaced or passed on by each proxy."""
    sent = headers_of(x_forwarded_for=clients, x_forwarded_proto=schemes)
    assert read(sent)[0].is_secure is expected


def test_http_in_front_of_tls_is_http() -> None:
    """What the proxy says counts, not how it connects."""
    assert not read(headers_of(x_forwarded_proto="http"), is_secure=True)[0].is_secure


# -- Forwarded ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=192.0.2.7", ("192.0.2.7", 0)),
        ('For="192.0.2.7:5123"', ("192.0.2.7", 5123)),
        ('for="[2001:db8::7]:5123"', ("2001:db8::7", 5123)),
        ('for="\\1\\9\\2.0.2.7"', ("192.0.2.7", 0)),
        ("for=1.1.1.1, for=192.0.2.7;by=10.0.0.2,for=10.0.0.2", ("192.0.2.7", 0)),
        ("for=192.0.2.7 ; proto=https,, , for=10.0.0.2;", ("192.0.2.7", 0)),
        ("for=_hidden, for=10.0.0.2", ("10.0.0.2", 0)),
        ("for=unknown", PROXY),
        ("by=10.0.0.2", PROXY),
        ('for=""', PROXY),
    ],
)
def test_the_standard_field_tells_the_client(value: str, expected: Address) -> None:
    """By the same rule (RFC 7239)."""
    assert client(value, "forwarded") == expected


def test_all_that_an_element_says_belongs_together() -> None:
    """Scheme and host are those of the hop that the client is at."""
    value = 'for=1.1.1.1;proto=http;host=evil, for=192.0.2.7;proto=https;host="a.example:444", for=10.0.0.2;proto=http'
    source, headers = read(headers_of(forwarded=value), names=("forwarded",))
    assert source == Source(("192.0.2.7", 0), SERVER, True)
    assert headers[0] == (b"host", b"a.example:444")


def test_a_client_that_is_hidden_still_has_a_scheme() -> None:
    """The nearest proxy says it."""
    source, headers = read(headers_of(forwarded="for=_a;proto=https;host=a.example"), names=("forwarded",))
    assert source == Source(PROXY, SERVER, True)
    assert headers[0] == (b"host", b"a.example")


# -- the mount point ---------------------------------------------------------------------------------------------------


def test_a_proxy_may_say_where_the_application_is_mounted() -> None:
    """In the header of 1.x, which is for the server alone."""
    source, headers = read(headers_of(daphne_root_path="/caf%C3%A9"), names=("daphne-root-path",))
    assert (source.root_path, headers) == ("/café", [HOST])


# -- what cannot be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (("forwarded",), {"forwarded": 'for="192.0.2.7'}),
        (("forwarded",), {"forwarded": "for=192.0.2.7 proto=https"}),
        (("forwarded",), {"forwarded": "for = 192.0.2.7"}),
        (("forwarded",), {"forwarded": "192.0.2.7"}),
        (("forwarded",), {"forwarded": "for=[2001:db8::7]"}),
        (("forwarded",), {"forwarded": "for=192.0.2.7;proto=ftp"}),
        (("forwarded",), {"forwarded": 'for=192.0.2.7;host="a b"'}),
        (USUAL, {"x_forwarded_proto": "on"}),
        (USUAL, {"x_forwarded_host": "a b"}),
        (USUAL, {"x_forwarded_host": "a@b"}),
        (USUAL, {"x_forwarded_port": "x"}),
        (USUAL, {"x_forwarded_port": "123456"}),
    ],
)
def test_what_a_proxy_says_and_nobody_understands_is_refused(names: tuple[str, ...], fields: dict[str, str]) -> None:
    """To go on would be to take the proxy for the client."""
    with pytest.raises(HttpError) as refusal:
        read(headers_of(**fields), names=names)
    assert refusal.value.status == 400
    assert "of a proxy" in refusal.value.reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trusted_proxies": ("nginx",)}, "trusted_proxies: 'nginx' is neither an address, a network such as 10.0.0.0"),
        ({"trusted_proxies": ("10.0.0.1/8",)}, "has host bits set"),
        ({"trusted_proxies": ("*",)}, "for everybody, where nobody else can reach this server, 0.0.0.0/0"),
        ({"trusted_proxies": (17,)}, "trusted_proxies: 17 is neither"),
        ({"trusted_proxies": "10.0.0.1"}, "trusted_proxies is tuple"),
        ({"forwarded_headers": ("x-real-ip",)}, "'x-real-ip' is none of x-forwarded-for, x-forwarded-proto"),
        ({"forwarded_headers": ("forwarded", "X-Forwarded-For")}, "either 'forwarded' or 'x-forwarded-...'"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(options: dict[str, Any], message: str) -> None:
    """With what it could be."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(**options)


ANYTHING = st.binary(max_size=60)
NEAR = st.lists(
    st.sampled_from(
        [b"for=", b"192.0.2.7", b"10.0.0.2", b'"', b"\\", b",", b";", b"proto=https", b"[::1]", b" ", b":1"]
    )
).map(b"".join)


@settings(deadline=None)
@given(st.sampled_from(READABLE), st.one_of(ANYTHING, NEAR))
def test_whatever_a_client_has_written_what_the_proxy_appends_counts(name: str, value: bytes) -> None:
    """Or the request is refused; nobody else's address is ever taken for the client's."""
    appended = b"for=198.51.100.9" if name == "forwarded" else b"198.51.100.9"
    source = Source(PROXY, SERVER)
    with suppress(HttpError):
        Proxies(["10.0.0.0/24"], [name]).read(source, [HOST, (name.encode(), value + b", " + appended)], is_proxy=True)
        if name in ("forwarded", "x-forwarded-for"):
            assert source.client == ("198.51.100.9", 0)
