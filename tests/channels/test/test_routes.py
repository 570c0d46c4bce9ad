"""Routes in place of those of the settings."""

import asyncio
import unittest
from typing import Any

import pytest
from django.test import SimpleTestCase

from channels import channel_layers, include, route
from channels.test import ChannelTestCase, Stage, apply_routes
from tests.channels.test.cases import run


def names() -> set[str]:
    """Return the channels of one's own that are routed."""
    return {name for name in channel_layers["default"].router.channels if "." not in name}


def route_to(name: str) -> Any:
    """Return a route for the channel ``name``."""
    return route(name, print)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        (route_to("a"), {"a"}),
        ([route_to("a"), route_to("b")], {"a", "b"}),
        ([[route_to("a")], [route_to("b")]], {"a", "b"}),
        (include([route_to("a")]), {"a"}),
        ((route_to("a"), (route_to("b"),)), {"a", "b"}),
        ([], set()),
    ],
)
def test_routes_are_in_force_in_the_block(stage: Stage, routes: Any, expected: set[str]) -> None:
    """A route, a list, or a list of lists; behind the block it is as before."""
    with apply_routes(routes):
        assert names() == expected
    assert names() == set()


def test_blocks_nest(stage: Stage) -> None:
    """The innermost counts."""
    with apply_routes(route_to("a")):
        with apply_routes(route_to("b")):
            assert names() == {"b"}
        assert names() == {"a"}


def test_exception_puts_the_routes_back(stage: Stage) -> None:
    """However the block ends."""
    with pytest.raises(KeyError), apply_routes(route_to("a")):
        raise KeyError
    assert names() == set()


def test_functions_are_decorated(stage: Stage) -> None:
    """A function and a coroutine function, each time they run."""

    @apply_routes([route_to("a")])
    def function(suffix: str) -> list[str]:
        return [name + suffix for name in names()]

    @apply_routes([route_to("a")])
    async def coroutine_function() -> set[str]:
        await asyncio.sleep(0)
        return names()

    assert [function("!"), function(suffix="?")] == [["a!"], ["a?"]]
    assert asyncio.run(coroutine_function()) == {"a"}
    assert (function.__name__, names()) == ("function", set())


def test_test_cases_are_decorated(database: None) -> None:
    """The routes are there in each test, and in ``setUp`` already."""
    seen: list[set[str]] = []

    @apply_routes([route_to("a")])
    class Case(ChannelTestCase):
        def setUp(self) -> None:
            seen.append(names())

        def test_one(self) -> None:
            seen.append(names())

        def test_two(self) -> None:
            seen.append(names())

    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(unittest.TestResult())
    assert seen == [{"a"}] * 4


def test_a_layer_that_is_not_the_tests_is_routed_too() -> None:
    """In a plain test case the layer of the settings is."""

    def test(case: Any) -> None:
        with apply_routes(route_to("a")):
            assert names() == {"a"}
        assert "a" not in names()

    run(test, SimpleTestCase)


@pytest.mark.parametrize("aliases", ["default", ["default"]])
def test_layers_are_named(stage: Stage, aliases: Any) -> None:
    """By a list, or by a single name."""
    with apply_routes(route_to("a"), aliases):
        assert names() == {"a"}


def test_what_is_no_routing_is_told() -> None:
    """A consumer without its route, for one."""
    with pytest.raises(TypeError, match="routes are a route, a list of routes, or a list of such lists, not <built-in"):
        apply_routes(print)  # type: ignore[arg-type]  # a consumer by mistake
