from __future__ import annotations

import re

import pytest
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory, override_settings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daphne.config import Config
from daphne.origin import OriginVerdict, check_origin

SETTINGS = Config(
    allowed_hosts=("example.com", "Shop.Example.COM", ".wild.com", "*", "*.star.com", "[2001:db8::1]", "port.com:8000"),
    trusted_origins=(
        "https://trusted.com",
        "https://ported.com:8443",
        "https://*.sub.com",
        "https://*.eight.com:8443",
        "https://Upper.com",
        "https://slash.com/",
        "file://",
        "null",
        "https://*",
    ),
)
DEBUG = Config(debug=True)


def judge(origin: str, host: str, config: Config = SETTINGS) -> OriginVerdict:
    """Judge a handshake that has one of each header."""
    return check_origin([(b"host", host.encode()), (b"origin", origin.encode())], config)


ALLOWED = [
    # the host of Origin is that of Host
    ("http://here.org", "here.org"),
    ("https://here.org", "here.org"),
    ("http://here.org:8000", "here.org:8000"),
    ("http://here.org:3000", "here.org:8000"),
    ("http://here.org", "here.org:8000"),
    ("https://here.org:8443", "here.org"),
    ("https://HERE.org", "here.ORG"),
    ("https://here.org.", "here.org"),
    ("https://here.org", "here.org.:443"),
    ("http://127.0.0.1:3000", "127.0.0.1:8000"),
    ("http://[::1]:3000", "[::1]:8000"),
    ("http://[::1]", "[0:0:0:0:0:0:0:1]"),
    ("http://my_service:3000", "my_service"),
    ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("chrome-extension://here.org", "here.org"),
    # a concrete entry of ALLOWED_HOSTS
    ("https://example.com", "other.org"),
    ("https://example.com:3000", "other.org"),
    ("https://EXAMPLE.com.", "other.org"),
    ("https://shop.example.com", "other.org"),
    ("http://[2001:db8:0::1]:81", "other.org"),
    # CSRF_TRUSTED_ORIGINS
    ("https://trusted.com", "other.org"),
    ("https://TRUSTED.com", "other.org"),
    ("https://upper.com", "other.org"),
    ("https://ported.com:8443", "other.org"),
    ("https://a.sub.com", "other.org"),
    ("https://a.b.sub.com", "other.org"),
    ("https://sub.com", "other.org"),
    ("https://a.eight.com:8443", "other.org"),
    ("file://", "other.org"),
]

REFUSED = [
    # another host
    ("https://evil.com", "here.org"),
    ("https://here.org.evil.com", "here.org"),
    ("https://evilhere.org", "here.org"),
    ("https://www.here.org", "here.org"),
    ("https://here.org", "www.here.org"),
    ("https://here.org..", "here.org"),
    ("http://127.0.0.1", "localhost"),
    ("http://[::2]", "[::1]"),
    ("https://evil.com", "évil.com"),
    # a wildcard of ALLOWED_HOSTS opens nothing, and neither does what Django would not match
    ("https://wild.com", "other.org"),
    ("https://a.wild.com", "other.org"),
    ("https://.wild.com", "other.org"),
    ("https://a.star.com", "other.org"),
    ("https://*.star.com", "other.org"),
    ("https://*", "other.org"),
    ("https://port.com", "other.org"),
    ("https://port.com:8000", "other.org"),
    ("https://a.example.com", "other.org"),
    # scheme and port count in CSRF_TRUSTED_ORIGINS
    ("http://trusted.com", "other.org"),
    ("https://trusted.com:8443", "other.org"),
    ("https://trusted.com.", "other.org"),
    ("https://ported.com", "other.org"),
    ("http://a.sub.com", "other.org"),
    ("https://a.sub.com:8443", "other.org"),
    ("https://evilsub.com", "other.org"),
    ("https://.sub.com", "other.org"),
    ("https://a.eight.com", "other.org"),
    ("https://slash.com", "other.org"),
    # no origin of a page that has one
    ("null", "other.org"),
    ("NULL", "other.org"),
    ("null", "null"),
    ("", "other.org"),
    ("file:///etc/passwd", "other.org"),
    ("here.org", "here.org"),
    ("//here.org", "here.org"),
    ("://here.org", "here.org"),
    ("http:here.org", "here.org"),
    ("http:///here.org", "here.org"),
    ("http://", ""),
    ("http://.", "."),
    ("http://here.org/", "here.org"),
    ("http://here.org?", "here.org"),
    ("http://here.org#", "here.org"),
    ("http://here.org\\@evil.com", "here.org"),
    ("http://here.org@evil.com", "here.org"),
    ("http://evil.com@here.org", "here.org"),
    ("https://evil.com@a.sub.com", "other.org"),
    ("https://evil.com#.sub.com", "other.org"),
    ("https://evil.com/.sub.com", "other.org"),
    ("http://here.org:", "here.org"),
    ("http://here.org:80:80", "here.org"),
    ("http://here.org:http", "here.org"),
    ("http://here.org:123456", "here.org"),
    ("http://here.org http://evil.com", "here.org"),
    ("http://here.org, http://evil.com", "here.org"),
    ("http://bücher.example", "bücher.example"),
    ("http://::1", "::1"),
    ("http://[::1", "[::1"),
    ("http://[1:2]", "[1:2]"),
    ("http://[::1%eth0]", "[::1%eth0]"),
    ("http://here%2eorg", "here%2eorg"),
    # loopback pages and blank pages, without DEBUG
    ("http://localhost:3000", "other.org"),
    ("http://127.0.0.1", "other.org"),
]


