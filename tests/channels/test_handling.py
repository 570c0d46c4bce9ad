"""What a route says of how its messages are handled."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels.routing import Router, include, null_consumer, route


@pytest.mark.parametrize(
    ("channel", "options", "text"),
    [
        ("jobs", {"delivery": "exactly-once"}, "delivery is 'at-most-once' or 'at-least-once', not 'exactly-once'"),
        ("jobs", {"retries": 3}, "retries=3 means nothing without delivery='at-least-once'"),
        ("jobs", {"delivery": "at-least-once", "retries": -1}, "retries is 0 to 250, not -1"),
        ("jobs", {"delivery": "at-least-once", "retries": 251}, "retries is 0 to 250, not 251"),
        ("jobs", {"traffic": "slow"}, "traffic is one of 'http', 'websocket', 'background', not 'slow'"),
        ("jobs", {"soft_limit": 0}, "soft_limit is more than 0 seconds, not 0"),
        ("jobs", {"hard_limit": -1}, "hard_limit is more than 0 seconds, not -1"),
        ("http.request", {"delivery": "at-least-once"}, "channels of your own: behind 'http.request' a client waits"),
    ],
)
def test_values_that_make_no_sense_are_refused(channel: str, options: dict[str, Any], text: str) -> None:
    """With the route they are in."""
    with pytest.raises(ValueError, match=f"^{channel} -> channels.routing.null_consumer: .*{text}"):
        route(channel, null_consumer, **options)


def test_a_router_knows_what_its_routes_say() -> None:
    """By channel, also below a prefix."""
    kept = route("jobs", null_consumer, delivery="at-least-once", traffic="http")
    often = route("more", null_consumer, delivery="at-least-once", retries=7)
    router = Router([include([kept], path="^/x"), often, route("rest", null_consumer)])
    router.check_default()
    assert router.retries == {"jobs": 3, "more": 7}
    assert router.traffic["jobs"] == "http"
    assert router.traffic["rest"] == "background"
    assert router.traffic["websocket.receive"] == "websocket"


def test_routes_of_a_channel_have_to_agree() -> None:
    """A message is kept before anybody knows which route it takes."""
    kept = route("jobs", null_consumer, delivery="at-least-once", kind="a")
    with pytest.raises(ImproperlyConfigured, match="read 'jobs' with different delivery or retries"):
        Router([kept, route("jobs", null_consumer)])
