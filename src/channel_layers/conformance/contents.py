"""Conformance of contents and names: what travels, what is refused, and how it is said."""

from __future__ import annotations

import datetime
from collections import OrderedDict
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import Harness, NewLayer

UTC = datetime.UTC
CET = datetime.timezone(datetime.timedelta(hours=1))

EQUAL: dict[str, Any] = {
    "text": "Ünïcode, 漢字, 🎉 and \x00 control \x1f characters",
    "text like bytes": "caf\u00e9",
    "bytes": b"\x00\xff\xfe",
    "bytes like text": "café".encode(),
    "empty": ["", b"", [], {}],
    "constants": [None, True, False],
    "integers": [0, -1, 2**63 - 1, -(2**63)],
    "floats": [0.1, -0.0, 1e308, float("inf")],
    "nested": {"list": [{"dict": [1, [2, b"3"]]}], "": ""},
    "integer keys": {1: "one", -2: {3: "three"}},
    "datetime": datetime.datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
    "datetime elsewhere": datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=CET),
    "naive datetime": datetime.datetime(2026, 2, 3, 4, 5, 6, 7),  # noqa: DTZ001 - a naive one has to travel too
    "date": datetime.date(2026, 2, 3),
    "time": datetime.time(4, 5, 6, 7),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "decimal": Decimal("1.10"),
}