@pytest.mark.parametrize(("origin", "host"), ALLOWED)
def test_pages_of_this_site_and_of_the_settings_pass_without_a_word(origin: str, host: str) -> None:
    """Same host, concrete ALLOWED_HOSTS and CSRF_TRUSTED_ORIGINS open the door."""
    assert judge(origin, host) == OriginVerdict(True, "")


@pytest.mark.parametrize(("origin", "host"), REFUSED)
def test_any_other_page_is_refused(origin: str, host: str) -> None:
    """Other hosts, wildcards, tricks with the syntax and pages without an origin are refused with a sentence."""
    verdict = judge(origin, host)
    assert not verdict.allowed
    assert verdict.reason


def test_no_origin_passes() -> None:
    """A client that sends no Origin is no browser."""
    assert check_origin([(b"host", b"example.com")], Config()) == OriginVerdict(True)


@pytest.mark.parametrize("second", [b"http://here.org", b"http://evil.com", b""])
@pytest.mark.parametrize("config", [SETTINGS, DEBUG])
def test_several_origins_are_refused(second: bytes, config: Config) -> None:
    """Two Origin headers are refused even if they agree."""
    headers = [(b"host", b"here.org"), (b"origin", b"http://here.org"), (b"origin", second)]
    verdict = check_origin(headers, config)
    assert not verdict.allowed
    assert "sends one Origin" in verdict.reason


@pytest.mark.parametrize("hosts", [[], [b"here.org", b"here.org"], [b"here.org", b"evil.com"], [b"here.org, here.org"]])
def test_a_host_that_is_not_one_host_equals_no_origin(hosts: list[bytes]) -> None:
    """Without exactly one Host there is nothing to compare with, only the settings."""
    headers = [(b"host", host) for host in hosts]
    assert not check_origin([*headers, (b"origin", b"http://here.org")], SETTINGS).allowed
    assert check_origin([*headers, (b"origin", b"https://trusted.com")], SETTINGS).allowed


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000",
        "https://LOCALHOST",
        "http://127.0.0.1:5173",
        "http://127.8.9.10",
        "http://[::1]:80",
        "null",
    ],
)
def test_debug_lets_pages_of_this_machine_pass_and_says_so(origin: str) -> None:
    """Loopback pages and the console of a blank page pass in DEBUG, with a line for the log."""
    verdict = judge(origin, "other.org", DEBUG)
    assert verdict.allowed
    assert "DEBUG" in verdict.reason


