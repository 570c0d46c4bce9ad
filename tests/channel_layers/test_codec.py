from __future__ import annotations

import collections
import datetime
import enum
import math
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.utils.datastructures import MultiValueDict
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from channel_layers import codec
from channel_layers.exceptions import InvalidContent

INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=20)
# Offsets and not zones: an hour that a zone repeats equals no time of another zone, itself included (PEP 495).
# Nor offsets of less than a second, which no zone has: Python itself reads "+00:00:00.5" as UTC.
OFFSETS = (
    st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23))
    .filter(lambda offset: not offset or abs(offset) >= datetime.timedelta(seconds=1))
    .map(datetime.timezone)
)
SCALARS = st.one_of(
    TEXT,
    st.binary(max_size=20),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
    INTEGERS,
    st.datetimes(timezones=st.none() | OFFSETS),
    st.dates(),
    st.times(timezones=st.none() | OFFSETS),
    st.uuids(),
    st.decimals(allow_nan=False),
)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXT | INTEGERS, values, max_size=4),
    max_leaves=10,
)
CONTENTS = st.dictionaries(TEXT | INTEGERS, VALUES, max_size=5)


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not the characters"


class Status(enum.StrEnum):
    OPEN = "open"


class Number(enum.IntEnum):
    ONE = 1


class Colour(enum.Enum):
    RED = "red"


class Ratio(float):
    pass


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is as common


@dataclass
class Room:
    name: str


class Row:
    pk = 7

    def __repr__(self) -> str:
        return f"Row {self.pk}"


def round_trip(value: Any) -> Any:
    """Return ``value`` as the receiver of a message gets it."""
    return codec.decode(codec.encode({"value": value}))["value"]


def plain_types(value: Any) -> Any:
    """Return the types of ``value``, nested like it."""
    if isinstance(value, dict):
        return {key: plain_types(item) for key, item in value.items()}
    return [plain_types(item) for item in value] if isinstance(value, list) else type(value)


# -- what travels --------------------------------------------------------------------------------------------------


@given(CONTENTS)
def test_contents_arrive_equal_and_of_the_same_types(content: dict[Any, Any]) -> None:
    """Whatever is accepted is the same after its journey."""
    again = codec.decode(codec.encode(content))
    assert again == content
    assert plain_types(again) == plain_types(content)


@given(st.lists(st.dictionaries(TEXT, SCALARS, max_size=3), max_size=4))
def test_joined_contents_arrive_as_a_list(contents: list[dict[Any, Any]]) -> None:
    """Encoded dicts that travel together are decoded to the list of them."""
    assert codec.decode(codec.join([codec.encode(content) for content in contents])) == contents


def test_at_most_65535_contents_travel_together() -> None:
    """More would not fit the length that is written before them."""
    one = codec.encode({})
    assert len(codec.decode(codec.join([one] * 65535))) == 65535
    with pytest.raises(ValueError, match="at most 65535 contents travel together, not 65536"):
        codec.join([one] * 65536)


def test_plain_contents_need_no_walk() -> None:
    """What a server builds of plain values is encoded to the same bytes without being checked."""
    content = {"path": "/", "order": 1, "bytes": b"x", "list": [None, 1.5]}
    assert codec.encode_plain(content) == codec.encode(content)


@pytest.mark.parametrize("value", [math.nan, Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), -0.0])
def test_values_that_equal_nothing_arrive_as_they_are(value: Any) -> None:
    """Compared by what they look like, since NaN is not even equal to itself."""
    assert repr(round_trip(value)) == repr(value)


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (bytearray(b"a"), b"a"),
        (memoryview(b"abcd")[::2], b"ac"),
        (Text("characters"), "characters"),
        (mark_safe("<b>"), "<b>"),
        (lazystr("later"), "later"),
        (Status.OPEN, "open"),
        (Number.ONE, 1),
        (Ratio(0.5), 0.5),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        ({Text("key"): (1,)}, {"key": [1]}),
        ({Number.ONE: "one"}, {1: "one"}),
        ({"a": [{"b": (datetime.date(2026, 1, 2),)}]}, {"a": [{"b": [datetime.date(2026, 1, 2)]}]}),
    ],
)
def test_relatives_arrive_as_the_plain_type(sent: Any, received: Any) -> None:
    """Subclasses that carry nothing more, and types that have a plain one beside them."""
    again = round_trip(sent)
    assert again == received
    assert plain_types(again) == plain_types(received)


def test_time_in_a_zone_is_the_same_moment() -> None:
    """The offset travels; the rules of the zone do not."""
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=45), "Asia/Kathmandu")
    sent = datetime.datetime(2026, 5, 1, 12, tzinfo=zone)
    assert round_trip(sent).isoformat() == "2026-05-01T12:00:00+05:45"


def nested(levels: int, leaf: Any) -> dict[str, Any]:
    """Return a dict in which ``leaf`` is inside ``levels`` lists and dicts."""
    value = leaf
    for _ in range(levels - 1):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize("leaf", [1, "text", datetime.date(2026, 1, 2)])