class Text(str):
    """A subclass like Django's SafeString."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Colour(Enum):
    """A value that an encoder might turn into another."""

    RED = "red"


REFUSED: list[tuple[Any, str]] = [
    ({"a": {1, 2}}, r"message\['a'\]: set"),
    ({"a": [0, {"b": object()}]}, r"message\['a'\]\[1\]\['b'\]: object"),
    ({"a": Colour.RED}, r"message\['a'\]: Colour"),
    ({"a": 2**63}, r"message\['a'\]: integers have 64 bits"),
    ({"a": ({"b": 1j},)}, r"message\['a'\]\[0\]\['b'\]: complex"),
    ({"a": {True: 1}}, r"message\['a'\]: a key is text or an integer, not bool"),
    ({"a": {b"b": 1}}, r"message\['a'\]: a key is text or an integer, not bytes"),
    ({"a": "\ud800"}, r"message\['a'\]: text that is not valid Unicode"),
    ({"a": datetime.timedelta(1)}, r"message\['a'\]: timedelta"),
    ([("a", 1)], "a message is a dict, not list"),
    (None, "a message is a dict, not NoneType"),
]


class ContentConformance(Harness):
    """What may be sent, and under which names."""

    @pytest.mark.parametrize("name", EQUAL)
    def test_a_value_arrives_equal(self, layer: BaseChannelLayer, name: str) -> None:
        """A value that may travel arrives equal and of the same type."""
        layer.send("conformance.a", {"value": EQUAL[name]})
        value = self.receive(layer, "conformance.a")[1]["value"]
        assert value == EQUAL[name]
        assert repr(value) == repr(EQUAL[name]) or "elsewhere" in name

    def test_a_group_message_arrives_equal(self, layer: BaseChannelLayer) -> None:
        """What a queue carries a group carries too."""
        layer.group_add("conformance", "conformance.a")
        layer.send_group("conformance", EQUAL)
        assert self.receive(layer, "conformance.a")[1] == EQUAL

    @pytest.mark.parametrize(
        ("sent", "received"),
        [
            ((1, (2, 3)), [1, [2, 3]]),
            (bytearray(b"abc"), b"abc"),
            (memoryview(b"abc"), b"abc"),
            (OrderedDict(a=1), {"a": 1}),
            (Text("plain"), "plain"),
            ({Text("key"): 1}, {"key": 1}),
        ],
    )
    def test_a_relative_arrives_as_the_plain_type(self, layer: BaseChannelLayer, sent: Any, received: Any) -> None:
        """Tuples arrive as lists, other buffers as bytes, and subclasses as what they are a subclass of."""
        layer.send("conformance.a", {"value": sent})
        value = self.receive(layer, "conformance.a")[1]["value"]
        assert (type(value), repr(value)) == (type(received), repr(received))

    @pytest.mark.parametrize(("content", "sentence"), REFUSED)
    def test_what_cannot_travel_is_refused_with_its_path(
        self, layer: BaseChannelLayer, content: Any, sentence: str
    ) -> None:
        """A value that would not arrive equal is refused when it is sent, and the error says where it is."""
        with pytest.raises(layer.InvalidContent, match=sentence):
            layer.send("conformance.a", content)
        with pytest.raises(layer.InvalidContent, match=sentence):
            layer.send_group("conformance", content)
        with pytest.raises(layer.InvalidContent, match=sentence):
            layer.send_many([("conformance.a", {}), ("conformance.a", content)])
        assert layer.depth("conformance.a") == 0

    def test_a_message_that_contains_itself_is_refused(self, layer: BaseChannelLayer) -> None:
        """A cycle is found and not followed for ever."""
        content: dict[str, Any] = {}
        content["again"] = [content]
        with pytest.raises(layer.InvalidContent, match="contains itself"):
            layer.send("conformance.a", content)

    def test_a_large_message_travels(self, layer: BaseChannelLayer) -> None:
        """A mebibyte of content arrives."""
        layer.send("conformance.a", {"bytes": bytes(2**20)})
        assert self.receive(layer, "conformance.a")[1] == {"bytes": bytes(2**20)}

    def test_a_message_that_is_too_large_is_refused(self, new_layer: NewLayer) -> None:
        """MessageTooLarge tells target, size and limit, and nothing is sent."""
        layer = new_layer(max_message_size=1000)
        layer.send("conformance.a", {"bytes": bytes(900)})
        for send in (layer.send, layer.send_group):
            with pytest.raises(layer.MessageTooLarge, match="the limit is 1000") as refused:
                send("conformance.a", {"bytes": bytes(1000)})
            error = refused.value
            assert (error.target, error.limit) == ("conformance.a", 1000)
            assert error.size > 1000
        assert layer.depth("conformance.a") == 1

    # -- names -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", ["a", "a-b_c.D9", "a?b", "a!b", "x" * 99])
    def test_good_channel_names(self, layer: BaseChannelLayer, name: str) -> None:
        """The grammar of 1.x: letters, digits, ``-``, ``_``, ``.`` and one marker, up to 99 characters."""
        layer.send(name, {})

    @pytest.mark.parametrize(
        "name", ["", "!", "a!", "?a", "a?b!c", "a!b!c", "a b", "a\n", "£", "ä", "x" * 100, None, b"a", 1]
    )
    def test_bad_channel_names(self, layer: BaseChannelLayer, name: Any) -> None:
        """A name that breaks the grammar is refused by every verb, with its fault."""
        with pytest.raises(layer.InvalidName, match="channel name"):
            layer.send(name, {})
        with pytest.raises(layer.InvalidName, match="channel name"):
            layer.group_add("conformance", name)
        with pytest.raises(layer.InvalidName, match="channel name"):
            layer.group_discard("conformance", name)

    @pytest.mark.parametrize("name", ["x", "With spaces, 漢字 & \n", "é" * 127, "x" * 255])
    def test_good_group_names(self, layer: BaseChannelLayer, name: str) -> None:
        """A group may have any name of up to 255 bytes."""
        layer.group_add(name, "conformance.a")
        layer.send_group(name, {"n": 1})
        assert self.receive(layer, "conformance.a")[1] == {"n": 1}
        assert layer.group_channels(name) == ["conformance.a"]

    @pytest.mark.parametrize("name", ["", "é" * 128, "x" * 256, "\ud800", None, b"a", 1])
    def test_bad_group_names(self, layer: BaseChannelLayer, name: Any) -> None:
        """A name that is empty, too long or no text is refused by every verb of groups."""
        calls = (
            lambda: layer.send_group(name, {}),
            lambda: layer.group_add(name, "conformance.a"),
            lambda: layer.group_discard(name, "conformance.a"),
            lambda: layer.group_channels(name),
        )
        for call in calls:
            with pytest.raises(layer.InvalidName, match="group name"):
                call()

    def test_names_of_a_subclass_of_text(self, layer: BaseChannelLayer) -> None:
        """A name counts by its characters, whatever a subclass of ``str`` makes of them."""
        layer.group_add(Text("conformance"), Text("conformance.a"))
        layer.send_group("conformance", {"n": 1})
        layer.send(Text("conformance.a"), {"n": 2})
        assert self.receive(layer, "conformance.a") == ("conformance.a", {"n": 1})
        assert self.receive(layer, Text("conformance.a")) == ("conformance.a", {"n": 2})

    @pytest.mark.parametrize("channels", [["a!b"], ["a?"], ["a b"], [1]])
    def test_names_that_cannot_be_received_from(self, layer: BaseChannelLayer, channels: list[Any]) -> None:
        """One connection's messages are received from the inbox it belongs to, not by its own name."""
        with pytest.raises(layer.InvalidName, match="receive from"):
            layer.receive(channels)

    def test_a_single_name_is_not_a_list_of_names(self, layer: BaseChannelLayer) -> None:
        """Text in place of a list is an error, not a list of letters."""
        with pytest.raises(layer.InvalidName, match=r"give it as \['abc'\]"):
            layer.receive("abc")
        with pytest.raises(layer.InvalidName, match=r"give it as \['abc'\]"):
            layer.send_group("conformance", {}, without="abc")

    def test_the_exceptions_are_attributes_of_the_layer(self, layer: BaseChannelLayer) -> None:
        """Code that has a layer needs no import to catch what it raises."""
        for error in (layer.ChannelFull, layer.MessageTooLarge, layer.InvalidName, layer.InvalidContent):
            assert issubclass(error, Exception)
        assert {"groups", "flush"} <= set(layer.extensions)
        assert isinstance(layer.group_expiry, int)

    # -- replies ---------------------------------------------------------------------------------------------------

    def test_a_reply_that_its_server_could_not_act_on_is_refused(self, layer: BaseChannelLayer) -> None:
        """A reply channel tells what kind of connection it leads to, so a misspelt key is refused when sent."""
        channel = layer.new_channel("websocket.send!")
        layer.send(channel, {"text": "hello"})
        with pytest.raises(layer.InvalidContent, match="did you mean 'text'"):
            layer.send(channel, {"txt": "hello"})
        with pytest.raises(layer.InvalidContent, match="a message is a dict"):
            layer.send(channel, "hello")  # type: ignore[arg-type]  # the mistake that is meant

    def test_a_received_message_can_be_sent_on(self, layer: BaseChannelLayer) -> None:
        """The keys of what a socket sent are no error in a reply to a socket."""
        channel = layer.new_channel("websocket.send!")
        layer.send(channel, {"reply_channel": channel, "path": "/", "order": 1, "text": "hello"})