def test_debug_says_nothing_where_the_page_passes_anyway() -> None:
    """The same host needs no DEBUG and no log line."""
    assert judge("http://localhost:3000", "localhost:8000", DEBUG) == OriginVerdict(True, "")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.com",
        "http://localhost.evil.com",
        "http://127.0.0.1.evil.com",
        "http://128.0.0.1",
        "http://127.1",
        "http://[::ffff:127.0.0.1]",
        "http://[::]",
        "http://0.0.0.0",
        "http://user@localhost",
        "file://",
        "",
    ],
)
def test_debug_opens_nothing_else(origin: str) -> None:
    """DEBUG is for this machine alone."""
    assert not judge(origin, "other.org", DEBUG).allowed


def test_a_refusal_names_origin_host_and_setting() -> None:
    """The sentence is enough to act on, also behind a reverse proxy."""
    assert judge("https://evil.com:8443", "here.org:80").reason == (
        "Origin 'https://evil.com:8443' at Host 'here.org:80' is refused: if the page is yours, add its origin to "
        "CSRF_TRUSTED_ORIGINS or its host to ALLOWED_HOSTS; a reverse proxy must pass on the Host it received."
    )


def test_the_other_sentences_name_what_they_are_about() -> None:
    """A blank page, a malformed origin and a missing Host are named."""
    assert judge("null", "here.org").reason == (
        "Origin 'null' at Host 'here.org' is a page without an address (blank, sandboxed or a file): "
        "it passes only with DEBUG."
    )
    assert "not scheme://host[:port]" in judge("http://a@b", "here.org").reason
    assert "at Host (none)" in check_origin([(b"origin", b"http://a")], SETTINGS).reason


def test_what_a_client_sends_cannot_forge_or_flood_the_log() -> None:
    """Values are quoted, reduced to ASCII and cut."""
    reason = judge("http://a\r\nfake\x1b[0m\N{SNOWMAN}" + "a" * 5000, "b" * 5000).reason
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) < 500


HOSTS = st.sampled_from(
    ["a.com", "b.a.com", "c.b.a.com", "ba.com", "com", "a.com:81", "b.a.com:81", "localhost", "[::1]:1"]
)
ORIGINS = st.builds("{}://{}".format, st.sampled_from(["http", "https", "app"]), HOSTS)
ENTRIES = st.one_of(
    ORIGINS,
    st.builds("{}://*{}{}".format, st.sampled_from(["http", "https"]), st.sampled_from(["", "."]), HOSTS),
    st.builds("{}://*.{}/".format, st.just("https"), HOSTS),
    st.builds("{}/".format, ORIGINS),
)


@settings(deadline=None)
@given(ORIGINS, st.lists(ENTRIES, max_size=3))
def test_trusted_origins_mean_what_they_mean_to_django(origin: str, entries: list[str]) -> None:
    """The verdict is that of Django's middleware, where Host and ALLOWED_HOSTS play no part."""
    request = RequestFactory().post("/", headers={"origin": origin, "host": "elsewhere.invalid"})
    with override_settings(CSRF_TRUSTED_ORIGINS=entries, ALLOWED_HOSTS=["elsewhere.invalid"]):
        expected = CsrfViewMiddleware(lambda request: None)._origin_verified(request)  # type: ignore[arg-type, attr-defined]  # private, and the only home of the rule
    config = Config(trusted_origins=tuple(entries))
    assert judge(origin, "elsewhere.invalid", config).allowed is expected


ONLY_EXAMPLE = re.compile(r"[a-z][a-z0-9+.-]*://only\.example\.?(:[0-9]{1,5})?", re.IGNORECASE | re.ASCII)
PIECES = ["http", "https", "x", ":", "//", "://", "only", ".", "example", "@", "[", "]", "%", "*", "80", " ", "\\", "é"]


@settings(deadline=None)
@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
@example("https://only.example.:80")
def test_no_text_opens_the_door_but_an_origin_of_the_very_host(origin: str) -> None:
    """Whatever is sent gets a verdict, and the wildcards of ALLOWED_HOSTS play no part in it."""
    verdict = judge(origin, "only.example", Config(allowed_hosts=("*", ".example")))
    assert verdict.allowed is bool(ONLY_EXAMPLE.fullmatch(origin))
