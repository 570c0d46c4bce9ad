"""Test cases: each test on layers of its own, with the assertions at hand."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import SimpleTestCase, TestCase, TransactionTestCase, override_settings

from channels import Channel, Group, channel_layers, route
from channels.test import ChannelTestCase, TransactionChannelTestCase, WSClient, apply_routes
from channels.test.cases import ChannelTestCaseMixin
from channels.test.stage import StagedLayer
from tests.channels.test.cases import result_of, run

pytestmark = pytest.mark.usefixtures("database")
both = pytest.mark.parametrize("base", [ChannelTestCase, TransactionChannelTestCase])


@both
def test_methods_act_on_the_stage(base: Any) -> None:
    """What a stage can, a test case can."""

    def test(case: Any) -> None:
        with apply_routes(route("work", lambda message: Group("all").send({"text": "[1]"}))):
            case.assert_nothing_sent()
            Channel("work").send({"n": 1})
            assert case.run_consumers() == 1
            case.assert_sent("work", {"n": 1})
            case.assert_group_sent("all", json=[1])
            Channel("other").send({"n": 2})
            assert case.get_next_message("other", require=True)["n"] == 2
            Channel("other").send({"n": 3})
            case.forget_sent()
            case.assert_nothing_sent()
            assert case.advance(61) == 0
            assert case.get_next_message("other") is None

    run(test, base)


@both
def test_tests_are_apart(base: Any) -> None:
    """What one test leaves in the layers, the next one does not find."""

    def test(case: Any) -> None:
        case.assert_nothing_sent()
        assert case.get_next_message("work") is None
        Channel("work").send({})

    for _ in range(2):
        run(test, base)


def test_bases_are_djangos() -> None:
    """One rolls back, the other commits."""
    assert issubclass(ChannelTestCase, TestCase)
    assert issubclass(TransactionChannelTestCase, TransactionTestCase)
    assert not issubclass(TransactionChannelTestCase, TestCase)


def test_commits_are_followed(caplog: pytest.LogCaptureFixture) -> None:
    """In either case a client hears of what was sent by ``on_commit``, in the test itself too."""
    from django.db import transaction  # as a test would have it

    def test(case: Any) -> None:
        with apply_routes(route("websocket.connect", lambda message: Group("all").add(message.reply_channel))):
            client = WSClient()
            client.connect()
            with transaction.atomic():
                User.objects.create(username="ada")
                transaction.on_commit(lambda: Group("all").send({"text": "ada is there"}))
                assert client.receive() is None
            assert client.receive() == "ada is there"

    run(test, ChannelTestCase)
    run(test, TransactionChannelTestCase)


def test_failure_points_at_the_test() -> None:
    """The traceback of an assertion ends in the line of the test."""

    def test(case: Any) -> None:
        case.assert_sent("work")

    [(_, trace)] = result_of(test).failures
    frames = [line for line in trace.splitlines() if line.lstrip().startswith("File ")]
    assert "in test" in frames[-1]
    assert "channels/test/" not in trace.replace(__file__, "").replace("tests/channels/test/cases.py", "")


def test_bad_settings_are_an_error_of_the_test() -> None:
    """And not the end of the run."""
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": "x.y"}}):
        result = result_of(lambda case: None)
    assert "CHANNEL_LAYERS['default'] has no ROUTING" in result.errors[0][1]
    result = result_of(lambda case: None, test_channel_aliases=["defualt"])
    assert "Did you mean 'default'?" in result.errors[0][1]


def test_aliases_can_be_chosen() -> None:
    """As in 1.x."""

    def test(case: Any) -> None:
        assert list(case.channel_stage.layers) == ["default"]

    run(test, test_channel_aliases=["default"])


def test_case_can_be_debugged() -> None:
    """Run without a result, a test raises what goes wrong."""

    class Case(ChannelTestCaseMixin, SimpleTestCase):
        def test(self) -> None:
            Channel("work").send({})
            self.assert_nothing_sent()

    with pytest.raises(AssertionError, match="one message was"):
        Case("test").debug()
    assert not isinstance(channel_layers["default"], StagedLayer)