def test_sixty_four_levels_travel(leaf: Any) -> None:
    """The deepest level may hold any value, whichever way the walk came there."""
    content = nested(codec.MAX_DEPTH, leaf)
    assert codec.decode(codec.encode(content)) == content
    assert codec.decode(codec.encode({**content, "b": (1,)})) == {**content, "b": [1]}


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            {1},
            r"message\['value'\]: set cannot travel \(\{1\}\); send str\(value\), a list or a dict of plain values",
        ),
        ([1, frozenset()], r"message\['value'\]\[1\]: frozenset cannot travel"),
        (({"a": 1j},), r"message\['value'\]\[0\]\['a'\]: complex cannot travel"),
        ({1: object}, r"message\['value'\]\[1\]: type cannot travel"),
        (Colour.RED, r"message\['value'\]: Colour cannot travel"),
        (Room("a"), r"message\['value'\]: Room cannot travel \(Room\(name='a'\)\)"),
        (
            Row(),
            r"message\['value'\]: Row cannot travel \(Row 7\); send value\.pk, and load it again where",
        ),
        (datetime.timedelta(1), r"message\['value'\]: timedelta cannot travel"),
        (range(3), r"message\['value'\]: range cannot travel"),
        (iter([]), r"message\['value'\]: list_iterator cannot travel"),
        (MultiValueDict({"a": ["1", "2"]}), r"message\['value'\]: MultiValueDict cannot travel"),
        (msgspec.msgpack.Ext(1, b""), r"message\['value'\]: Ext cannot travel"),
        (
            2**63,
            r"message\['value'\]: integers have 64 bits with sign, 9223372036854775808 does not fit; send it as text",
        ),
        (-(2**63) - 1, r"message\['value'\]: integers have 64 bits"),
        ([10**100], r"message\['value'\]\[0\]: .* 1000+\.\.\. does not fit"),
        ({2**63: 1}, r"message\['value'\] key 9223372036854775808: integers have 64 bits"),
        ({True: 1}, r"message\['value'\]: a key is text or an integer, not bool: True"),
        ({None: 1}, r"message\['value'\]: a key is text or an integer, not NoneType: None"),
        ({(1,): 1}, r"message\['value'\]: a key is text or an integer, not tuple"),
        (
            "\ud800",
            r"message\['value'\]: text that is not valid Unicode \(surrogates not allowed\): '.ud800'",
        ),
        ((Text("\ud800"),), r"message\['value'\]\[0\]: text that is not valid Unicode"),
        ({"\ud800": 1}, r"message\['value'\] key '.ud800': text that is not valid Unicode"),
        (lazystr("\ud800"), r"message\['value'\]: text that is not valid Unicode"),
    ],
)
def test_refusals_name_the_path_and_the_way_out(value: Any, sentence: str) -> None:
    """The first value that cannot travel is named by where it is, what it is and what to do."""
    with pytest.raises(InvalidContent, match=sentence):
        codec.encode({"value": value})


@pytest.mark.parametrize("content", [[], "text", None, b"", 1, (("a", 1),)])
def test_a_message_is_a_dict(content: Any) -> None:
    """Nothing else is, also where it could be made one."""
    with pytest.raises(InvalidContent, match=f"a message is a dict, not {type(content).__name__}"):
        codec.encode(content)


@pytest.mark.parametrize("extra", [{}, {"b": (1,)}])
def test_deeper_structures_are_refused(extra: dict[str, Any]) -> None:
    """One level more than may be, and a structure that contains itself, however much of it is plain."""
    with pytest.raises(InvalidContent, match="nested deeper than 64 levels, or it contains itself"):
        codec.encode({**nested(codec.MAX_DEPTH + 1, 1), **extra})
    endless: list[Any] = []
    endless += [endless, endless]
    with pytest.raises(InvalidContent, match="contains itself"):
        codec.encode({"a": endless, **extra})


@given(st.recursive(SCALARS | st.just({1}), lambda values: st.lists(values, min_size=1, max_size=3), max_leaves=8))
def test_the_walk_misses_nothing(value: Any) -> None:
    """A content is refused exactly if there is a set somewhere in it."""
    if "{1}" in repr(value).replace("'{1}'", ""):
        with pytest.raises(InvalidContent, match="set cannot travel"):
            codec.encode({"value": [value]})
    else:
        codec.encode({"value": [value]})


# -- bytes that encode did not write -------------------------------------------------------------------------------


@given(st.binary(max_size=40))
def test_other_bytes_are_a_decode_error(data: bytes) -> None:
    """Whatever a layer hands over is decoded or raises DecodeError, never anything else."""
    try:
        codec.decode(data)
    except msgspec.DecodeError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xa1\xff",
        b"\xd4\x63a",
        b"\xd4\x01a",
        b"\xd4\x04a",
        b"\xd4\x05x",
        b"\xd4\x02\xff",
        b"\x91" * 100_000,
        codec.encode({"a": uuid.UUID(int=1)})[:-1],
    ],
    ids=["empty", "opcode", "text", "extension", "datetime", "uuid", "decimal", "date", "depth", "truncated"],
)
def test_malformed_bytes_are_a_decode_error(data: bytes) -> None:
    """Each way in which bytes can be wrong ends in the same error."""
    with pytest.raises(msgspec.DecodeError):
        codec.decode(data)


def test_lazy_strings_are_known_by_their_type() -> None:
    """Django's are, text is not, and nothing called Promise elsewhere."""

    class Promise:
        pass

    assert codec.is_lazy(type(lazystr("a")))
    assert not codec.is_lazy(str)
    assert not codec.is_lazy(Promise)
