"""Test cases whose consumers run in the test's own thread, on its database connection."""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.test import TestCase, TransactionTestCase

from channels.channel import Channel, Group
from channels.layers import DEFAULT_CHANNEL_LAYER
from channels.message import Message
from channels.test.client import Client
from channels.test.sent import ANYTHING
from channels.test.stage import Stage

__unittest = True  # its frames stay out of the traceback of a failed assertion

if TYPE_CHECKING:
    Base = unittest.TestCase
else:
    Base = object


class ChannelTestCaseMixin(Base):
    """Gives each test layers of its own, in memory: those of ``test_channel_aliases``, of all by default.

    ``channel_stage`` is what the methods here act on.
    """

    test_channel_aliases: Sequence[str] | None = None
    channel_stage: Stage

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test on layers of its own."""
        with self._staged():
            return super().run(result)

    def debug(self) -> None:
        """As :meth:`run`, without collecting what goes wrong."""
        with self._staged():
            super().debug()

    def _staged(self) -> AbstractContextManager[object]:
        try:
            self.channel_stage = Stage(self.test_channel_aliases)
        except ImproperlyConfigured as error:
            # Raised here it would end the whole run: raised by setUp, it is this test's error.
            self.setUp = partial(_raise, error)  # type: ignore[method-assign]  # see above
            return nullcontext()
        return self.channel_stage

    def get_next_message(
        self, channel: str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Message | None:
        """Take the next message of ``channel``; if there is none, return ``None``, or fail with ``require``."""
        return self.channel_stage.get_next_message(channel, alias, require)

    def run_consumers(self) -> int:
        """Run consumers until no message waits for one; return how many were run, raise what they raise."""
        return self.channel_stage.run_consumers()

    def advance(self, seconds: float) -> int:
        """Let time pass for the layers: messages expire, and those that wait for it are handled."""
        return self.channel_stage.advance(seconds)

    def assert_sent(
        self,
        channel: str | Channel | Client,
        content: Any = ANYTHING,
        *,
        json: Any = ANYTHING,
        alias: str = DEFAULT_CHANNEL_LAYER,
    ) -> dict[str, Any]:
        """Fail unless ``content``, or a message with ``json`` in its text, was sent to ``channel``; return it.

        A channel, or a client. Each message counts once, and not if a client has received it.
        """
        return self.channel_stage.assert_sent(channel, content, json=json, alias=alias)

    def assert_group_sent(
        self,
        group: str | Group,
        content: Any = ANYTHING,
        *,
        json: Any = ANYTHING,
        alias: str = DEFAULT_CHANNEL_LAYER,
    ) -> dict[str, Any]:
        """As :meth:`assert_sent`, of what was sent to ``group``."""
        return self.channel_stage.assert_group_sent(group, content, json=json, alias=alias)

    def assert_nothing_sent(
        self,
        channel: str | Channel | Client | None = None,
        *,
        group: str | Group | None = None,
        alias: str = DEFAULT_CHANNEL_LAYER,
    ) -> None:
        """Fail if anything was sent, there or at all, that no assertion and no client has looked at."""
        self.channel_stage.assert_nothing_sent(channel, group=group, alias=alias)

    def forget_sent(self) -> None:
        """Count everything sent so far as looked at."""
        self.channel_stage.forget_sent()


def _raise(error: Exception) -> NoReturn:
    raise error


class ChannelTestCase(ChannelTestCaseMixin, TestCase):
    """Django's :class:`~django.test.TestCase` with channel layers: each test runs in a transaction of its own."""


class TransactionChannelTestCase(ChannelTestCaseMixin, TransactionTestCase):
    """Django's :class:`~django.test.TransactionTestCase` with channel layers: what a test writes is committed."""
