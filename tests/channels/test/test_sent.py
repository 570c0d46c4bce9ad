"""Assertions on what was sent, and what they say when they fail."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from channels import Channel, Group, route
from channels.message import Message
from channels.test import Client, Stage, WSClient, apply_routes


@pytest.fixture(autouse=True)
def routed(stage: Stage) -> Any:
    """A consumer that passes on what it gets."""
    with apply_routes([route("websocket.receive", pass_on), route("thumbnails", pass_on)]):
        yield


def pass_on(message: Message) -> None:
    """Send the text on, to a channel, a group and back."""
    Channel("archive").send({"text": message["text"]})
    Group("all").send({"text": message["text"]}, without=["somebody"])
    if message.reply_channel:
        message.reply_channel.send({"text": message["text"]})


def failure(assertion: Callable[[], object]) -> str:
    """Return what an assertion says that fails."""
    with pytest.raises(AssertionError) as failed:
        assertion()
    return str(failed.value)


# -- what passes -------------------------------------------------------------------------------------------------------


def test_message_is_found_and_returned(stage: Stage) -> None:
    """By its channel alone, by its content, or by what its text says as JSON."""
    Channel("thumbnails").send({"text": '{"size": 1}'})
    Channel("thumbnails").send({"text": '{"size": 2}'})
    Channel("thumbnails").send({"pair": (1, 2)})
    assert stage.assert_sent("thumbnails", json={"size": 2}) == {"text": '{"size": 2}'}
    assert stage.assert_sent(Channel("thumbnails"), {"pair": (1, 2)}) == {"pair": [1, 2]}
    assert stage.assert_sent("thumbnails") == {"text": '{"size": 1}'}


def test_group_message_is_found(stage: Stage) -> None:
    """By the group or its name."""
    Group("all").send({"text": "1"})
    Group("all").send({"text": "2"})
    stage.assert_group_sent("all", json=2)
    stage.assert_group_sent(Group("all"), {"text": "1"})


def test_message_to_a_client_is_found(client: WSClient, stage: Stage) -> None:
    """A client stands for its reply channel."""
    Channel(client.reply_channel).send({"text": "hello"})
    stage.assert_sent(client, {"text": "hello"})


def test_each_message_counts_once(stage: Stage) -> None:
    """Two that are alike pass two assertions and no third."""
    for _ in range(2):
        Channel("thumbnails").send({"text": "same"})
    stage.assert_sent("thumbnails", {"text": "same"})
    stage.assert_sent("thumbnails", {"text": "same"})
    assert "looked at before" in failure(lambda: stage.assert_sent("thumbnails", {"text": "same"}))


def test_what_was_looked_at_is_not_in_the_way(client: WSClient, stage: Stage) -> None:
    """By an assertion, by a client that received it, by a step of 1.x, or by forgetting."""
    stage.assert_nothing_sent()
    Group("all").add(client.reply_channel)
    client.send_and_consume("websocket.receive", text="hello")
    stage.assert_sent("archive")
    assert [client.receive(), client.receive()] == ["hello", "hello"]
    stage.assert_nothing_sent()
    Channel("thumbnails").send({"text": "a"})
    Channel("thumbnails").send({"text": "b"})
    client.consume("thumbnails")
    stage.get_next_message("thumbnails")
    stage.assert_nothing_sent("thumbnails")
    stage.forget_sent()
    stage.assert_nothing_sent()


def test_refused_message_was_not_sent(stage: Stage) -> None:
    """What does not fit into its queue does not count."""
    full = stage.layer("default").channel_layer
    for _ in range(full.capacity):
        full.send("thumbnails", {"text": "x"})
    with pytest.raises(full.ChannelFull):
        Channel("thumbnails").send({"text": "last"})
    failure(lambda: stage.assert_sent("thumbnails", {"text": "last"}))


def test_async_sends_count(stage: Stage) -> None:
    """What a coroutine sends is remembered as well."""

    async def send() -> None:
        await Channel("thumbnails").asend({"text": "x"})
        await Group("all").asend({"text": "y"})

    asyncio.run(send())
    stage.assert_sent("thumbnails", {"text": "x"})
    stage.assert_group_sent("all", {"text": "y"})


# -- what fails, and what it says --------------------------------------------------------------------------------------


def test_nothing_at_all(stage: Stage) -> None:
    """Without any send there is nothing to compare with."""
    assert failure(lambda: stage.assert_sent("thumbnails")) == (
        "No such message was sent to channel 'thumbnails'.\nNothing at all was sent."
    )


def test_other_content_is_shown_beside_what_was_expected(stage: Stage) -> None:
    """A single message that is not as expected is compared with it, piece by piece."""
    Channel("thumbnails").send({"id": 7, "text": "x"})
    text = failure(lambda: stage.assert_sent("thumbnails", {"id": 8, "text": "x"}))
    assert "Expected: {'id': 8, 'text': 'x'}" in text
    assert "- to channel 'thumbnails': {'id': 7, 'text': 'x'}\n      by the test, or a view or signal in it" in text
    assert "  - {'id': 8, 'text': 'x'}" in text
    assert "  + {'id': 7, 'text': 'x'}" in text


def test_other_json_is_shown(stage: Stage) -> None:
    """The comparison is of what the text says; text that is no JSON is shown as it is."""
    Group("all").send({"text": '{"size": 1}'})
    text = failure(lambda: stage.assert_group_sent("all", json={"size": 2}))
    assert "Expected as JSON in its text: {'size': 2}" in text
    assert "  + {'size': 1}" in text
    Group("plain").send({"text": "hello"})
    assert "  + 'hello'" in failure(lambda: stage.assert_group_sent("plain", json={}))
    Group("binary").send({"bytes": b"hello"})
    assert "  + None" in failure(lambda: stage.assert_group_sent("binary", json={}))


def test_several_others_are_listed(stage: Stage) -> None:
    """Up to ten, with the number of the rest."""
    for number in range(12):
        Channel("thumbnails").send({"number": number})
    text = failure(lambda: stage.assert_sent("thumbnails", {"number": 12}))
    assert "{'number': 9}" in text
    assert "{'number': 10}" not in text
    assert "  and 2 more" in text


def test_misspelt_name_is_suggested(stage: Stage) -> None:
    """A channel that is nearly one that was sent to is taken for a mistake."""
    Channel("thumbnails").send({"text": "x"})
    text = failure(lambda: stage.assert_sent("thumbnail"))
    assert "Nothing was sent there. Did you mean 'thumbnails'? Sent elsewhere were:" in text


@pytest.mark.parametrize("kind", ["channel", "group"])
def test_the_other_assertion_is_suggested(stage: Stage, kind: str) -> None:
    """A group that is looked for as a channel, and the other way round."""
    if kind == "group":
        Group("all").send({"text": "x"})
        assert "'all' is a group: assert_group_sent() looks there" in failure(lambda: stage.assert_sent("all"))
    else:
        Channel("all").send({"text": "x"})
        assert "'all' is a channel: assert_sent() looks there" in failure(lambda: stage.assert_group_sent("all"))


def test_sender_and_who_is_left_out_are_named(client: WSClient, stage: Stage) -> None:
    """A message from a consumer names it, one to a client names that."""
    client.send_and_consume("websocket.receive", text="hello")
    text = failure(lambda: stage.assert_sent("nowhere"))
    assert "to group 'all', without somebody: {'text': 'hello'}\n      by tests.channels.test.test_sent.pass_on" in text
    assert "to <WSClient at />: {'text': 'hello'}" in text
    Channel("websocket.send.gone!1").send({"text": "x"})
    assert "to 'websocket.send.gone!1'" in failure(lambda: stage.assert_sent("nowhere"))


def test_waiting_messages_are_hinted_at(client: WSClient, stage: Stage) -> None:
    """What should have been sent may be missing because its consumer has not run."""
    client.send("websocket.receive", text="hello")
    text = failure(lambda: stage.assert_sent("archive"))
    assert text.endswith("Messages that no consumer has handled yet: 1 on 'websocket.receive'.")


def test_unexpected_messages_are_listed(stage: Stage) -> None:
    """With what to do about them."""
    Channel("thumbnails").send({"text": "x"})
    text = failure(stage.assert_nothing_sent)
    assert text.startswith("Expected nothing to be sent, but one message was, and this test has not looked at it:\n")
    assert "- to channel 'thumbnails': {'text': 'x'}" in text
    assert "forget_sent()" in text
    Group("all").send({"text": "y"})
    assert "but 2 messages were, and this test has not looked at them:" in failure(stage.assert_nothing_sent)


def test_silence_of_one_place(stage: Stage) -> None:
    """A channel, a group or a client may be asked for alone."""
    Channel("thumbnails").send({"text": "x"})
    Group("all").send({"text": "y"})
    client = Client()
    stage.assert_nothing_sent("archive", group="others")
    stage.assert_nothing_sent(client)
    assert "to be sent to channel 'thumbnails', but" in failure(lambda: stage.assert_nothing_sent("thumbnails"))
    assert "to be sent to group 'all', but" in failure(lambda: stage.assert_nothing_sent(group=Group("all")))


def test_content_that_could_not_travel_is_told(stage: Stage) -> None:
    """Nothing like it can have been sent, so it is a mistake in the test."""
    Channel("thumbnails").send({"text": "x"})
    with pytest.raises(TypeError, match="set"):
        stage.assert_sent("thumbnails", {"sizes": {1, 2}})
