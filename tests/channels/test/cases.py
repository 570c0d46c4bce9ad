"""Runs a function as a test of a test case, with all that Django does around one."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from django.test import SimpleTestCase, TestCase

from channels.test import ChannelTestCase


def result_of(
    function: Callable[[Any], object], base: type[SimpleTestCase] = ChannelTestCase, **attributes: Any
) -> unittest.TestResult:
    """Return what came of ``function`` as the only test of a class."""
    case = type("Case", (base,), {"test": lambda test, function=function: function(test), **attributes})
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


def run(
    function: Callable[[Any], object], base: type[SimpleTestCase] = ChannelTestCase, **attributes: Any
) -> unittest.TestResult:
    """As :func:`result_of`; it has to pass."""
    result = result_of(function, base, **attributes)
    assert result.testsRun == 1
    for _, trace in result.errors + result.failures:
        raise AssertionError(trace)
    return result


def in_transaction(function: Callable[[], object]) -> None:
    """Run ``function`` in the transaction that Django's own ``TestCase`` holds around a test."""
    run(lambda case: function(), TestCase)
