import asyncio
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from django.contrib.sessions.serializers import JSONSerializer
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_layers.memory import MemoryChannelLayer
from channel_layers.notes import version_of
from channels.lane_session import MAX_SIZE, ChannelSession
from channels.message import LaneState

CHANNEL = "websocket.send.tests!1"
OTHER = "websocket.send.tests!2"
SERIALIZERS = [
    "django.contrib.sessions.serializers.JSONSerializer",
    f"{__name__}.ReprSerializer",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)
DATA = st.dictionaries(st.text(max_size=10).filter(lambda key: key != "_session_expiry"), JSON, max_size=5)


class ReprSerializer:
    """Any bytes, above all those that are not ASCII and those that stand between fields."""

    def dumps(self, data: dict[str, Any]) -> bytes:
        return b"\xff\x00::" + json.dumps(data).encode()[::-1]

    def loads(self, data: bytes) -> Any:
        if not data.startswith(b"\xff\x00::"):
            raise RuntimeError("another serializer has written this")
        return json.loads(data[4:][::-1])


def session(signed: bytes | None = None, channel: str = CHANNEL) -> ChannelSession:
    """Return the session of a connection that comes with ``signed``."""
    return ChannelSession(channel, LaneState(signed), MemoryChannelLayer())


def lane_of(opened: ChannelSession) -> LaneState:
    """Return what the connection gets back."""
    return opened._lane


def saved(data: dict[str, Any], before: bytes | None = None, channel: str = CHANNEL) -> bytes:
    """Return what travels after ``data`` were added to what came as ``before``."""
    opened = session(before, channel)
    opened.update(data)
    opened.save()
    signed = lane_of(opened).session
    assert signed is not None
    return signed


def contents(signed: bytes | None, channel: str = CHANNEL) -> dict[str, Any]:
    """Return the data that ``channel`` has when it comes with ``signed``."""
    return dict(session(signed, channel).items())


def losses(opened: ChannelSession) -> int:
    """Return how many sessions the layer has counted as lost."""
    return opened._layer.losses.counts["unreadable channel session"]


@given(DATA)
@settings(deadline=None)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_what_is_saved_comes_back(serializer: str, data: dict[str, Any]) -> None:
    """A session returns equal, whatever bytes the project's serializer makes of it."""
    with override_settings(SESSION_SERIALIZER=serializer):
        assert contents(saved(data)) == data


@given(st.lists(st.tuples(st.sampled_from(["set", "del", "pop", "update", "clear"]), st.sampled_from("abc"), JSON)))
@settings(deadline=None)
def test_session_is_a_dict_that_travels(steps: list[tuple[str, str, Any]]) -> None:
    """Any changes, each made by another worker, add up to the same as in a dict."""
    model: dict[str, Any] = {}
    signed: bytes | None = None
    for step, key, value in steps:
        opened = session(signed)
        apply(step, key, value, opened)
        apply(step, key, value, model)
        if opened.modified:
            opened.save()
        signed = lane_of(opened).session
    assert contents(signed) == model


def apply(step: str, key: str, value: Any, target: Any) -> None:
    """Change ``target``, a session or a dict."""
    if step == "set":
        target[key] = value
    elif step == "del" and key in target:
        del target[key]
    elif step == "pop":
        target.pop(key, None)
    elif step == "update":
        target.update({key: value, "x": value})
    elif step == "clear":
        target.clear()


def test_nothing_is_read_before_it_is_used() -> None:
    """Bytes that nobody asks for are not looked at."""
    opened = session(b"not a session")
    assert (opened.accessed, opened.modified) == (False, False)
    assert losses(opened) == 0
    assert opened.get("room") is None
    assert (opened.accessed, opened.modified) == (True, False)
    assert losses(opened) == 1


