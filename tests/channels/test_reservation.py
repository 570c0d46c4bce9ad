"""Which slots of a worker take what."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.message import Message
from channels.reservation import SHARES, Reservation, parse
from channels.routing import route
from tests.channels.workers import PATIENCE, Socket, layer_of, message, texts, working

TRAFFIC = {"http.request": "http", "websocket.receive": "websocket", "jobs": "background"}
FRONT = ["http.request", "websocket.receive"]
ALL = [*FRONT, "jobs"]


@pytest.mark.parametrize(
    ("slots", "reserve", "expected"),
    [
        (1, None, [ALL]),
        (2, None, [ALL, FRONT]),
        (4, None, [ALL, ALL, ALL, FRONT]),
        (0, None, []),
        (2, {}, [ALL, ALL]),
        (2, {"foreground": 0}, [ALL, ALL]),
        (3, {"http": 1, "websocket": 1}, [ALL, ["http.request"], ["websocket.receive"]]),
        (2, {"foreground": 1, "background": 1}, [FRONT, ["jobs"]]),
    ],
)
def test_slots_take_what_is_left_for_them(
    slots: int, reserve: dict[str, int] | None, expected: list[list[str]]
) -> None:
    """By default the last of several never takes background work."""
    assert Reservation(TRAFFIC, slots, reserve).channels == expected


@pytest.mark.parametrize(
    ("awaited", "reserve", "expected"),
    [
        (ALL, None, ["jobs"]),
        (ALL, {"websocket": 1}, ["jobs"]),
        (ALL, {"foreground": 0}, []),
        (["jobs"], None, []),
        (FRONT, None, []),
    ],
)
def test_coroutines_of_the_background_are_limited_where_there_are_others(
    awaited: list[str], reserve: dict[str, int] | None, expected: list[str]
) -> None:
    """Unless all is free by request; how many threads there are does not matter."""
    for slots in (2, 4):
        assert Reservation(TRAFFIC, slots, reserve).limited(awaited) == expected


@pytest.mark.parametrize("traffic", [{"jobs": "background"}, {"http.request": "http"}, {}])
def test_nothing_is_reserved_where_there_is_one_kind(traffic: dict[str, str]) -> None:
    """A worker for background work alone uses all of its slots."""
    reservation = Reservation(traffic, 3)
    assert reservation.channels == [list(traffic)] * 3
    assert reservation.text == ""


@pytest.mark.parametrize(
    ("slots", "reserve", "text"),
    [
        (1, {"foreground": 2}, r"--reserve asks for 2 slots, and there are 1 \(--threads\)"),
        (2, {"foreground": 2}, "--reserve leaves no slot for 'jobs'; raise --threads"),
        (2, {"http": 2}, "--reserve leaves no slot for 'jobs', 'websocket.receive'"),
    ],
)
def test_nothing_is_left_without_a_slot(slots: int, reserve: dict[str, int], text: str) -> None:
    """It would wait for ever."""
    with pytest.raises(ValueError, match=text):
        Reservation(TRAFFIC, slots, reserve)


@given(st.integers(1, 8), st.none() | st.dictionaries(st.sampled_from(sorted(SHARES)), st.integers(0, 4)))
def test_every_channel_has_a_slot_or_there_is_an_error(slots: int, reserve: dict[str, int] | None) -> None:
    """Whatever is asked for."""
    try:
        reservation = Reservation(TRAFFIC, slots, reserve)
    except ValueError:
        return
    assert len(reservation.channels) == slots
    assert {channel for channels in reservation.channels for channel in channels} == TRAFFIC.keys()


def test_a_person_is_told() -> None:
    """What is reserved, and that nothing can be."""
    assert Reservation(TRAFFIC, 4).text == "Reserved: 1 for foreground."
    assert Reservation(TRAFFIC, 4, {"http": 1, "websocket": 2}).text == "Reserved: 1 for http, 2 for websocket."
    assert Reservation(TRAFFIC, 4, {}).text == ""
    many = TRAFFIC | {f"jobs{n}": "background" for n in range(4)}
    assert Reservation(many, 1).text == (
        "With one slot none can be reserved: HTTP and WebSockets wait while 'jobs', 'jobs0', 'jobs1' and 2 more is "
        "worked on. Use --threads 2 or more."
    )


def test_words_of_the_command_line() -> None:
    """A bare number is for the foreground."""
    assert parse(["2"]) == {"foreground": 2}
    assert parse(["http=1", "websocket=0"]) == {"http": 1, "websocket": 0}


@pytest.mark.parametrize("word", ["", "x", "-1", "cron=1", "http=", "http=x", "=", "1.5"])
def test_other_words_are_refused(word: str) -> None:
    """With what is understood."""
    with pytest.raises(ValueError, match=r"--reserve is a number, or foreground\|http"):
        parse([word])


def test_background_work_never_takes_the_last_slot() -> None:
    """A hundred messages that block leave room for HTTP and WebSockets."""
    go_on, busy = threading.Event(), threading.Semaphore(0)

    def block(message: Message) -> None:
        busy.release()
        assert go_on.wait(PATIENCE)

    def echo(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": message["text"]})

    layer = layer_of(route("jobs", block), route(["http.request", "websocket.receive"], echo), capacity=200)
    layer.channel_layer.write([message("jobs") for _ in range(100)])
    sockets = [Socket(layer) for _ in range(5)]
    with working(layer, threads=4):
        for _ in range(3):
            assert busy.acquire(timeout=PATIENCE)
        for channel in FRONT:
            for socket in sockets:
                layer.channel_layer.write([socket.event({"text": channel}, channel=channel)])
                assert texts(socket.wait_for(1)) == [channel]
        assert not busy.acquire(blocking=False)
        go_on.set()
