"""Consumers that make trouble on demand, for the trials of ``benchmarks.chaos``."""

import ctypes
import os
import time
from threading import Event

from django.http import HttpRequest, HttpResponse

from channels import Group
from channels.message import Message

answered: dict[str, Event] = {}

MOMENT = 0.000_5
"""Seconds; twice that goes by before some lines of the ledger are written, and behind the others."""

_sleep_with_the_gil = ctypes.PyDLL(None).usleep if hasattr(ctypes, "PyDLL") else None


def work(message: Message) -> None:
    """Take as many seconds as the text says behind its first word, then send it back."""
    word, _, seconds = message.content["text"].partition(" ")
    time.sleep(float(seconds or 0))
    assert message.reply_channel is not None
    message.reply_channel.send({"text": word})


def drag(message: Message) -> None:
    """Take as many seconds as the message says: wait, or compute all the time."""
    ends = time.monotonic() + message.content["seconds"]
    if not message.content["computes"]:
        time.sleep(message.content["seconds"])
    while time.monotonic() < ends:
        sum(range(1000))


def record(message: Message) -> None:
    """Write channel and number of the message into the ledger, in one write: a kill comes before it or after it."""
    n = message.content["n"]
    line = f"{message.channel_name} {n}\n"
    time.sleep(MOMENT * (n & 2))
    ledger = os.open(os.environ["BENCHMARK_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)
    time.sleep(MOMENT * (2 - (n & 2)))


def hold_gil(message: Message) -> None:
    """Let no other thread of the process run for as many seconds as the text says."""
    assert _sleep_with_the_gil is not None
    _sleep_with_the_gil(int(float(message.content["text"]) * 1_000_000))
    assert message.reply_channel is not None
    message.reply_channel.send({"text": "released"})


def ask(message: Message) -> None:
    """Send a question, wait until the client has answered it by HTTP, and say so."""
    name = message.content["text"]
    event = answered[name] = Event()
    assert message.reply_channel is not None
    message.reply_channel.send({"text": f"question {name}"})
    found = event.wait(10)
    message.reply_channel.send({"text": f"answered {name}" if found else f"no answer to {name}"})


def answer(request: HttpRequest, name: str) -> HttpResponse:
    """Answer the question ``name`` of a consumer in the same process."""
    answered[name].set()
    return HttpResponse("thanks")


def publish(message: Message, room: str) -> None:
    """Send as many numbered messages to the room as the text says, back to back."""
    for number in range(int(message.content["text"])):
        Group(f"room-{room}").send({"text": str(number)})


def stream(request: HttpRequest, room: str, first: str, count: str) -> HttpResponse:
    """Send numbered messages to a room from a view."""
    for number in range(int(first), int(first) + int(count)):
        Group(f"room-{room}").send({"text": str(number)})
    return HttpResponse("sent")
