from __future__ import annotations

from typing import Any

import pytest

from daphne.cli import configured
from daphne.cli.intake import completed
from daphne.cli.options import given_options
from daphne.config import Config
from daphne.endpoints import Tcp, Unix
from tests.daphne.cli.commands import parsed


@pytest.mark.parametrize(
    ("arguments", "settings", "expected"),
    [
        ([], {}, ()),
        (["--proxy-headers"], {}, ("127.0.0.0/8", "::1", "unix")),
        (["--proxy_headers"], {"trusted_proxies": ("10.0.0.1",)}, ("10.0.0.1",)),
        (["--proxy-headers", "--trusted-proxy", "10.0.0.2"], {"trusted_proxies": ("10.0.0.1",)}, ("10.0.0.2",)),
        (["--trusted-proxy", "10.0.0.2"], {}, ("10.0.0.2",)),
    ],
)
def test_proxy_headers_trusts_this_machine(
    arguments: list[str], settings: dict[str, Any], expected: tuple[str, ...]
) -> None:
    """Where nobody says who the proxies are; in 1.x it was everybody."""
    options = parsed(*arguments)
    assert completed(configured({**settings, **given_options(options)}), options).trusted_proxies == expected


def test_probes_are_asked_in_one_place() -> None:
    """With an endpoint of their own they are not answered where requests come."""
    options = parsed("--probe-endpoint", "tcp:9000:interface=0.0.0.0", "--probe-endpoint", "unix:/x")
    assert options.probe_endpoints == [Tcp("0.0.0.0", 9000), Unix("/x")]
    assert not completed(Config(), options).probes
    assert completed(Config(), parsed()).probes