def test_reading_changes_nothing() -> None:
    """Only a change marks a session as modified, and only saving marks the lane as changed."""
    opened = session(saved({"room": "lobby"}))
    assert opened["room"] == "lobby"
    assert opened.setdefault("room", "other") == "lobby"
    assert opened.pop("absent", None) is None
    assert "absent" not in opened
    assert not opened.modified
    opened["room"] = "attic"
    assert opened.modified
    assert not lane_of(opened).changed
    opened.save()
    assert not opened.modified
    assert lane_of(opened).changed


def test_key_is_that_of_the_reply_channel() -> None:
    """The key has the form of 1.x, is the same for the life of the connection and another for every other."""
    opened = session()
    key = opened.session_key
    assert len(key) == 32
    assert key.startswith("chn")
    opened["room"] = "lobby"
    opened.create()
    opened.cycle_key()
    asyncio.run(opened.acreate())
    asyncio.run(opened.acycle_key())
    assert opened["room"] == "lobby"
    opened.flush()
    assert opened.session_key == key
    assert session(channel=OTHER).session_key != key


def test_flushed_session_is_empty_for_the_next_message() -> None:
    """Flushing is a change like any other: the connection keeps an empty session."""
    opened = session(saved({"room": "lobby"}))
    opened.flush()
    assert opened.modified
    assert not opened.is_empty()
    opened.save()
    assert contents(lane_of(opened).session) == {}


def test_delete_concerns_this_session_only() -> None:
    """Deleting under the key of another session does nothing."""
    opened = session(saved({"room": "lobby"}))
    opened.delete(session(channel=OTHER).session_key)
    assert opened["room"] == "lobby"
    opened.delete(opened.session_key)
    assert dict(opened.items()) == {}


def test_session_exists_when_it_was_saved() -> None:
    """A session that nobody has saved does not exist, and none does under another key."""
    opened = session()
    assert not opened.exists(opened.session_key)
    opened.save(must_create=True)
    assert opened.exists(opened.session_key)
    assert not opened.exists(session(channel=OTHER).session_key)


def test_async_twins_do_the_same() -> None:
    """The coroutines of Django's sessions work, and wait for nothing."""

    async def change(signed: bytes | None) -> bytes | None:
        opened = session(signed)
        assert await opened.aget("room") == "lobby"
        await opened.aset("nick", "ada")
        assert await opened.apop("room") == "lobby"
        assert not await opened.aexists("other key")
        await opened.asave()
        return lane_of(opened).session

    signed = asyncio.run(change(saved({"room": "lobby"})))
    assert contents(signed) == {"nick": "ada"}

    async def flush() -> ChannelSession:
        opened = session(signed)
        await opened.aflush()
        return opened

    flushed = asyncio.run(flush())
    assert flushed.modified
    assert dict(flushed.items()) == {}


def test_version_counts_the_changes() -> None:
    """Each change that travels has the next version; several within one run are one."""
    first = saved({"room": "lobby"})
    second = saved({"room": "attic"}, first)
    assert (version_of(None), version_of(first), version_of(second)) == (0, 1, 2)
    opened = session(second)
    for room in ("cellar", "garden"):
        opened["room"] = room
        opened.save()
    assert version_of(lane_of(opened).session) == 3


def test_version_goes_on_after_a_session_that_cannot_be_read() -> None:
    """What replaces a session of another SECRET_KEY is not taken for an older one."""
    with override_settings(SECRET_KEY="another"):
        foreign = saved({}, saved({}, saved({"room": "lobby"})))
    assert version_of(saved({"room": "attic"}, foreign)) == 4


@pytest.mark.parametrize(
    ("signed", "version"), [(b"", 0), (b"x:1", 0), (b"-1:", 0), (b"7", 7), (b"12:0:{}:x", 12), (b"9" * 5000 + b":", 0)]
)
def test_version_of_any_bytes(signed: bytes, version: int) -> None:
    """Bytes that are no session have version 0."""
    assert version_of(signed) == version


@given(DATA, st.data())
@settings(deadline=None)
def test_no_other_connection_can_use_it(data: dict[str, Any], draw: st.DataObject) -> None:
    """The bytes of one connection are nothing to another, however alike their names are."""
    names = st.text("abz019!.-", min_size=1, max_size=6)
    own, other = (f"websocket.send.{draw.draw(names)}" for _ in "12")
    signed = saved({**data, "secret": 1}, channel=own)
    assert contents(signed, other) == ({**data, "secret": 1} if own == other else {})


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_bytes_from_nowhere_make_an_empty_session(forged: bytes) -> None:
    """Nothing but what was signed is ever read."""
    assert contents(forged) == {}


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
@settings(deadline=None)
def test_changed_bytes_make_an_empty_session(position: int, difference: int) -> None:
    """A single byte that is different makes all of it worthless."""
    signed = bytearray(saved({"user": 1, "room": "lobby"}))
    signed[position % len(signed)] ^= difference
    assert contents(bytes(signed)) == {}


@given(st.data())
@settings(deadline=None)
def test_parts_of_two_sessions_make_an_empty_session(draw: st.DataObject) -> None:
    """Neither can an old signature be put under new data, nor a beginning before another end."""
    first, second = saved({"user": 1}), saved({"user": 2, "room": "lobby"})
    mixed = first[: draw.draw(st.integers(0, len(first)))] + second[draw.draw(st.integers(0, len(second))) :]
    assert contents(mixed) in ({}, {"user": 1}, {"user": 2, "room": "lobby"})
    assert mixed in (first, second) or contents(mixed) == {}


def test_former_secret_key_is_good_while_it_is_a_fallback() -> None:
    """Rotating SECRET_KEY loses no session."""
    signed = saved({"room": "lobby"})
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["for tests only"]):
        assert contents(signed) == {"room": "lobby"}
        renewed = saved({"nick": "ada"}, signed)
    with override_settings(SECRET_KEY="new"):
        assert contents(signed) == {}
        assert contents(renewed) == {"room": "lobby", "nick": "ada"}


def test_unreadable_session_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the connection and the settings to look at, and nothing of what is in the session."""
    opened = session(saved({"secret": "sesame"}, channel=OTHER))
    with caplog.at_level(logging.WARNING):
        assert dict(opened.items()) == {}
        assert dict(opened.items()) == {}
    (record,) = caplog.records
    text = record.getMessage()
    assert all(word in text for word in (CHANNEL, "SECRET_KEY_FALLBACKS", "SESSION_SERIALIZER", "BadSignature"))
    assert "sesame" not in text


def test_session_of_another_serializer_is_empty() -> None:
    """A serializer that raises at what an earlier one has written costs the session and nothing else."""
    signed = saved({"room": "lobby"})
    with override_settings(SESSION_SERIALIZER=SERIALIZERS[1]):
        opened = session(signed)
        assert dict(opened.items()) == {}
        assert losses(opened) == 1


@pytest.mark.parametrize(
    "expiry",
    [-1, timedelta(seconds=-1), datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1), timedelta(days=-9999)],  # noqa: DTZ001 - a project without USE_TZ sets such times
)
@override_settings(USE_TZ=True)
def test_expired_session_is_empty(expiry: Any) -> None:
    """After its expiry nothing of a session is left; its version goes on."""
    opened = session()
    opened["room"] = "lobby"
    opened.set_expiry(expiry)
    opened.save()
    signed = lane_of(opened).session
    assert contents(signed) == {}
    assert version_of(saved({"room": "attic"}, signed)) == 2


@given(st.integers(min_value=1, max_value=10**8), st.integers(min_value=0, max_value=10**8))
@settings(deadline=None)
def test_session_expires_so_many_seconds_after_its_last_change(expiry: int, later: int) -> None:
    """An expiry in seconds counts from when the session was last saved, and is rounded up."""
    opened = session()
    opened["room"] = "lobby"
    opened.set_expiry(expiry)
    before = time.time()
    opened.save()
    after = time.time()
    signed = lane_of(opened).session
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: before + min(later, expiry - 1))
        assert contents(signed) == {"room": "lobby", "_session_expiry": expiry}
        patch.setattr(time, "time", lambda: after + expiry + 1 + later)
        assert contents(signed) == {}


@pytest.mark.parametrize("expiry", [0, None, 60, timedelta(hours=1)])
def test_session_without_end_in_sight_is_there(expiry: Any) -> None:
    """Neither 0, the end of the connection, nor no expiry at all, nor one to come takes anything away."""
    opened = session()
    opened["room"] = "lobby"
    opened.set_expiry(expiry)
    opened.save()
    assert contents(lane_of(opened).session)["room"] == "lobby"


def test_expiry_age_is_that_of_django() -> None:
    """What was set is what is told."""
    opened = session()
    opened.set_expiry(90)
    opened.save()
    assert session(lane_of(opened).session).get_expiry_age() == 90


def test_largest_entry_of_a_session_that_is_too_large_is_named() -> None:
    """The error names key, sizes and limit; the connection keeps what it had."""
    before = saved({"room": "lobby"})
    opened = session(before)
    opened.update({"small": "x" * 100, "history": ["x"] * 1500})
    with pytest.raises(ValueError, match=r"history") as caught:
        opened.save()
    text = str(caught.value)
    size = len(JSONSerializer().dumps({"history": ["x"] * 1500}))
    assert all(word in text for word in (CHANNEL, f"limit is {MAX_SIZE}", f"'history' with {size}"))
    assert (lane_of(opened).session, lane_of(opened).changed) == (before, False)


def test_limit_is_for_what_travels() -> None:
    """4096 bytes with version and signature are accepted, one more is not."""
    overhead = len(saved({"x": ""}))
    assert len(saved({"x": "y" * (MAX_SIZE - overhead)})) == MAX_SIZE
    with pytest.raises(ValueError, match=f"has {MAX_SIZE + 1} bytes"):
        saved({"x": "y" * (MAX_SIZE - overhead + 1)})


@pytest.mark.parametrize("value", [datetime(2020, 1, 1, tzinfo=UTC), {1, 2}, b"bytes", {("a", "b"): 1}])
def test_value_that_cannot_be_stored_is_named(value: object) -> None:
    """The serializer's error says what it refuses, and a note under which key; the value stays out of it."""
    opened = session()
    opened.update({"room": "lobby", "odd": value})
    with pytest.raises(TypeError) as caught:
        opened.save()
    (note,) = caught.value.__notes__
    assert "JSONSerializer" in note
    assert note.endswith("under 'odd'")
    assert not lane_of(opened).changed


@pytest.mark.parametrize("change", [lambda s: s.update({"a": 1}), lambda s: s.clear(), lambda s: s.set_expiry(5)])
def test_every_change_marks_the_session(change: Callable[[ChannelSession], None]) -> None:
    """What changes the data marks the session as modified, as in all sessions of Django."""
    opened = session()
    change(opened)
    assert opened.modified


class EvalSerializer:
    """Stores what JSON does not: here, fractions."""

    def dumps(self, data: dict[str, Any]) -> bytes:
        return repr(data).encode()

    def loads(self, data: bytes) -> Any:
        return eval(data, {"Fraction": Fraction})


def test_what_a_serializer_of_ones_own_stores_comes_back() -> None:
    """Also values that are more than plain ones; each message has a copy of its own."""
    with override_settings(SESSION_SERIALIZER=f"{__name__}.EvalSerializer"):
        signed = saved({"half": Fraction(1, 2), "list": [1]})
        first, second = session(signed), session(signed)
        first["list"].append(2)
        assert dict(second.items()) == {"half": Fraction(1, 2), "list": [1]}


def test_messages_share_no_value() -> None:
    """What one consumer does to a list in the session, without saving it, is nothing to the next."""
    signed = saved({"list": [1]})
    session(signed)["list"].append(2)
    assert session(signed)["list"] == [1]
